"""Which surfels go and which are split: growth by error, pruning by opacity and sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.engine.distributed import ProcessGroup
from trainer.engine.surfel_cloud import SurfelSet

_FAINTEST = 0.03
"""Opacity below which a surfel shows nothing: a few of 255 in any picture. More takes soft hair
away, less keeps surfels that only cost time."""
_LEAST_WEIGHT = 0.5
"""Pixels that a surfel has covered in all frames since the last change; with less it is hidden.
More takes away what is seldom seen, less keeps what is inside the head."""
_LEAST_FACED = 0.5
"""Frames that it has faced; what turns away from every camera, as the back of a head does in a
video, is not hidden: nobody has looked."""


@dataclass
class SurfelStatistics:
    """What pictures said of one set's surfels since some came and went."""

    values: Tensor
    """(N, 4): weight times error, and weight, summed over pixels and frames of all processes; how
    many frames that were, and how many of them it faced"""
    own: Tensor
    """(N, 4) of this process's frames that the others do not know of yet"""

    @classmethod
    def none(cls, count: int, device: torch.device) -> SurfelStatistics:
        """Of surfels that no picture has shown yet."""
        return cls(*torch.zeros(2, count, 4, device=device))

    def add(self, values: Tensor, faces: Tensor) -> None:
        """Count one frame (N, 2), and which surfels face its camera (N,)."""
        frames = torch.stack([torch.ones_like(faces), faces], dim=1).to(values)
        self.own = self.own + torch.cat([values.abs(), frames], dim=1)

    def share(self, group: ProcessGroup) -> None:
        """Let all processes know what each has counted since the last time."""
        self.values = self.values + group.all_reduce_sum(self.own)
        self.own = torch.zeros_like(self.own)

    @property
    def error(self) -> Tensor:
        """(N,) mean over frames: what few frames show is as wrong as what many do."""
        return self.values[:, 0] / self.values[:, 2].clamp_min(1)

    @property
    def weight(self) -> Tensor:
        """(N,)"""
        return self.values[:, 1]

    @property
    def faced(self) -> Tensor:
        """(N,) frames whose cameras it faced."""
        return self.values[:, 3]


def kept(surfels: SurfelSet, statistics: SurfelStatistics, prune: bool, bared: Tensor) -> Tensor:
    """Indices (M,) of the surfels that stay.

    Args:
        surfels: of which some may go.
        statistics: what pictures said of them.
        prune: whether any may.
        bared: (F,) bool of the head's triangles: what is hidden there may come into sight. Without
            it there were holes in mouths and under chins, through which the far cheek was seen.
    """
    everything = torch.arange(len(surfels), device=statistics.values.device)
    if not prune or not bool((statistics.weight > 0).any()):
        return everything
    opaque = torch.sigmoid(surfels.learned["opacity"].detach()) > _FAINTEST
    hidden = (statistics.weight <= _LEAST_WEIGHT) & (statistics.faced >= _LEAST_FACED)
    hidden &= ~bared[surfels.triangle]
    stays = opaque & ~hidden
    return everything[stays] if bool(stays.any()) else everything


def grown(
    statistics: Sequence[SurfelStatistics], survivors: Sequence[Tensor], most: int, growth: float
) -> list[Tensor]:
    """Which survivors are split: those on which most of the error lies, of all sets together.

    Args:
        statistics: of each set.
        survivors: (M,) indices of those that stay, of each set.
        most: how many surfels there may be in all.
        growth: share of the survivors that are split at most.

    Returns:
        Indices (K,) for each set.
    """
    total = sum(map(len, survivors))
    count = min(int(growth * total), max(most - total, 0))
    errors = [each.error[stays] for each, stays in zip(statistics, survivors, strict=True)]
    if count <= 0:
        return [stays[:0] for stays in survivors]
    least = torch.cat(errors).topk(count).values[-1].clamp_min(1e-12)
    return [stays[error >= least] for stays, error in zip(survivors, errors, strict=True)]
