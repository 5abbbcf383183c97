"""How far the lids and the lips of a head are apart, by its landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.head.model import Head
from pegasus_runtime.head.skinning import pose_joints
from pegasus_runtime.parameters import JAW_OPEN_INDEX, NUM_POSE

FloatArray = npt.NDArray[np.floating[Any]]
_UPPER_LIDS, _LOWER_LIDS = (37, 38, 43, 44), (41, 40, 47, 46)
_UPPER_LIPS, _LOWER_LIPS = (61, 62, 63), (67, 66, 65)
_MOUTH_CORNERS = (48, 54)


@dataclass(frozen=True, eq=False)
class Openings:
    """The 68 landmarks of the neutral head at rest, and what lies between them."""

    corners: npt.NDArray[np.int64]
    """(68, 3) vertices of the triangle that each landmark is on"""
    weights: FloatArray
    """(68, 3)"""
    neutral: FloatArray
    """(68, 3)"""

    @classmethod
    def of(cls, head: Head) -> Openings | None:
        """None for a head without landmarks."""
        marks = head.landmarks
        if marks is None:
            return None
        corners, weights = head.faces[marks.faces].numpy(), marks.barycentric.numpy()
        return cls(corners, weights, _on_mesh(head.template.numpy()[corners], weights))

    def moved(self, change: FloatArray) -> FloatArray:
        """The landmarks (68, 3) when the vertices at rest move by ``change`` (V, 3)."""
        return self.neutral + _on_mesh(change[self.corners], self.weights)

    def posed(self, head: Head, expression: Tensor, pose: Tensor) -> FloatArray:
        """The landmarks (N, 68, 3) of poses (N, 15) with expressions (N, 50).

        As `pose_head` does it, of the few vertices that have a landmark.
        """
        chosen = torch.from_numpy(self.corners.ravel())
        shape = expression.new_zeros(len(expression), head.identity_directions.shape[2])
        _, transforms, feature = pose_joints(head, shape, expression, pose)
        corrected = (
            head.template[chosen]
            + torch.einsum("vce,ne->nvc", head.expression_directions[chosen], expression)
            + torch.einsum("vcf,nf->nvc", head.pose_directions[chosen], feature)
        )
        weights = head.skinning_weights[chosen]
        blended = torch.einsum("vj,njab->nvab", weights, transforms[..., :3, :])
        posed = (blended[..., :3] @ corrected[..., None])[..., 0] + blended[..., 3]
        return _on_mesh(posed.unflatten(1, self.corners.shape).numpy(), self.weights)

    def lids(self, marks: FloatArray) -> FloatArray:
        """How far the lids are apart (…, 4), in neutral openings, for landmarks (…, 68, 3)."""
        neutral = _heights(self.neutral, _UPPER_LIDS, _LOWER_LIDS)
        return _heights(marks, _UPPER_LIDS, _LOWER_LIDS) / neutral

    def lips(self, marks: FloatArray) -> FloatArray:
        """How far the lips are apart (…, 3), in widths of the neutral mouth."""
        return _heights(marks, _UPPER_LIPS, _LOWER_LIPS) / self.mouth_width

    def lips_over_jaw(self, head: Head, angles_rad: FloatArray, expression: Tensor) -> FloatArray:
        """The mean of that (N,) while the jaw opens by angles (N,), with an expression (50,)."""
        pose = torch.zeros(len(angles_rad), NUM_POSE)
        pose[:, JAW_OPEN_INDEX] = torch.from_numpy(angles_rad)
        posed = self.posed(head, expression.expand(len(angles_rad), -1), pose)
        return np.asarray(self.lips(posed).mean(axis=1))

    @property
    def mouth_width(self) -> float:
        """Between the corners of the neutral mouth, in units of the head."""
        left, right = (self.neutral[corner] for corner in _MOUTH_CORNERS)
        return float(np.linalg.norm(left - right))

    @property
    def lip_depth(self) -> float:
        """z of the middle of the neutral lips, in units of the head."""
        return float(self.neutral[[*_UPPER_LIPS, *_LOWER_LIPS], 2].mean())


def _on_mesh(corners: FloatArray, weights: FloatArray) -> FloatArray:
    """Points (…, L, 3) in triangles (…, L, 3, 3) with barycentric weights (L, 3)."""
    return np.asarray((corners * weights[:, :, None]).sum(axis=-2))


def _heights(marks: FloatArray, upper: tuple[int, ...], lower: tuple[int, ...]) -> FloatArray:
    return np.asarray(marks[..., list(upper), 1] - marks[..., list(lower), 1])
