"""A head of which only the landmarks that are fitted are posed: 200 points, not all vertices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.expression_ranges import is_action
from pegasus_runtime.head.skinning import joint_transforms, pose_joints, rotation_matrices
from trainer.preprocess import landmark_groups as groups
from trainer.preprocess.landmark_map import landmark_map

_EVERY = 5
"""of the landmarks between the named ones: all of them cost twice the time and gain nothing"""
_WEIGHTS: tuple[tuple[tuple[int, ...], float], ...] = (
    (groups.OVAL, 0.15),
    (groups.OUTER_LIPS + groups.INNER_LIPS, 3.0),
    (groups.RIGHT_EYE + groups.LEFT_EYE, 3.0),
    (groups.NOSE_RIDGE, 2.0),
    ((groups.RIGHT_IRIS, groups.LEFT_IRIS), 12.0),
)
"""How much a landmark counts. The oval follows what is seen, not the skin; lips and lids are small,
and a likeness is lost there first. Irises are seen in the picture; with 4 a look is followed by six
tenths only."""
_SURE_SPREAD = 0.01
"""in units of the head: a landmark whose place on the mesh is known no better counts half"""
_USUAL_SHIFT, _LID_SHIFT = 0.004, 0.002
"""In units of the head (1 mm, and 0.5 mm): how far on the skin a person's landmark lies from where
others have it. Lids are less than that apart when an eye is nearly closed."""
_LIDS = groups.RIGHT_EYE + groups.LEFT_EYE
_HELD = (*groups.INNER_LIPS, groups.RIGHT_IRIS, groups.LEFT_IRIS)
"""Landmarks at edges that lie there with everybody."""
MOVED_ANGLES = (3, 4, 5, 6, 7, 8, 9, 10, 12, 13)
"""Of a pose, those that are fitted: neck, jaw, and how far eyes look up and to the side."""
_NUDGE = 1e-6
"""radians, for slopes by angles; larger ones are off by the bend, smaller ones by rounding"""


@dataclass(frozen=True, eq=False)
class Slopes:
    """How the K landmarks move with what poses them."""

    shape: Tensor
    """(B, K, 3, 100)"""
    expression: Tensor
    """(B, K, 3, 50)"""
    angles: Tensor
    """(B, K, 3, 10) with `MOVED_ANGLES`"""
    rest: Tensor
    """(B, K, 3, 3) with the landmarks' places on the head at rest"""


class MarkedHead:
    """A head's fitted landmarks, and how much each counts. It counts in double precision."""

    def __init__(self, head: Head) -> None:
        marks = landmark_map(head)
        head, marks = _in_doubles(head), replace(marks, barycentric=marks.barycentric.double())
        self.chosen = _chosen_landmarks()
        self._head = head
        at = {int(mark): row for row, mark in enumerate(self.chosen)}
        kept = torch.from_numpy(self.chosen)
        rest, identity, expression, correctives, self._skinning = (
            marks.on_mesh(head, values)[kept]
            for values in (
                head.template, head.identity_directions, head.expression_directions,
                head.pose_directions, head.skinning_weights,
            )
        )  # fmt: skip
        self.at_rest = rest
        self._identity, self._expression, self._correctives = (
            values.flatten(0, 1).T.contiguous() for values in (identity, expression, correctives)
        )
        self.weights = self._weigh(marks.spread[kept], at)
        self.shiftable = torch.from_numpy(np.flatnonzero(~np.isin(self.chosen, _HELD)))
        on_lids = np.isin(self.chosen[self.shiftable], _LIDS)
        self.usual_shift = np.where(on_lids, _LID_SHIFT, _USUAL_SHIFT)
        self.lid_pairs, self.lip_pairs = (
            torch.tensor([(at[a], at[b]) for a, b in pairs])
            for pairs in (groups.LID_PAIRS, groups.LIP_PAIRS)
        )
        self.core = [at[mark] for mark in groups.NOSE_RIDGE]
        self.actions = torch.tensor([is_action(name) for name in head.expression_names])

    def _weigh(self, spread: Tensor, at: dict[int, int]) -> Tensor:
        weights = 1 / (1 + (spread.double() / _SURE_SPREAD).square())
        weights[torch.from_numpy(self.chosen >= groups.FIRST_IRIS)] = 1.0
        for marks, factor in _WEIGHTS:
            weights[[at[mark] for mark in marks if mark in at]] *= factor
        return weights / weights.mean()

    def posed(self, shape: Tensor, expression: Tensor, pose: Tensor, shift: Tensor) -> Tensor:
        """(B, K, 3), as `pose_head` poses vertices, each moved by (K, 3) at rest."""
        rows = len(pose)
        _, transforms, feature = pose_joints(self._head, shape.expand(rows, -1), expression, pose)
        moved = shape @ self._identity + expression @ self._expression + feature @ self._correctives
        points = ((self.at_rest + shift).flatten() + moved).view(rows, -1, 3, 1)
        blended = (self._skinning @ transforms[:, :, :3].flatten(2)).unflatten(2, (3, 4))
        placed: Tensor = (blended[..., :3] @ points)[..., 0] + blended[..., 3]
        return placed

    def slopes(self, shape: Tensor, expression: Tensor, pose: Tensor, shift: Tensor) -> Slopes:
        """Of `posed`, at the same values."""
        rows, count = len(pose), len(self.at_rest)
        _, transforms, _ = pose_joints(self._head, shape.expand(rows, -1), expression, pose)
        turned = (self._skinning @ transforms[:, :, :3, :3].flatten(2)).unflatten(2, (3, 3))
        by_joints = self._slopes_by_joints(pose)
        _, joints_identity, joints_expression = self._head.joint_directions
        by_shape, by_expression = (
            torch.einsum("bkcd,nkd->bkcn", turned, directions.view(-1, count, 3))
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
        return Slopes(by_shape, by_expression, torch.stack(by_angles, dim=-1), turned)

    def _slopes_by_joints(self, pose: Tensor) -> Tensor:
        """(B, K, 3, 15) how landmarks move with the places of the joints, on which shape and
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


def _chosen_landmarks() -> npt.NDArray[np.int64]:
    named = {
        *groups.OVAL[::2], *groups.OUTER_LIPS, *groups.INNER_LIPS, *groups.RIGHT_EYE,
        *groups.LEFT_EYE, *groups.RIGHT_BROW, *groups.LEFT_BROW, *groups.NOSE_RIDGE,
        groups.RIGHT_IRIS, groups.LEFT_IRIS, groups.CHIN, groups.FOREHEAD,
    }  # fmt: skip
    return np.array(sorted(named | set(range(0, groups.FIRST_IRIS, _EVERY))))
