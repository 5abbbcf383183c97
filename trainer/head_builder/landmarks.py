"""The 68 iBUG landmarks on the free head, and its jaw contour seen from 79 yaw angles.

Static landmarks were placed by eye on the front view of the template; the table below holds them in
millimetres for the person's left half. The contour is the outline of the face (without ears and
neck) around a point inside it, turned as FLAME's dynamic contour is.
"""

from __future__ import annotations

import numpy as np

from trainer.head_builder.anny_source import HeadSource

# Where landmarks lie on the template from the front, millimetres from between the eyes: those of a
# tracker that lie elsewhere pull the fitted head by as much.
BROW_MM = ((11.0, 20.0), (18.0, 23.5), (27.0, 26.0), (38.0, 26.0), (49.0, 21.0))
NOSE_BRIDGE_MM = ((0.0, 10.0), (0.0, -3.0), (0.0, -15.0), (0.0, -27.5))
NOSE_BASE_MM = ((0.0, -40.5), (6.0, -38.5), (12.0, -36.5))
# Inner corner, upper inner, upper outer, outer corner, lower outer, lower inner.
EYE_MM = ((18.2, 7.4), (26.5, 14.1), (37.5, 14.6), (46.0, 9.8), (38.0, 4.6), (26.5, 4.5))
# From the middle of the upper lip over the corner to the middle of the lower lip.
LIP_OUTER_MM = (
    (0.0, -54.5),
    (6.0, -53.5),
    (15.0, -57.0),
    (25.2, -62.6),
    (16.0, -70.5),
    (8.0, -74.3),
    (0.0, -75.0),
)
LIP_INNER_MM = ((0.0, -62.2), (9.0, -61.6), (22.5, -62.0), (9.0, -63.5), (0.0, -64.0))

MAX_YAW_DEG = 39
"""As FLAME's table ends, which programs that read a head expect."""
NUM_YAW_BINS = 2 * MAX_YAW_DEG + 1
CONTOUR_POLAR_DEG = np.linspace(163.0, 377.0, 17)
CONTOUR_CENTRE_M = np.array([0.0, -0.015, 0.04])
"""Directions from a centre in which the contour's places lie: a wider range takes in the temples, a
higher centre crowds them at the chin."""
CONTOUR_WINDOW_DEG = 4.0
"""Of the contour's angle in which its outermost place is looked for: less picks single bumps, more
gives neighbours the same place."""
CHIN_M, JAW_SLOPE, EAR_FRONT_M = (-0.104, 0.097), 0.5, 0.014
"""What of a face its contour may run on: above a line from the chin, rising backwards, and before
the ears. A lower line lets it slip under the chin."""


def landmark_embedding(
    source: HeadSource, template: np.ndarray, face_mask: np.ndarray
) -> dict[str, np.ndarray]:
    """The four landmark tensors of a head file.

    Args:
        source: where the faces come from.
        template: (V, 3) in metres.
        face_mask: (V,) true where the outline of the face may run: skin without ears and neck.
    """
    static = _static_positions() * 1e-3
    skin = np.flatnonzero(source.regions["head"][source.faces].all(axis=1))
    static_faces, static_weights = _project_from_front(static, template, source.faces, skin)
    contour_faces, contour_weights = _contours(template, source.faces, skin, face_mask)
    return {
        "landmark_faces": np.concatenate([contour_faces[0], static_faces]),
        "landmark_barycentric": np.concatenate([contour_weights[0], static_weights]),
        "contour_faces": contour_faces,
        "contour_barycentric": contour_weights,
    }


def landmark_lookup_bins() -> dict[int, int]:
    """FLAME's contour bin of every whole degree the head turns about +y: 0..39, then -1..-39."""
    degrees = range(-MAX_YAW_DEG, MAX_YAW_DEG + 1)
    return {deg: deg if deg >= 0 else MAX_YAW_DEG - deg for deg in degrees}


