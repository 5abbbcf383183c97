"""Surfels carried through frames by the head alone, before or after any training."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.deform.surface import apply_rows
from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.surfels.binding import place_on_triangles
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.dataset import Capture, TrainingFrame


class CarriedSurfels:
    """Surfels on the tracked head."""

    def __init__(self, head: Head, capture: Capture, surfels: Surfels) -> None:
        self._head, self._shape, self._surfels = head, capture.shape, surfels
        self._local_normals = rotation_matrices(surfels.rotation)[:, :, 2]

    def to(self, frame: TrainingFrame) -> tuple[Tensor, Tensor, Tensor]:
        """Points and normals (N, 3) in a frame, and the points' projections."""
        record, surfels = frame.record, self._surfels
        expression, pose = torch.from_numpy(record.expression), torch.from_numpy(record.pose)
        corners = pose_head(self._head, self._shape, expression, pose).vertices[self._head.faces]
        points, frames = place_on_triangles(
            corners, surfels.triangle, surfels.barycentric, surfels.offset
        )
        return points, apply_rows(frames, self._local_normals), record.camera.project(points)


def facing_camera(camera: tuple[Tensor, Tensor, Tensor], points: Tensor, normals: Tensor) -> Tensor:
    """(N,) cosines between normals (N, 3) at points (N, 3) and the way to the camera.

    Args:
        camera: as `Camera.tensors`.
        points: in the world.
        normals: of length one.
    """
    rotation, translation, _ = camera
    away = torch.nn.functional.normalize(-(rotation @ translation) - points, dim=1)
    facing: Tensor = (normals * away).sum(dim=1)
    return facing
