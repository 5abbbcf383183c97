"""Normals of a mesh's vertices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def vertex_normals(
    vertices: npt.NDArray[np.floating], faces: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """Unit normals (V, 3) of vertices (V, 3), by the areas of their triangles (F, 3)."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat, count = faces.ravel(), len(vertices)
    total = [np.bincount(flat, np.repeat(across[:, axis], 3), count) for axis in range(3)]
    normals = np.stack(total, axis=1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(length, 1e-12), np.float32)
