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
HEM = (-0.65, 0.45)
"""Height of the bust's lower edge in the middle, in head units, and by how much it rises with the
square of x; lower ones leave the pictures"""
NECK_END = (HEM[0] + 0.02, HEM[1])
"""The same of the neck under the shirt: farther down it shows below the bust, farther up in the
collar."""
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
    """Cloth over the shoulders, closed below as a plaster bust is, and a ribbed collar.

    Args:
        points: (V, 3) the head and what is beside it, at rest.
        body: (F, 3) the shoulders' triangles.
        weights: (V, J) of the joints.
    """
    used, faces = np.unique(body, return_inverse=True)
    faces = faces.reshape(body.shape)
    cloth = points[used] + _LOOSE * vertex_normals(points[used], faces)
    carried = weights[used]
    band, nearest = _collar(cloth)
    base, base_weights = _base(cloth, faces, carried)
    base_faces = np.arange(len(base)).reshape(-1, 3)
    band_faces = grid_faces(len(_BAND), _COLUMNS)[:, ::-1]
    firsts = len(cloth), len(cloth) + len(base)
    return Shirt(
        np.concatenate([cloth, base, band]).astype(np.float32),
        np.concatenate([faces, base_faces + firsts[0], band_faces + firsts[1]]).astype(np.int64),
        _band_uv(len(faces) + len(base_faces), band_faces),
        np.concatenate([carried, base_weights, carried[nearest]]).astype(np.float32),
    )


def _base(
    cloth: FloatArray, faces: IndexArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Corners (3 T, 3) of what closes the bust at its hem, and their weights (3 T, J).

    A fan from the middle to where the hem crosses each triangle of the cloth.
    """
    corners = np.concatenate([cloth, weights], axis=1)[faces]
    above = corners[..., 1] - (HEM[0] + HEM[1] * corners[..., 0] ** 2)
    side = np.where(above < 0, -1, 1)
    crosses = np.abs(side.sum(axis=1)) == 1
    corners, above, side = corners[crosses], above[crosses], side[crosses]
    # First the corner that is alone on its side, then the others in their order.
    alone = (side == -side.sum(axis=1, keepdims=True)).argmax(axis=1)
    order = (alone[:, None] + np.arange(3)) % 3
    corners, above = (
        corners[np.arange(len(order))[:, None], order],
        np.take_along_axis(above, order, 1),
    )
    share = (above[:, :1] / (above[:, :1] - above[:, 1:]))[..., None]
    ends = corners[:, :1] + share * (corners[:, 1:] - corners[:, :1])
    # Seen from below, as the cloth is from outside.
    ends = np.where(above[:, :1, None] < 0, ends, ends[:, ::-1])
    middle = np.broadcast_to(ends.mean(axis=(0, 1)), (len(ends), 1, ends.shape[2]))
    fan = np.concatenate([ends, middle], axis=1).reshape(-1, ends.shape[2])
    return fan[:, :3], fan[:, 3:]


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