def _static_positions() -> np.ndarray:
    """Front-view positions (51, 2) of landmarks 17 to 67, in millimetres."""
    left_brow, eye = np.array(BROW_MM), np.array(EYE_MM)
    base, outer, inner = np.array(NOSE_BASE_MM), np.array(LIP_OUTER_MM), np.array(LIP_INNER_MM)
    mirror = np.array([-1.0, 1.0])
    parts = [
        left_brow[::-1] * mirror,
        left_brow,
        np.array(NOSE_BRIDGE_MM),
        base[:0:-1] * mirror,
        base,
        eye[[3, 2, 1, 0, 5, 4]] * mirror,
        eye,
        outer[[3, 2, 1]] * mirror,
        outer,
        outer[[5, 4]] * mirror,
        inner[[2, 1]] * mirror,
        inner,
        inner[[3]] * mirror,
    ]
    return np.concatenate(parts)


def _project_from_front(
    positions: np.ndarray, template: np.ndarray, faces: np.ndarray, allowed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Foremost point of the ``allowed`` faces under each front-view position (N, 2)."""
    corners = template[faces[allowed]]
    chosen, weights = [], []
    for position in positions:
        barycentric = _barycentric_2d(position, corners[:, :, :2])
        inside = np.clip(barycentric, 0.0, None)
        inside /= inside.sum(axis=1, keepdims=True)
        points = np.einsum("fk,fkc->fc", inside, corners)
        distance = np.linalg.norm(points[:, :2] - position, axis=1)
        near = distance < distance.min() + 1e-6
        best = int(np.where(near, points[:, 2], -np.inf).argmax())
        chosen.append(allowed[best])
        weights.append(inside[best])
    return np.array(chosen, dtype=np.int64), np.array(weights)


def _barycentric_2d(position: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric coordinates (F, 3) of ``position`` (2,) in flat triangles (F, 3, 2)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, ap = b - a, c - a, position - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    v = (ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / area
    w = (ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / area
    return np.stack([1.0 - v - w, v, w], axis=1)


def _contours(
    template: np.ndarray, faces: np.ndarray, skin: np.ndarray, face_mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Faces (79, 17) and barycentric weights (79, 17, 3) of the outline at every yaw bin."""
    sample_faces, weights, points = _surface_samples(template, faces, skin, face_mask)
    chosen = np.zeros((NUM_YAW_BINS, 17), dtype=np.int64)
    for bin_deg, index in landmark_lookup_bins().items():
        chosen[index] = _outline(points, np.radians(bin_deg))
    return sample_faces[chosen], weights[chosen]


def _surface_samples(
    template: np.ndarray, faces: np.ndarray, skin: np.ndarray, face_mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points spread over the face above the jaw line: faces (S,), weights (S, 3), points (S, 3)."""
    steps = [(i, j, 3 - i - j) for i in range(4) for j in range(4 - i)]
    pattern = np.array(steps) / 3.0
    skin = skin[face_mask[faces[skin]].all(axis=1)]
    points = np.einsum("pk,fkc->fpc", pattern, template[faces[skin]]).reshape(-1, 3)
    sample_faces = np.repeat(skin, len(pattern))
    weights = np.tile(pattern, (len(skin), 1))
    chin_y, chin_z = CHIN_M
    jaw_line = chin_y + JAW_SLOPE * np.clip(chin_z - points[:, 2], 0.0, None)
    kept = (points[:, 1] > jaw_line) & (points[:, 2] > EAR_FRONT_M)
    return sample_faces[kept], weights[kept], points[kept]


def _outline(points: np.ndarray, yaw_rad: float) -> np.ndarray:
    """Samples (17,) that lie outermost around the face when the head turns by ``yaw_rad``."""
    relative = points - CONTOUR_CENTRE_M
    across = np.cos(yaw_rad) * relative[:, 0] + np.sin(yaw_rad) * relative[:, 2]
    polar = np.degrees(np.arctan2(relative[:, 1], across))
    radius = np.hypot(across, relative[:, 1])
    chosen = []
    for wanted in CONTOUR_POLAR_DEG:
        away = (polar - wanted + 180.0) % 360.0 - 180.0
        score = radius * np.cos(np.radians(4.0 * away))
        chosen.append(np.where(np.abs(away) < CONTOUR_WINDOW_DEG, score, -np.inf).argmax())
    return np.array(chosen, dtype=np.int64)
