"""Hats, glasses and the collar of a T-shirt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trainer.synthetic.skull_radius_map import (
    CENTRE,
    FloatArray,
    MeshPart,
    SkullRadiusMap,
    directions_of,
    grid_faces,
)

# The numbers within these functions, in head units, are the shape itself; what changes with one of
# them is seen in `contact_sheet.png` of a capture.
STYLE_KNIT, STYLE_CAP, STYLE_FRAME, STYLE_SHIRT = 3, 4, 5, 6
_COLUMNS = 140
"""Finer meshes have smoother outlines and take longer to draw."""
_NECK_Z = -0.07
"""The neck's axis, about which collars run: farther from it they are oval."""
_COLLAR = (
    (-0.02, 0.01, 1.0),
    (0.006, 0.04, 1.0),
    (0.022, 0.038, 1.0),
    (0.036, 0.012, 1.0),
    (0.085, -0.06, 0.85),
    (0.15, -0.115, 0.55),
    (0.17, -0.15, 0.3),
    (0.13, -0.19, 0.1),
    (-0.2, -0.19, 0.0),
)
"""outward, upward, and the share of the neck's tilt, ring by ring; farther outward or higher it
stands off the neck or meets the chin"""
_TEMPLE = (
    (0.222, 0.055, 0.40),
    (0.29, 0.06, 0.36),
    (0.325, 0.06, 0.2),
    (0.335, 0.055, 0.04),
    (0.325, 0.02, -0.03),
)
"""From the hinge over the ear to behind it: nearer to the head it cuts into the skin of broad
heads."""


@dataclass(frozen=True)
class _HatShape:
    """A hat over the skull, in head units."""

    edge: tuple[float, float]
    """height of its edge at the ears, and how much higher it is in front (lower at the back)"""
    thickness: float
    """over the skull"""
    band: float
    """height of the ribbed band above the edge"""
    style: int


HATS = {
    "hat_beanie": _HatShape((0.115, 0.135), thickness=0.075, band=0.13, style=STYLE_KNIT),
    "hat_cap": _HatShape((0.185, 0.085), thickness=0.08, band=0.0, style=STYLE_CAP),
}
FELT = _HatShape((0.20, 0.05), thickness=0.08, band=0.0, style=STYLE_CAP)
"""what the fedora hides"""
_PRESSED, _FLARE = 0.03, 0.9
"""what a hat leaves of hair over the skull, and how fast hair springs back below its edge; more of
the first lets hair through the hat, of the second hair stands off sooner"""


def hat(name: str, skull: SkullRadiusMap) -> list[MeshPart]:
    """A knitted hat with a ribbed band, or a baseball cap."""
    pieces = [_hat(skull, HATS[name])]
    return [*pieces, _brim(skull)] if name == "hat_cap" else pieces


def tucked_under(hair: MeshPart, name: str, skull: SkullRadiusMap) -> MeshPart:
    """Hair as a hat presses it: flat below the hat, and as it was some way below its edge.

    Short hair lies flat enough as it is.
    """
    if not hair.is_attribute:
        return hair
    return replace(hair, vertices=pressed(hair.vertices, name, skull))


def pressed(vertices: FloatArray, name: str, skull: SkullRadiusMap) -> FloatArray:
    """Vertices (N, 3) of hair where the hat of that name leaves them."""
    offsets = vertices - CENTRE
    radius = np.linalg.norm(offsets, axis=1)
    directions = offsets / radius[:, None]
    azimuth = np.arctan2(directions[:, 0], directions[:, 2])
    elevation = np.arcsin(np.clip(directions[:, 1], -1, 1))
    around = np.linspace(-np.pi, np.pi, _COLUMNS)
    lowest = np.interp(azimuth, around, _lowest(skull, HATS.get(name, FELT), around))
    below = np.maximum(lowest - elevation, 0) * radius
    nearest = np.minimum(radius, skull.radius(directions) + _PRESSED + _FLARE * below)
    return np.asarray(CENTRE + directions * nearest[:, None], np.float32)


