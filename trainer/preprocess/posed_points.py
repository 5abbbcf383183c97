"""A head of which only some points are posed: those that are fitted, not all vertices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.mesh_normals import vertex_normals
from pegasus_runtime.head.skinning import joint_transforms, pose_joints, rotation_matrices

MOVED_ANGLES = (3, 4, 5, 6, 7, 8, 9, 10, 12, 13)
"""Of a pose, those that are fitted: neck, jaw, and how far eyes look up and to the side."""
_NUDGE = 1e-6
"""radians, for slopes by angles; larger ones are off by the bend, smaller ones by rounding"""


@dataclass(frozen=True, eq=False)
class Slopes:
    """How R values of each of K points go with what poses them."""

    shape: Tensor
    """(B, K, R, 100)"""
    expression: Tensor
    """(B, K, R, 50)"""
    angles: Tensor
    """(B, K, R, 10) with `MOVED_ANGLES`"""
    rest: Tensor
    """(B, K, R, 3) with their places on the head at rest"""


class PosedPoints:
    """K points of a head's skin. It counts in double precision."""

    def __init__(self, head: Head, triangles: Tensor, barycentric: Tensor) -> None:
        """On triangles (K,), with weights (K, 3) of their corners."""
        self._head = head = _in_doubles(head)
        corners, weights = head.faces[triangles], barycentric.double()

        def here(values: Tensor) -> Tensor:
            return torch.einsum("kv,kv...->k...", weights, values[corners])

        normals = torch.from_numpy(vertex_normals(head.template.numpy(), head.faces.numpy()))
        self.at_rest = here(head.template)
        self.normals = torch.nn.functional.normalize(here(normals.double()), dim=1)
        """(K, 3) of the head at rest"""
        self._skinning = here(head.skinning_weights)
        self._identity, self._expression, self._correctives = (
            here(directions).flatten(0, 1).T.contiguous()
            for directions in (
                head.identity_directions, head.expression_directions, head.pose_directions,
            )
        )  # fmt: skip

    def posed(
        self, shape: Tensor, expression: Tensor, pose: Tensor, shift: Tensor | float
    ) -> Tensor:
        """(B, K, 3), as `pose_head` poses vertices, each moved by (K, 3) or not at all at rest."""
        rows = len(pose)
        _, transforms, feature = pose_joints(self._head, shape.expand(rows, -1), expression, pose)
        moved = shape @ self._identity + expression @ self._expression + feature @ self._correctives
        points = ((self.at_rest + shift).flatten() + moved).view(rows, -1, 3, 1)
        blended = (self._skinning @ transforms[:, :, :3].flatten(2)).unflatten(2, (3, 4))
        placed: Tensor = (blended[..., :3] @ points)[..., 0] + blended[..., 3]
        return placed

    def slopes(
        self, shape: Tensor, expression: Tensor, pose: Tensor, shift: Tensor | float, onto: Tensor
    ) -> Slopes:
        """Of what `onto` (B, K, R, 3) makes of `posed`, at the same values.

        A point's own slopes are never written out: there are 160 of each of its three coordinates.
        """
        rows, count = len(pose), len(self.at_rest)
        _, transforms, _ = pose_joints(self._head, shape.expand(rows, -1), expression, pose)
        turned = (self._skinning @ transforms[:, :, :3, :3].flatten(2)).unflatten(2, (3, 3))
        by_rest, by_joints = onto @ turned, onto @ self._slopes_by_joints(pose)
        _, joints_identity, joints_expression = self._head.joint_directions
        by_shape, by_expression = (
            torch.einsum("bkrd,nkd->bkrn", by_rest, directions.view(-1, count, 3))
            + by_joints @ joint_directions.flatten(0, 1)
            for directions, joint_directions in (
                (self._identity, joints_identity), (self._expression, joints_expression),
            )
        )  # fmt: skip
        here, by_angles = self.posed(shape, expression, pose, shift), []
        for angle in MOVED_ANGLES:
            nudged = pose.clone()
            nudged[:, angle] += _NUDGE
            by_angles.append((self.posed(shape, expression, nudged, shift) - here) / _NUDGE)
        return Slopes(by_shape, by_expression, onto @ torch.stack(by_angles, dim=-1), by_rest)

    def _slopes_by_joints(self, pose: Tensor) -> Tensor:
        """(B, K, 3, 15) how points move with the places of the joints, on which shape and
        expression bear: they are linear in them."""
        joints = len(self._head.parents)
        rotations = rotation_matrices(pose.unflatten(1, (joints, 3)))
        unit = torch.eye(3 * joints, dtype=pose.dtype).view(-1, 1, joints, 3)
        transforms = joint_transforms(
            rotations.expand(3 * joints, -1, -1, -1, -1),
            unit.expand(-1, len(pose), -1, -1),
            self._head.parents,
        )
        return torch.einsum("kj,nbjc->bkcn", self._skinning, transforms[..., :3, 3])


def _in_doubles(head: Head) -> Head:
    """Normal equations square what rounding there is."""
    return replace(
        head,
        template=head.template.double(),
        identity_directions=head.identity_directions.double(),
        expression_directions=head.expression_directions.double(),
        pose_directions=head.pose_directions.double(),
        joint_regressor=head.joint_regressor.double(),
        skinning_weights=head.skinning_weights.double(),
    )
