"""The losses of a batch, spread over processes and gathered as one gradient."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer.config.learning import LossConfig
from trainer.data.dataset import TrainingFrame
from trainer.data.frame_sampler import choose_frame
from trainer.engine.distributed import ProcessGroup
from trainer.engine.train_state import TrainContext, TrainState

_NAMES = (*(weight.name for weight in fields(LossConfig)), "total")
"""of all losses of all models: each is called as its weight"""
_SEED_STRIDE = 1_000_003
"""A prime above the steps of most trainings, so that two seeds share few random numbers."""


class _FrameLosses(nn.Module):
    """One frame's losses as a module, which is what DistributedDataParallel wraps."""

    def __init__(self, state: TrainState) -> None:
        super().__init__()
        self.module = state.module
        self._state = state

    def forward(
        self, frame: TrainingFrame, generator: torch.Generator, step: int, epoch: float
    ) -> tuple[Tensor, dict[str, Tensor], Any]:
        losses, seen = self._state.losses(frame, generator, step)
        total = self._state.weigh(losses, epoch)
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

    def __init__(self, context: TrainContext, state: TrainState, group: ProcessGroup) -> None:
        self._capture, self._config = context.capture, context.config
        self._state, self._group = state, group
        self._share = group.local_batch_size(context.config.batch_size)
        self._module: nn.Module | None = None
        self._learned: nn.Module | None = None

    def accumulate_gradients(self, step: int, epoch: float, stop: bool) -> BatchResult:
        """Leave the batch's mean gradient in the parameters, and mark the points that were seen."""
        state = self._state
        if self._module is None or self._learned is not state.module:
            self._learned = state.module
            self._module = self._group.wrap_ddp(_FrameLosses(state))
        module = self._module
        state.optimiser.zero_grad(set_to_none=True)
        sums = torch.zeros(2 * len(_NAMES) + 1, dtype=torch.float64)
        subjects = []
        for turn in range(self._share):
            index = self._index(step, turn)
            generator = torch.Generator().manual_seed(self._config.seed * _SEED_STRIDE + index)
            is_last = turn == self._share - 1
            self._frame(self._index(step + 1, 0) if is_last else index + 1).prefetch()
            frame = self._frame(index)
            with nullcontext() if is_last else _without_exchange(module):
                total, losses, seen = module(frame, generator, step, epoch)
                (total / self._share).backward()
            state.note(seen, self._share)
            _count(sums, {**losses, "total": total.detach()})
            subjects.append(frame.record.subject)
        sums[-1] = stop
        sums = self._group.all_reduce_sum(sums)
        return BatchResult(_means(sums), subjects, bool(sums[-1] > 0))

    def _index(self, step: int, turn: int) -> int:
        """The place of a frame of this process in the whole training."""
        return step * self._config.batch_size + self._group.rank * self._share + turn

    def _frame(self, index: int) -> TrainingFrame:
        return choose_frame(self._capture, self._config.data, self._config.seed, index)


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
