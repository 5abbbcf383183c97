"""A head of which only the landmarks that are fitted are posed: 200 points, not all vertices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.expression_ranges import is_action
from pegasus_runtime.head.skinning import pose_joints
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
_USUAL_SHIFT = 0.004
"""In units of the head (1 mm): how far on the skin a person's landmark lies from where others have
it."""
_HELD_SHIFT = 0.0004
"""The same at the edges of lids and lips, and of irises: shifted ones would open a closed eye."""
_HELD = (
    groups.RIGHT_EYE + groups.LEFT_EYE + groups.INNER_LIPS + (groups.RIGHT_IRIS, groups.LEFT_IRIS)
)


class MarkedHead:
    """A head's fitted landmarks, and how much each counts."""

    def __init__(self, head: Head) -> None:
        marks = landmark_map(head)
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
        held = np.isin(self.chosen, _HELD)[:, None]
        self.usual_shift = torch.from_numpy(np.where(held, _HELD_SHIFT, _USUAL_SHIFT)).float()
        self.lid_pairs, self.lip_pairs = (
            torch.tensor([(at[a], at[b]) for a, b in pairs])
            for pairs in (groups.LID_PAIRS, groups.LIP_PAIRS)
        )
        self.core = [at[mark] for mark in groups.NOSE_RIDGE]
        self.actions = torch.tensor([is_action(name) for name in head.expression_names])

    def _weigh(self, spread: Tensor, at: dict[int, int]) -> Tensor:
        weights = 1 / (1 + (spread / _SURE_SPREAD).square())
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


def _chosen_landmarks() -> npt.NDArray[np.int64]:
    named = {
        *groups.OVAL[::2], *groups.OUTER_LIPS, *groups.INNER_LIPS, *groups.RIGHT_EYE,
        *groups.LEFT_EYE, *groups.RIGHT_BROW, *groups.LEFT_BROW, *groups.NOSE_RIDGE,
        groups.RIGHT_IRIS, groups.LEFT_IRIS, groups.CHIN, groups.FOREHEAD,
    }  # fmt: skip
    return np.array(sorted(named | set(range(0, groups.FIRST_IRIS, _EVERY))))
