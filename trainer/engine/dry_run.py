"""What a training would take, measured with a few steps of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from pegasus_runtime.head import Head
from pegasus_runtime.memory import peak_memory_mb
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture
from trainer.engine.accumulate import Batch
from trainer.engine.distributed import ProcessGroup
from trainer.engine.models import new_state
from trainer.engine.train_state import TrainContext

_WARM_STEPS, _TIMED_STEPS = 1, 2
"""More steps guess a training's time better and take longer to."""


@dataclass
class Estimate:
    """One number of points."""

    num_points: int
    seconds_per_step: float
    memory_mb: int | None
    """peak so far"""


def dry_run(
    config: TrainingConfig, capture: Capture, head: Head, group: ProcessGroup
) -> list[Estimate]:
    """Time steps with as many points as at the beginning and as at the end of a training."""
    counts = sorted({config.points.initial, config.points.maximum})
    return [_measure(config, capture, head, group, count) for count in counts]


def _measure(
    config: TrainingConfig, capture: Capture, head: Head, group: ProcessGroup, count: int
) -> Estimate:
    sized = replace(config, points=replace(config.points, initial=count, maximum=count))
    context = TrainContext(sized, capture, head, group.device)
    state = new_state(context)
    batch = Batch(context, state, group)
    began = 0.0
    for step in range(_WARM_STEPS + _TIMED_STEPS):
        if step == _WARM_STEPS:
            began = time.perf_counter()
        batch.accumulate_gradients(step, 0.0, False)
        state.optimizer_step()
    seconds = (time.perf_counter() - began) / _TIMED_STEPS
    return Estimate(state.num_points, seconds, peak_memory_mb(group.device))


def total_seconds(config: TrainingConfig, estimates: list[Estimate]) -> float:
    """All steps, with points doubling as configured and a step's time in line with them."""
    first, last = estimates[0], estimates[-1]
    total, points = 0.0, float(config.points.initial)
    for begin in range(0, config.steps, config.points.grow_every):
        span = max(last.num_points - first.num_points, 1)
        share = (points - first.num_points) / span
        pace = first.seconds_per_step + share * (last.seconds_per_step - first.seconds_per_step)
        total += pace * min(config.points.grow_every, config.steps - begin)
        points = min(2 * points, config.points.maximum)
    return total


def describe(config: TrainingConfig, estimates: list[Estimate]) -> str:
    """The estimates as lines of text."""
    lines = []
    for estimate in estimates:
        memory = f", {estimate.memory_mb:,} MB" if estimate.memory_mb else ""
        lines.append(
            f"{estimate.num_points:,} points: {estimate.seconds_per_step:.2f} s a step{memory}"
        )
    minutes = total_seconds(config, estimates) / 60
    lines.append(f"{config.steps:,} steps: about {minutes:.0f} minutes, and some for the start")
    return "\n".join(lines)
