"""Where the 68 face landmarks sit on a head, and what an embedding must satisfy."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LandmarkEmbedding:
    """Where the 68 landmarks sit on the mesh: a triangle and barycentric weights each."""

    faces: Tensor
    """(68,) triangle of each landmark; the first 17 are the jaw's contour seen from the front"""
    barycentric: Tensor
    """(68, 3)"""
    contour_faces: Tensor
    """(79, 17) contour by yaw: row d for d = 0..39 degrees, row 39 + d for -d degrees"""
    contour_barycentric: Tensor
    """(79, 17, 3)"""

    def to(self, device: torch.device | str) -> LandmarkEmbedding:
        """The same on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


MAX_MAGNITUDE = 1e4
"""Of a length or a weight. With a larger one pictures are no numbers any more."""


def check_landmarks(marks: LandmarkEmbedding, num_faces: int) -> None:
    """Raises ValueError when an embedding does not fit a mesh of that many triangles."""
    check_indices("landmark_faces", marks.faces, (68,), num_faces)
    check_numbers("landmark_barycentric", marks.barycentric, (68, 3))
    check_indices("contour_faces", marks.contour_faces, (79, 17), num_faces)
    check_numbers("contour_barycentric", marks.contour_barycentric, (79, 17, 3))


def check_numbers(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless the tensor holds finite numbers of that shape."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name} holds NaN or infinity")
    if tensor.numel() and float(tensor.abs().max()) > MAX_MAGNITUDE:
        raise ValueError(f"{name} holds numbers above {MAX_MAGNITUDE:g}; a head is in metres")


def check_indices(name: str, tensor: Tensor, shape: tuple[int, ...], limit: int) -> None:
    """Raises ValueError unless the tensor holds indices below the limit, of that shape."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    if tensor.is_floating_point():
        raise ValueError(f"{name} holds fractions, expected indices")
    if tensor.numel() and not (int(tensor.min()) >= 0 and int(tensor.max()) < limit):
        raise ValueError(f"{name} points outside of 0..{limit - 1}")