def _lowest(skull: SkullRadiusMap, shape: _HatShape, azimuth: FloatArray) -> FloatArray:
    """The elevation (N,) of the hat's edge at azimuths (N,)."""
    height, rise = shape.edge
    return _elevation_at(skull, azimuth, height + rise * np.cos(azimuth))


def _hat(skull: SkullRadiusMap, shape: _HatShape) -> MeshPart:
    rows = 80
    azimuth = np.linspace(-np.pi, np.pi, _COLUMNS)
    lowest = _lowest(skull, shape, azimuth)
    t = np.linspace(0, 1, rows)[:, None]
    elevation = np.pi / 2 * (1 - t) + lowest[None] * t
    azimuths = azimuth[None] + np.zeros((rows, 1))
    directions = directions_of(azimuths.ravel(), elevation.ravel())
    radius = skull.radius(directions)
    along = radius * (elevation - lowest[None]).ravel()
    closing = np.sqrt(np.clip(along / 0.02, 0, 1))
    lift = (shape.thickness + 0.018 * (along < shape.band)) * closing - 0.012 * (1 - closing)
    vertices = CENTRE + directions * (radius + lift)[:, None]
    coordinates = np.stack([azimuths.ravel(), along], axis=1).astype(np.float32)
    faces = grid_faces(rows, _COLUMNS)
    return MeshPart("hat", vertices.astype(np.float32), faces, coordinates, shape.style, True)


def _elevation_at(skull: SkullRadiusMap, azimuth: FloatArray, height: FloatArray) -> FloatArray:
    """The elevation (N,) at which the skull has the given height, per azimuth."""
    steps = np.linspace(1.2, -0.6, 90)
    every = directions_of(azimuth[:, None] + 0 * steps, steps + 0 * azimuth[:, None])
    radius = skull.radius(every.reshape(-1, 3)).reshape(len(azimuth), len(steps))
    heights = CENTRE[1] + every[..., 1] * radius
    found = [np.interp(h, row[::-1], steps[::-1]) for h, row in zip(height, heights, strict=True)]
    return np.asarray(found)


def _brim(skull: SkullRadiusMap) -> MeshPart:
    rows, columns = 16, 60
    azimuth = np.radians(np.linspace(-62, 62, columns))
    lowest = _elevation_at(skull, azimuth, 0.20 + 0.085 * np.cos(azimuth))
    directions = directions_of(azimuth, lowest)
    start = CENTRE + directions * (skull.radius(directions) + 0.07)[:, None]
    s = np.linspace(0, 1, rows)[:, None, None]
    reach = 0.27 * np.cos(azimuth * np.pi / 2 / np.radians(62)) ** 0.6
    out = np.stack([0.25 * np.sin(azimuth), -0.34 + 0 * azimuth, np.ones(columns)], axis=1)
    top = start[None] + s * (out * reach[:, None])[None]
    top[..., 1] -= 0.5 * (top[..., 0] ** 2) * s[..., 0]
    under = top[::-1] - np.array([0, 0.016, 0])
    vertices = np.concatenate([top, under]).reshape(-1, 3).astype(np.float32)
    coordinates = np.stack([vertices[:, 0], vertices[:, 2]], axis=1)
    faces = grid_faces(2 * rows, columns)
    return MeshPart("hat", vertices, faces, coordinates, STYLE_CAP, is_attribute=True)


@dataclass(frozen=True)
class _Frame:
    """The rims of glasses, in head units."""

    half_width: float
    half_height: float
    power: float
    """of the outline: 2 is an ellipse, more is squarer"""
    thickness: float


GLASSES = {
    "eyeglasses_round": _Frame(0.095, 0.09, 2.0, 0.009),
    "eyeglasses_square": _Frame(0.102, 0.075, 4.5, 0.013),
}


