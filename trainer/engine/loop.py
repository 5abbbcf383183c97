"""The training loop, top to bottom."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.errors import Refused
from pegasus_runtime.head import Head
from pegasus_runtime.session import choose_device
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture, choose_frame
from trainer.engine.checkpoints import find_checkpoint, save_checkpoint
from trainer.engine.events import EventLog
from trainer.engine.learner import Learner
from trainer.engine.previews import preview_frames, write_preview
from trainer.engine.progress import Progress
from trainer.engine.step import Situation, losses_of_step, weigh
from trainer.stages.start import blank_avatar, start_avatar


class Interrupted(Exception):
    """The training was asked to stop and has saved a checkpoint."""


def train(
    config: TrainingConfig, capture: Capture, head: Head, run_dir: Path, resume: str = "auto"
) -> Avatar:
    """Train an avatar, or go on with one.

    Args:
        config: of the training.
        capture: the frames.
        head: the head the capture was fitted with.
        run_dir: an existing folder for checkpoints, events and previews.
        resume: "auto", "none" or the path of a checkpoint.

    Raises:
        Interrupted: after Ctrl+C or SIGTERM; a checkpoint was saved first.
        Refused: a loss is not a number any more, or the folder cannot be written.
    """
    device = choose_device(config.device)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    saved = find_checkpoint(run_dir, resume)
    first = saved["step"] if saved else 0
    if saved:
        blank = blank_avatar(config, capture, head, saved["points"])
        learner = Learner(blank, config, device, saved["num_slots"])
        learner.restore(saved)
    else:
        avatar, num_slots = start_avatar(config, capture, head)
        learner = Learner(avatar, config, device, num_slots)
    situation = Situation.prepare(learner, capture)
    log = EventLog(run_dir)
    log.truncate_after(first)
    frames = preview_frames(capture)
    with _stop_requests() as stop, Progress(config.steps, first) as progress:
        for step in range(first, config.steps):
            event = _train_step(situation, config, step)
            log.write(event)
            progress.advance(event)
            done = step + 1
            stopping = stop.is_set()
            if done % config.preview_every == 0 or done == config.steps:
                write_preview(situation, frames, run_dir / "previews" / f"step-{done:08d}.png")
            if stopping or done % config.checkpoint_every == 0 or done == config.steps:
                save_checkpoint(run_dir, done, learner.snapshot(), config.keep_checkpoints)
            if stopping and done < config.steps:
                log.close()
                raise Interrupted(f"stopped after step {done}; the same command goes on from there")
    log.close()
    return learner.finished_avatar(_provenance(config, capture))


def _train_step(situation: Situation, config: TrainingConfig, step: int) -> dict[str, Any]:
    """One step, with the growth of points that is due before it; its event."""
    began = time.perf_counter()
    learner = situation.learner
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    epoch = step / (config.steps_per_epoch or situation.capture.num_training)
    if step and step % config.points.grow_every == 0:
        if config.points.prune:
            learner.prune()
        learner.grow(generator)
    learner.set_rates(step, epoch)
    frame = choose_frame(situation.capture, config.data, config.seed, step)
    losses = losses_of_step(situation, frame, config.losses, generator)
    total = weigh(losses, config.losses, epoch)
    if not math.isfinite(float(total.detach())):
        broken = [name for name, loss in losses.items() if not bool(torch.isfinite(loss))]
        raise Refused(
            f"step {step}: the loss {', '.join(broken) or 'total'} is not a number; lower "
            "optimiser.networks and go on with --resume auto."
        )
    learner.descend(total)
    return {
        "step": step + 1,
        "epoch": round(epoch, 4),
        "subject": frame.record.subject,
        "losses": {name: float(loss.detach()) for name, loss in losses.items()}
        | {"total": float(total.detach())},
        "num_points": len(learner.points),
        "radius": learner.radius,
        "learning_rates": learner.rates,
        "seconds": round(time.perf_counter() - began, 4),
    }


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that Ctrl+C and SIGTERM set, so that the current step ends first."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda *_: stop.set()) for kind in kinds]
    try:
        yield stop
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _provenance(config: TrainingConfig, capture: Capture) -> dict[str, Any]:
    settings = asdict(config)
    settings["data"]["folder"] = Path(config.data.folder).name
    return {
        "made_by": "trainer train",
        "config": settings,
        "num_training_frames": capture.num_training,
    }
