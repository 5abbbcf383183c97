"""The 68 face landmarks of a posed head."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head.landmark_embedding import LandmarkEmbedding
from pegasus_runtime.head.model import Head
from pegasus_runtime.head.skinning import rotation_matrices

NUM_CONTOUR = 17
_MAX_YAW_DEG = 39
"""As FLAME's table of the contour ends; more would read beyond it."""


def face_landmarks(head: Head, vertices: Tensor, pose: Tensor) -> Tensor:
    """The landmarks (…, 68, 3) of posed vertices (…, V, 3).

    The first 17 follow the jaw's visible contour: their place on the mesh is chosen by how far the
    head is turned (FLAME's dynamic landmarks), which is not differentiable.

    Args:
        head: a head with landmarks.
        vertices: (…, V, 3) from `pose_head`.
        pose: (…, 15) axis-angle of the joints in radians.

    Raises:
        InvalidInput: the head has no landmarks.
    """
    marks = head.landmarks
    if marks is None:
        raise InvalidInput(
            f"head {head.name!r}: has no landmarks; give its landmark_embedding.npy."
        )
    lead = vertices.shape[:-2]
    flat = vertices.reshape(-1, *vertices.shape[-2:])
    rows = contour_rows(pose.expand(*lead, 15).reshape(-1, 15))
    places = [_places(marks, int(row)) for row in rows]
    found = [_on_mesh(head.faces, v, f, w) for v, (f, w) in zip(flat, places, strict=True)]
    return torch.stack(found).reshape(*lead, 68, 3)


def contour_rows(pose: Tensor) -> Tensor:
    """Row (B,) of the contour table for poses (B, 15): the yaw of root and neck in degrees."""
    rotations = rotation_matrices(pose.reshape(-1, 5, 3)[:, :2])
    head_rotation = rotations[:, 0] @ rotations[:, 1]
    across = torch.hypot(head_rotation[:, 0, 0], head_rotation[:, 1, 0])
    yaw = torch.atan2(-head_rotation[:, 2, 0], across)
    degrees = torch.round(torch.rad2deg(yaw)).clamp(max=_MAX_YAW_DEG).long()
    mirrored = torch.where(degrees < -_MAX_YAW_DEG, 2 * _MAX_YAW_DEG, _MAX_YAW_DEG - degrees)
    return torch.where(degrees < 0, mirrored, degrees)


def _places(marks: LandmarkEmbedding, row: int) -> tuple[Tensor, Tensor]:
    faces = torch.cat([marks.contour_faces[row], marks.faces[NUM_CONTOUR:]])
    weights = torch.cat([marks.contour_barycentric[row], marks.barycentric[NUM_CONTOUR:]])
    return faces, weights


def _on_mesh(faces: Tensor, vertices: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    return (vertices[faces[chosen]] * weights[..., None]).sum(dim=1)
