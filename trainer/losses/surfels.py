"""What keeps surfels where the head puts them, and an attribute to few of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_OFFSET_WEIGHT, _OPACITY_WEIGHT = 30.0, 1.0
"""How many times as dear as a change of colour by one logit a change of place by one unit of the
head is, and one of opacity by one logit. An attribute should change as few surfels as it can: more
paints what it should move, or leaves hair under a hat; less moves the face along with it."""


def state_loss(offset_states: Sequence[Tensor]) -> Tensor:
    """Mean square of how far states move surfels, of sets of them (N, R, 3)."""
    return torch.cat([each.square().sum(dim=2).mean(dim=1) for each in offset_states]).mean()


def difference_loss(change: Mapping[str, Tensor], num_source: int) -> Tensor:
    """Mean size of a difference over all of the person's surfels, which keeps it sparse.

    Args:
        change: of M of them: ``offset`` (M, 3), ``colour`` (M, 3), ``opacity`` (M,).
        num_source: how many surfels the person has.
    """
    total = _OFFSET_WEIGHT * change["offset"].abs().sum(dim=1)
    total = total + change["colour"].abs().sum(dim=1)
    total = total + _OPACITY_WEIGHT * change["opacity"].abs()
    mean: Tensor = total.sum() / max(num_source, 1)
    return mean
