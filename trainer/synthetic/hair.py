"""Hair: closed surfaces over the skull that dip under the skin at the hairline."""

from __future__ import annotations

import numpy as np

from trainer.synthetic.skull_radius_map import (
    CENTRE,
    FloatArray,
    MeshPart,
    SkullRadiusMap,
    directions_of,
    grid_faces,
    ripple,
)

# The numbers within these functions, in head units, are the shape itself; what changes with one of
# them is seen in `contact_sheet.png` of a capture.
_LINE_DEG = np.array([0, 20, 40, 55, 66, 74, 80, 86, 98, 108, 118, 130, 150, 180.0])
_LINE_Y = np.array(
    [0.325, 0.32, 0.30, 0.25, 0.15, 0.05, -0.02, 0.06, 0.09, 0.07, -0.06, -0.19, -0.23, -0.24]
)
"""Azimuth from the front, and height there, of the lower edge of the hair: higher in front bares
the forehead, lower behind covers the neck."""
_ROWS, _COLUMNS = 110, 160
"""Finer meshes have smoother outlines and take longer to draw."""
STYLE_SHORT, STYLE_CURLY, STYLE_LONG = 0, 1, 2


def short_hair(skull: SkullRadiusMap) -> MeshPart:
    """A short cut with a natural hairline."""
    return _cap(skull, thickness=0.055, soft=0.20, style=STYLE_SHORT, is_attribute=False)


def curly_hair(skull: SkullRadiusMap) -> MeshPart:
    """Thick curls."""
    return _cap(skull, thickness=0.115, soft=0.09, style=STYLE_CURLY, is_attribute=True)


def bob_hair(skull: SkullRadiusMap) -> list[MeshPart]:
    """A long bob: hair over the skull and a curtain down to the jaw."""
    top = _cap(skull, thickness=0.055, soft=0.08, style=STYLE_LONG, is_attribute=True)
    return [top, _curtain(skull)]


def hairline(azimuth: FloatArray) -> FloatArray:
    """Height of the hairline at azimuths in radians, in head units."""
    degrees = np.abs(np.degrees(azimuth))
    lines = [np.interp(np.abs(degrees + d), _LINE_DEG, _LINE_Y) for d in (-4, -2, 0, 2, 4)]
    return np.asarray(np.mean(lines, axis=0), np.float32)


def _cap(
    skull: SkullRadiusMap, thickness: float, soft: float, style: int, is_attribute: bool
) -> MeshPart:
    elevation = np.linspace(np.pi / 2, -1.0, _ROWS)[:, None] + np.zeros((1, _COLUMNS))
    azimuth = np.linspace(-np.pi, np.pi, _COLUMNS)[None] + np.zeros((_ROWS, 1))
    directions = directions_of(azimuth.ravel(), elevation.ravel())
    radius = skull.radius(directions)
    points = CENTRE + directions * radius[:, None]
    above = points[:, 1] - hairline(azimuth.ravel())
    above += 0.008 * ripple(points, 40.0, seed=3)
    rise = np.clip(above / soft, -1, 1)
    profile = np.where(rise > 0, np.sin(np.pi / 2 * rise), 0.6 * rise)
    lift = thickness * (profile + _relief(points, style) * np.clip(rise, 0, 1))
    vertices = points + directions * np.maximum(lift, -0.03)[:, None]
    faces = grid_faces(_ROWS, _COLUMNS)
    faces = faces[(above > -0.03)[faces].any(axis=1)]
    length = np.stack([azimuth.ravel(), radius * (np.pi / 2 - elevation.ravel()), above], axis=1)
    return MeshPart(
        "hair",
        vertices.astype(np.float32),
        faces,
        length.astype(np.float32),
        style,
        is_attribute,
    )


def _relief(points: FloatArray, style: int) -> FloatArray:
    if style == STYLE_CURLY:
        return 0.16 * ripple(points, 17.0, seed=5) + 0.13 * np.abs(ripple(points, 30.0, seed=6))
    if style == STYLE_LONG:
        return 0.04 * ripple(points, 10.0, seed=8)
    tufts = ripple(points * np.array([1.0, 0.35, 0.5], np.float32), 38.0, seed=7)
    return 0.10 * tufts


def _curtain(skull: SkullRadiusMap) -> MeshPart:
    rows, columns = 50, 110
    azimuth = np.radians(np.linspace(62, 298, columns))[None] + np.zeros((rows, 1))
    t = np.linspace(0, 1, rows)[:, None] + np.zeros((1, columns))
    top = directions_of(azimuth[0], np.full(columns, 0.72))
    start = CENTRE + top * (skull.radius(top) + 0.045)[:, None]
    height = start[None, :, 1] * (1 - t) + (-0.37 + 0.02 * np.cos(azimuth)) * t
    start_radius = np.hypot(start[:, 0], start[:, 2] - CENTRE[2])[None]
    wide = 0.405 + 0.045 * np.maximum(-np.cos(azimuth), 0)
    reach = start_radius + (wide - start_radius) * np.clip(t / 0.5, 0, 1) ** 0.85
    reach -= 0.07 * np.clip((t - 0.62) / 0.38, 0, 1) ** 2
    edge = np.clip(1 - (np.linspace(0, 1, columns) * 236)[None] / 16, 0, 1)
    edge = edge + edge[:, ::-1]
    reach = reach - 0.10 * edge**2 + 0.003 * np.sin(azimuth * 34 + 3 * t)
    vertices = np.stack(
        [reach * np.sin(azimuth), height, reach * np.cos(azimuth) + CENTRE[2]], axis=-1
    )
    flat = vertices.reshape(-1, 3).astype(np.float32)
    coordinates = np.stack([azimuth.ravel(), 0.6 + 0.6 * t.ravel()], axis=1).astype(np.float32)
    return MeshPart("hair", flat, grid_faces(rows, columns), coordinates, STYLE_LONG, True)
