"""The losses of a batch, spread over processes and gathered as one gradient."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer.config.schema import TrainingConfig
from trainer.data.choosing import choose_frame
from trainer.data.dataset import TrainingFrame
from trainer.engine.ranks import Ranks
from trainer.engine.step import LOSS_NAMES, Situation, losses_of_step, weigh

_NAMES = (*LOSS_NAMES, "total")
_SEED_STRIDE = 1_000_003


class _FrameLosses(nn.Module):
    """One frame's losses as a module, which is what DistributedDataParallel wraps."""

    def __init__(self, situation: Situation, config: TrainingConfig) -> None:
        super().__init__()
        learner = situation.learner
        self.networks, self.codes, self.points = learner.networks, learner.codes, learner.points
        self._situation, self._config = situation, config

    def forward(
        self, frame: TrainingFrame, generator: torch.Generator, epoch: float, bend: bool
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        losses, seen = losses_of_step(
            self._situation, frame, self._config.losses, generator, bend=bend
        )
        total = weigh(losses, self._config.losses, epoch)
        return total, {name: loss.detach() for name, loss in losses.items()}, seen


@dataclass
class BatchResult:
    """What a batch said, averaged over its frames."""

    losses: dict[str, float]
    subjects: list[str]
    """of this process's frames"""
    stop: bool
    """whether any process was asked to stop"""


class Batch:
    """Gathers gradients of ``batch_size`` frames, whatever the number of processes.

    A frame and the random numbers of its step depend on its place in the whole training alone,
    so that one process and many see the same.
    """

    def __init__(self, situation: Situation, config: TrainingConfig, ranks: Ranks) -> None:
        self._situation, self._config, self._ranks = situation, config, ranks
        self._share = ranks.share_of(config.batch_size)
        self._module: nn.Module | None = None

    def gather(self, step: int, epoch: float, stop: bool) -> BatchResult:
        """Leave the batch's mean gradient in the parameters, and mark the points that were seen."""
        learner = self._situation.learner
        if self._module is None or self._points_of(self._module) is not learner.points:
            self._module = self._ranks.share(_FrameLosses(self._situation, self._config))
        module = self._module
        bend = step % self._config.losses.normals_every == 0
        learner.optimiser.zero_grad(set_to_none=True)
        sums = torch.zeros(2 * len(_NAMES) + 1, dtype=torch.float64)
        subjects = []
        for turn in range(self._share):
            index = self._index(step, turn)
            generator = torch.Generator().manual_seed(self._config.seed * _SEED_STRIDE + index)
            is_last = turn == self._share - 1
            self._frame(self._index(step + 1, 0) if is_last else index + 1).prefetch()
            frame = self._frame(index)
            with nullcontext() if is_last else _without_exchange(module):
                total, losses, seen = module(frame, generator, epoch, bend)
                (total / self._share).backward()
            learner.seen |= seen
            _count(sums, {**losses, "total": total.detach()})
            subjects.append(frame.record.subject)
        sums[-1] = stop
        sums = self._ranks.add_up(sums.to(learner.device)).cpu()
        return BatchResult(_means(sums), subjects, bool(sums[-1] > 0))

    def _index(self, step: int, turn: int) -> int:
        """The place of a frame of this process in the whole training."""
        return step * self._config.batch_size + self._ranks.rank * self._share + turn

    def _frame(self, index: int) -> TrainingFrame:
        return choose_frame(self._situation.capture, self._config.data, self._config.seed, index)

    @staticmethod
    def _points_of(module: nn.Module) -> Tensor:
        inner = module.module if isinstance(module, DistributedDataParallel) else module
        assert isinstance(inner, _FrameLosses)
        return inner.points


def _without_exchange(module: nn.Module) -> AbstractContextManager[None]:
    """Gradients of all but the last frame are added up here before they are exchanged."""
    if isinstance(module, DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


def _count(sums: Tensor, losses: dict[str, Tensor]) -> None:
    """Add losses and how often each was there; not every frame has every picture."""
    names = list(losses)
    values = torch.stack([losses[name].double() for name in names]).cpu()
    places = torch.tensor([_NAMES.index(name) for name in names])
    sums[places] += values
    sums[places + len(_NAMES)] += 1


def _means(sums: Tensor) -> dict[str, float]:
    count = len(_NAMES)
    return {
        name: float(sums[place] / sums[count + place])
        for place, name in enumerate(_NAMES)
        if sums[count + place] > 0
    }
