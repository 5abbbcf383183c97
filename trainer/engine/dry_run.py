"""What a training would take, measured with a few steps of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch

from pegasus_runtime.deform.canonical_head import make_canonical_head
from pegasus_runtime.head import Head
from pegasus_runtime.memory import peak_memory_mb
from trainer.config.schema import PointConfig, TrainingConfig
from trainer.data.dataset import Capture
from trainer.engine.batch import Batch
from trainer.engine.learner import Learner
from trainer.engine.ranks import Ranks
from trainer.engine.step import Situation
from trainer.stages.blank import blank_avatar
from trainer.stages.head_samples import sample_head

_WARM_STEPS, _TIMED_STEPS = 1, 2


@dataclass
class Estimate:
    """One number of points."""

    num_points: int
    seconds_per_step: float
    memory_mb: int | None
    """peak so far"""


def dry_run(config: TrainingConfig, capture: Capture, head: Head, ranks: Ranks) -> list[Estimate]:
    """Time steps with as many points as at the beginning and as at the end of a training."""
    counts = sorted({config.points.initial, config.points.maximum})
    return [_measure(config, capture, head, ranks, count) for count in counts]


def _measure(
    config: TrainingConfig, capture: Capture, head: Head, ranks: Ranks, count: int
) -> Estimate:
    canonical = make_canonical_head(head, capture.mean_expression)
    generator = torch.Generator().manual_seed(config.seed)
    points, _ = sample_head(head, canonical, count, generator)
    sized = replace(
        config, points=replace(config.points, initial_radius=_radius(config.points, count))
    )
    avatar = blank_avatar(sized, capture, head, points)
    learner = Learner(avatar, sized, ranks.device)
    batch = Batch(Situation.prepare(learner, capture), sized, ranks)
    began = 0.0
    for step in range(_WARM_STEPS + _TIMED_STEPS):
        if step == _WARM_STEPS:
            began = time.perf_counter()
        batch.gather(step, 0.0, False)
        learner.descend()
    seconds = (time.perf_counter() - began) / _TIMED_STEPS
    return Estimate(count, seconds, peak_memory_mb(ranks.device))


def _radius(points: PointConfig, count: int) -> float:
    """About the radius that so many points have in this training."""
    shrunk = points.initial_radius * (points.initial / count) ** 0.5
    return float(max(shrunk, points.minimum_radius))


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
