"""The tracked head: canonical points carried through a capture's frames by the head alone, before
any training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.deform.surface import apply_rows, invert_3x3, prepare_pose
from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import CanonicalHead
from trainer.data.dataset import Capture, TrainingFrame


@dataclass
class VertexMotion:
    """One frame's motion of M canonical points, each riding on a vertex of the head."""

    linear: Tensor
    """(M, 3, 3)"""
    shift: Tensor
    """(M, 3)"""

    def of(self, index: Tensor) -> VertexMotion:
        """The motion of chosen points."""
        return VertexMotion(self.linear[index], self.shift[index])

    def transform(self, points: Tensor) -> Tensor:
        """Points (M, 3) in the frame's pose."""
        return apply_rows(self.linear, points) + self.shift

    def rotate(self, directions: Tensor) -> Tensor:
        """Unit directions (M, 3) in the frame's pose, by the joints' rotations."""
        return torch.nn.functional.normalize(apply_rows(self.linear, directions), dim=1)


def head_vertex_motion(
    head: Head, canonical: CanonicalHead, capture: Capture, frame: TrainingFrame
) -> VertexMotion:
    """The motion of the head's vertices in one frame; `VertexMotion.of` gives that of points on
    them."""
    record = frame.record
    posed = prepare_pose(
        head,
        canonical,
        torch.from_numpy(record.expression),
        torch.from_numpy(record.pose),
        capture.shape,
    )
    weights = torch.nn.functional.pad(head.skinning_weights, (1, 0))
    before = torch.einsum("vb,bij->vij", weights, canonical.transforms[:, :3])
    after = torch.einsum("vb,bij->vij", weights, posed.transforms[:, :3])
    moved = head.expression_directions @ posed.expression_change
    moved = moved + head.pose_directions @ posed.feature_change
    if posed.shape_displacements is not None:
        moved = moved + posed.shape_displacements
    undo = invert_3x3(before[:, :, :3])
    linear = after[:, :, :3] @ undo
    shift = apply_rows(after[:, :, :3], moved) - apply_rows(linear, before[:, :, 3])
    return VertexMotion(linear, shift + after[:, :, 3])


def sample_image(picture: Tensor, projected: Tensor) -> tuple[Tensor, Tensor]:
    """Values of a picture (H, W, …) at projected points (P, 3), and which of them fall into it."""
    height, width = picture.shape[:2]
    column = ((1 - projected[:, 0]) * width / 2).floor().long()
    row = ((1 - projected[:, 1]) * height / 2).floor().long()
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return picture[row.clamp(0, height - 1), column.clamp(0, width - 1)], seen