def glasses(name: str) -> list[MeshPart]:
    """Two rims, a bridge and two temples."""
    frame = GLASSES[name]
    angle = np.linspace(0, 2 * np.pi, 73)
    pieces = []

    def rounded(value: FloatArray) -> FloatArray:
        return np.sign(value) * np.abs(value) ** (2 / frame.power)

    for side in (-1.0, 1.0):
        x = side * 0.128 + frame.half_width * rounded(np.cos(angle))
        z = 0.438 - 0.8 * x**2
        rim = np.stack([x, 0.03 + frame.half_height * rounded(np.sin(angle)), z], axis=1)
        pieces.append(_tube(rim, frame.thickness))
        path = np.array(_TEMPLE) * np.array([side, 1, 1])
        pieces.append(_tube(_resampled(path, 40), 0.9 * frame.thickness))
    t = np.linspace(-1, 1, 25)
    bridge = np.stack([0.034 * t, 0.045 + 0.012 * (1 - t**2), 0.438 + 0.02 * (1 - t**2)], axis=1)
    return [*pieces, _tube(bridge, 0.9 * frame.thickness)]


def _resampled(path: FloatArray, count: int) -> FloatArray:
    steps = np.linspace(0, len(path) - 1, count)
    smooth = [np.interp(steps, np.arange(len(path)), path[:, axis]) for axis in range(3)]
    kernel = np.ones(7) / 7
    padded = [np.convolve(np.pad(line, 3, mode="edge"), kernel, mode="valid") for line in smooth]
    return np.stack(padded, axis=1)


def _tube(path: FloatArray, radius: float) -> MeshPart:
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    helper = np.where(np.abs(tangent[:, 1:2]) > 0.9, [[0, 0, 1.0]], [[0, 1.0, 0]])
    helper = np.where(np.ptp(path[:, 2]) < 0.05, [[0, 0, 1.0]], helper)
    first = np.cross(tangent, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(tangent, first)
    turn = np.linspace(0, 2 * np.pi, 13)[None, :, None]
    ring = np.cos(turn) * first[:, None] + np.sin(turn) * second[:, None]
    vertices = (path[:, None] + radius * ring).reshape(-1, 3).astype(np.float32)
    faces = grid_faces(len(path), 13)
    return MeshPart(
        "glasses", vertices, faces, vertices[:, :2].copy(), STYLE_FRAME, is_attribute=True
    )


def collar(rim: FloatArray) -> MeshPart:
    """The neckline of a T-shirt, which hides where the neck ends.

    Args:
        rim: (N, 3) the points at which the head's neck is cut, in any order.
    """
    azimuth = np.linspace(-np.pi, np.pi, 120)
    angles = np.arctan2(rim[:, 0], rim[:, 2] - _NECK_Z)
    order = np.argsort(angles)
    reach = np.hypot(rim[:, 0], rim[:, 2] - _NECK_Z)
    radius = np.interp(azimuth, angles[order], reach[order], period=2 * np.pi)
    height = np.interp(azimuth, angles[order], rim[order, 1], period=2 * np.pi)
    mean = float(height.mean())
    rings = []
    for outward, upward, share in _COLLAR:
        shoulder = 0.25 * (outward > 0.05) * np.sin(azimuth) ** 2
        wide = np.maximum(radius + outward, 0) * (1 + shoulder)
        level = mean + share * (height - mean) + upward
        rings.append(np.stack([wide * np.sin(azimuth), level, _NECK_Z + wide * np.cos(azimuth)], 1))
    vertices = np.concatenate(rings).astype(np.float32)
    ring = np.repeat(np.arange(len(_COLLAR)), len(azimuth))
    coordinates = np.stack([np.tile(azimuth, len(_COLLAR)), ring], axis=1)
    faces = grid_faces(len(_COLLAR), len(azimuth))
    return MeshPart("clothes", vertices, faces, coordinates.astype(np.float32), STYLE_SHIRT)
