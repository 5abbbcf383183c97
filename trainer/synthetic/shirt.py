"""A T-shirt over MakeHuman's shoulders, which hides where the bust ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.head.mesh_normals import vertex_normals
from trainer.synthetic.skull_radius_map import FloatArray, IndexArray, grid_faces

NECKLINE = (-0.50, -0.47)
"""height at z = 0, and how it falls towards the front, in head units; higher ones cover the neck"""
_LOOSE = 0.030
"""how far cloth lies from the skin; less lets skin through at the shoulders, more hangs like a
bell"""
_AXIS_Z = -0.10
"""of the neck, about which the collar runs"""
_COLUMNS = 96
"""Finer collars have smoother outlines and take longer to draw."""
_BAND = (
    (0.004, -0.030),
    (0.018, -0.018),
    (0.020, 0.004),
    (0.010, 0.018),
    (-0.006, 0.014),
    (-0.03, -0.03),
)
"""outward and upward of the neckline, ring by ring of the collar's band, from the cloth inwards;
farther outward the band stands off the neck"""
_FIT_REACH, _FIT_HEIGHT, _FIT_RAD = 0.15, 0.05, 0.2
"""Around the neckline, up and down and about the neck, within which cloth tells how wide the collar
is: less follows single folds, more cuts across the shoulders."""


@dataclass(frozen=True, eq=False)
class Shirt:
    """A T-shirt at rest."""

    vertices: FloatArray
    """(N, 3)"""
    faces: IndexArray
    """(M, 3)"""
    uv: FloatArray
    """(M, 3, 2): 1 on the band, and the angle around the neck"""
    weights: FloatArray
    """(N, J) of the joints"""


def t_shirt(points: FloatArray, body: IndexArray, weights: FloatArray) -> Shirt:
    """Cloth over the shoulders and a ribbed collar.

    Args:
        points: (V, 3) the head and what is beside it, at rest.
        body: (F, 3) the shoulders' triangles.
        weights: (V, J) of the joints.
    """
    used, faces = np.unique(body, return_inverse=True)
    faces = faces.reshape(body.shape)
    cloth = points[used] + _LOOSE * vertex_normals(points[used], faces)
    band, nearest = _collar(cloth)
    band_faces = grid_faces(len(_BAND), _COLUMNS)[:, ::-1] + len(cloth)
    return Shirt(
        np.concatenate([cloth, band]).astype(np.float32),
        np.concatenate([faces, band_faces]).astype(np.int64),
        _band_uv(len(faces), band_faces - len(cloth)),
        np.concatenate([weights[used], weights[used][nearest]]).astype(np.float32),
    )


def _band_uv(num_cloth: int, band_faces: IndexArray) -> FloatArray:
    angle = (band_faces % _COLUMNS) / _COLUMNS
    band = np.stack([np.ones_like(angle), angle], axis=-1)
    return np.concatenate([np.zeros((num_cloth, 3, 2)), band]).astype(np.float32)


def bare_neck(points: FloatArray, body: IndexArray) -> npt.NDArray[np.bool_]:
    """Which triangles (F,) of the body may be seen above the shirt."""
    corners = points[body]
    above = corners[..., 1] - (NECKLINE[0] + NECKLINE[1] * corners[..., 2])
    return np.asarray(above.max(axis=1) > -0.05)


def _collar(cloth: FloatArray) -> tuple[FloatArray, IndexArray]:
    """Rings of the band, ring by ring, and the vertex of the cloth nearest to each."""
    above = cloth[:, 1] - (NECKLINE[0] + NECKLINE[1] * cloth[:, 2])
    near = cloth[np.abs(above) < _FIT_REACH]
    height = above[np.abs(above) < _FIT_REACH]
    around = np.arctan2(near[:, 0], near[:, 2] - _AXIS_Z)
    reach = np.hypot(near[:, 0], near[:, 2] - _AXIS_Z)
    azimuth = np.linspace(-np.pi, np.pi, _COLUMNS)
    radius = np.array([_radius_at(a, around, height, reach) for a in azimuth])
    rings = []
    for out, up in _BAND:
        wide = radius + out
        z = _AXIS_Z + wide * np.cos(azimuth)
        rings.append(np.stack([wide * np.sin(azimuth), NECKLINE[0] + NECKLINE[1] * z + up, z], 1))
    band = np.concatenate(rings)
    nearest = np.array([((cloth - point) ** 2).sum(axis=1).argmin() for point in band])
    return band, nearest


def _radius_at(azimuth: float, around: FloatArray, height: FloatArray, reach: FloatArray) -> float:
    """How far the cloth is from the axis where it meets the neckline: a line fitted nearby."""
    turn = np.angle(np.exp(1j * (around - azimuth)))
    weight = np.exp(-((turn / _FIT_RAD) ** 2) - (height / _FIT_HEIGHT) ** 2) + 1e-9
    slope = np.stack([np.ones_like(height), height], axis=1) * np.sqrt(weight)[:, None]
    return float(np.linalg.lstsq(slope, reach * np.sqrt(weight), rcond=None)[0][0])
