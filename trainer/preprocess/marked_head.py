"""The landmarks of a head that are fitted, and how much each counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.expression_ranges import is_action
from trainer.preprocess import landmark_groups as groups
from trainer.preprocess.landmark_map import landmark_map
from trainer.preprocess.posed_points import PosedPoints

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
_STILL = 1e-4
"""in units of the head: an expression that moves no landmark by more cannot be told by any"""
_LIDS = groups.RIGHT_EYE + groups.LEFT_EYE
_HELD = (*groups.INNER_LIPS, groups.RIGHT_IRIS, groups.LEFT_IRIS)
"""Landmarks at edges that lie there with everybody."""


class MarkedHead:
    """A head's fitted landmarks, and how much each counts."""

    def __init__(self, head: Head) -> None:
        marks = landmark_map(head)
        self.chosen = _chosen_landmarks()
        at = {int(mark): row for row, mark in enumerate(self.chosen)}
        kept = torch.from_numpy(self.chosen)
        self.points = PosedPoints(head, marks.triangles[kept], marks.barycentric[kept])
        self.weights = self._weigh(marks.spread[kept], at)
        self.shiftable = torch.from_numpy(np.flatnonzero(~np.isin(self.chosen, _HELD)))
        on_lids = np.isin(self.chosen[self.shiftable], _LIDS)
        self.usual_shift = np.where(on_lids, _LID_SHIFT, _USUAL_SHIFT)
        self.lid_pairs, self.lip_pairs = (
            torch.tensor([(at[a], at[b]) for a, b in pairs])
            for pairs in (groups.LID_PAIRS, groups.LIP_PAIRS)
        )
        self.core = [at[mark] for mark in groups.NOSE_RIDGE]
        moves = marks.on_mesh(head, head.expression_directions)[kept].norm(dim=1).amax(dim=0)
        self.moved = (moves > _STILL).numpy()
        self.actions = torch.tensor([is_action(name) for name in head.expression_names])

    def _weigh(self, spread: Tensor, at: dict[int, int]) -> Tensor:
        weights = 1 / (1 + (spread.double() / _SURE_SPREAD).square())
        weights[torch.from_numpy(self.chosen >= groups.FIRST_IRIS)] = 1.0
        for marks, factor in _WEIGHTS:
            weights[[at[mark] for mark in marks if mark in at]] *= factor
        return weights / weights.mean()


def _chosen_landmarks() -> npt.NDArray[np.int64]:
    named = {
        *groups.OVAL[::2], *groups.OUTER_LIPS, *groups.INNER_LIPS, *groups.RIGHT_EYE,
        *groups.LEFT_EYE, *groups.RIGHT_BROW, *groups.LEFT_BROW, *groups.NOSE_RIDGE,
        groups.RIGHT_IRIS, groups.LEFT_IRIS, groups.CHIN, groups.FOREHEAD,
    }  # fmt: skip
    return np.array(sorted(named | set(range(0, groups.FIRST_IRIS, _EVERY))))
