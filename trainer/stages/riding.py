"""Canonical points carried through a capture's frames by the head alone, before any training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.surface import apply_rows, invert_3x3, prepare_pose
from pegasus_runtime.head import Head
from trainer.data.dataset import Capture, TrainingFrame


@dataclass
class Ride:
    """One frame's motion of M points, each riding on a vertex of the head."""

    undo: Tensor
    """(M, 3, 3) inverse of the canonical linear blend"""
    undo_shift: Tensor
    """(M, 3)"""
    displacement: Tensor
    """(M, 3) by expression, pose correctives and shape"""
    linear: Tensor
    """(M, 3, 3)"""
    shift: Tensor
    """(M, 3)"""

    def carry(self, points: Tensor) -> Tensor:
        """Points (…, M, 3) in the frame's pose."""
        rest = apply_rows(self.undo, points - self.undo_shift) + self.displacement
        return apply_rows(self.linear, rest) + self.shift

    def turn(self, directions: Tensor) -> Tensor:
        """Unit directions (M, 3) in the frame's pose, by the joints' rotations."""
        return torch.nn.functional.normalize(
            apply_rows(self.linear, apply_rows(self.undo, directions)), dim=1
        )


def ride_on_head(
    head: Head, canonical: CanonicalHead, capture: Capture, frame: TrainingFrame, nearest: Tensor
) -> Ride:
    """The motion of points that ride on the vertices ``nearest`` (M,) in one frame."""
    record = frame.record
    posed = prepare_pose(
        head,
        canonical,
        torch.from_numpy(record.expression),
        torch.from_numpy(record.pose),
        capture.shape,
    )
    weights = torch.nn.functional.pad(head.skinning_weights, (1, 0))[nearest]
    before = torch.einsum("mb,bij->mij", weights, canonical.transforms[:, :3])
    after = torch.einsum("mb,bij->mij", weights, posed.transforms[:, :3])
    moved = head.expression_directions @ posed.expression_change
    moved = moved + head.pose_directions @ posed.feature_change
    if posed.shape_displacements is not None:
        moved = moved + posed.shape_displacements
    return Ride(
        invert_3x3(before[:, :, :3]),
        before[:, :, 3],
        moved[nearest],
        after[:, :, :3],
        after[:, :, 3],
    )


def pixels_of(frame: TrainingFrame, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column (P,) of projected points (P, 3) in a frame's picture, and which fall into it."""
    height, width = frame.mask.shape
    column = ((1 - projected[:, 0]) * width / 2).floor().long()
    row = ((1 - projected[:, 1]) * height / 2).floor().long()
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return row.clamp(0, height - 1), column.clamp(0, width - 1), seen
