"""The skull as a map of smooth radii over directions, which hair and hats are laid upon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IndexArray = npt.NDArray[np.int64]
CENTRE = np.array([0.0, 0.08, -0.03], np.float32)
"""Of the directions in which hair and hats grow from a skull: about its middle, from where every
ray meets it once."""
_BLUR = 0.003
"""More smooths ears and nose away under a hat, less lets them show through it."""
_STEP = np.pi / 60
"""Finer steps follow the skull more closely and take longer once."""
_ROWS, _COLUMNS = 56, round(2 * np.pi / _STEP) + 1
"""From the pole down to where the neck is, and all around."""


@dataclass(frozen=True, eq=False)
class MeshPart:
    """A mesh that rides on the head."""

    part: str
    """its part label: hair, hat, glasses or clothes"""
    vertices: FloatArray
    """(N, 3) at rest, in head units"""
    faces: IndexArray
    """(M, 3)"""
    coordinates: FloatArray
    """(N, 2 or 3) azimuth and length along the surface, then for hair the height over its line"""
    style: int = 0
    """which pattern the shader draws"""
    is_attribute: bool = False
    """whether this is what the folder replaces"""


class SkullRadiusMap:
    """Directions to points on the skull, ears and nose left out."""

    def __init__(self, vertices: FloatArray, faces: IndexArray, outer: npt.NDArray[np.bool_]):
        corners = vertices[faces[outer[faces].all(axis=1)]]
        steps = np.linspace(0, 1, 4)
        weights = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1.0001]
        points = np.concatenate([np.einsum("k,fkc->fc", w, corners) for w in np.array(weights)])
        offsets = (points - CENTRE).astype(np.float32)
        radii = np.linalg.norm(offsets, axis=1)
        self._table = _radius_table(offsets / radii[:, None], radii)

    def radius(self, directions: FloatArray) -> FloatArray:
        """The skull's radius (N,) along unit directions (N, 3)."""
        azimuth = np.arctan2(directions[:, 0], directions[:, 2])
        elevation = np.arcsin(np.clip(directions[:, 1], -1, 1))
        rows, columns = self._table.shape
        row = np.clip((np.pi / 2 - elevation) / _STEP, 0, rows - 1.001)
        column = np.clip((azimuth + np.pi) / _STEP, 0, columns - 1.001)
        i, j = row.astype(int), column.astype(int)
        down, right = row - i, column - j
        above = self._table[i, j] * (1 - right) + self._table[i, j + 1] * right
        below = self._table[i + 1, j] * (1 - right) + self._table[i + 1, j + 1] * right
        return np.asarray(above * (1 - down) + below * down, np.float32)


def _radius_table(directions: FloatArray, radii: FloatArray) -> FloatArray:
    """Blurred radii over (elevation from the pole down, azimuth from the back)."""
    elevation = np.pi / 2 - _STEP * np.arange(_ROWS)[:, None]
    azimuth = _STEP * np.arange(_COLUMNS)[None] - np.pi
    every = directions_of(azimuth + 0 * elevation, elevation + 0 * azimuth)
    table = np.empty(every.shape[:2], np.float32)
    for row, line in enumerate(every):
        weights = np.exp((line @ directions.T - 1.0) / _BLUR) + 1e-12
        table[row] = (weights @ radii) / weights.sum(axis=1)
    return table


def grid_faces(num_rows: int, num_columns: int) -> IndexArray:
    """Triangles (M, 3) of a grid of vertices stored row by row."""
    row, column = np.mgrid[: num_rows - 1, : num_columns - 1]
    corner = (row * num_columns + column).ravel()
    right, below = corner + 1, corner + num_columns
    return np.concatenate(
        [np.stack([corner, below, right], 1), np.stack([right, below, below + 1], 1)]
    ).astype(np.int64)


def directions_of(azimuth: FloatArray, elevation: FloatArray) -> FloatArray:
    """Unit vectors (…, 3); azimuth 0 is the face's +z, growing to the person's left, in radians."""
    flat = np.cos(elevation)
    parts = [flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)]
    return np.stack(parts, axis=-1).astype(np.float32)


def ripple(points: FloatArray, frequency: float, seed: int, num_waves: int = 12) -> FloatArray:
    """A smooth random field (N,) of about unit variance at points (N, 3)."""
    random = np.random.default_rng(seed)
    waves = random.normal(size=(3, num_waves)) * frequency
    phases = random.uniform(0, 2 * np.pi, num_waves)
    field = np.cos(points @ waves + phases).sum(axis=1) * np.sqrt(2 / num_waves)
    return np.asarray(field, np.float32)
