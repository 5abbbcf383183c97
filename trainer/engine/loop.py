"""The training loop, top to bottom."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pegasus_runtime.assets import asset_folder
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.devices import choose_device
from pegasus_runtime.errors import Refused
from pegasus_runtime.head import Head
from trainer.config.schema import TrainingConfig
from trainer.data.dataset import Capture
from trainer.engine.batch import Batch
from trainer.engine.checkpoints import Checkpoints
from trainer.engine.diary import Diary
from trainer.engine.learner import Learner
from trainer.engine.previews import preview_frames, write_preview
from trainer.engine.ranks import Ranks
from trainer.engine.recovery import Recovery
from trainer.engine.resume import refuse_other_run
from trainer.engine.step import Situation
from trainer.losses.features import find_feature_loss
from trainer.stages.blank import blank_avatar
from trainer.stages.start import start_avatar

GROWTH_SEED = 7_368_787


class Interrupted(Exception):
    """The training was asked to stop and has saved a checkpoint."""


def train(
    config: TrainingConfig,
    capture: Capture,
    head: Head,
    run_dir: Path,
    resume: str = "auto",
    ranks: Ranks | None = None,
) -> Avatar:
    """Train an avatar, or go on with one.

    Args:
        config: of the training.
        capture: the frames.
        head: the head the capture was fitted with.
        run_dir: an existing folder for checkpoints, events and previews; the same for all ranks.
        resume: "auto", "none" or the path of a checkpoint.
        ranks: the processes that train together, by default this one alone.

    Raises:
        Interrupted: after Ctrl+C or SIGTERM; a checkpoint was saved first.
        Refused: the losses stay no numbers, the folder cannot be written, or there are more
            processes than frames.
    """
    ranks = ranks or Ranks(choose_device(config.device))
    if ranks.size > capture.num_training:
        raise Refused(
            f"{ranks.size} processes for {capture.num_training} frames: start fewer, or give more."
        )
    torch.set_num_threads(config.threads or torch.get_num_threads())
    checkpoints = Checkpoints(
        run_dir, config.keep_checkpoints, print if ranks.is_first else lambda _: None
    )
    learner, first = _begin(config, capture, head, checkpoints, resume, ranks)
    features = find_feature_loss(ranks.device) if config.losses.vgg else None
    situation = Situation.prepare(learner, capture, features)
    with _stop_requests() as stop, Diary(run_dir, config, first, ranks.is_first) as diary:
        if config.losses.vgg and not features:
            diary.say(f"no VGG-19 weights in {asset_folder()}: trained without the feature loss")
        _Loop(config, situation, run_dir, checkpoints, ranks, stop, diary).run(first)
    provenance = _provenance(config, capture) | {
        "num_slots": learner.num_slots,
        "tangent_precision": learner.precision,
    }
    return learner.finished_avatar(provenance)


def _begin(
    config: TrainingConfig,
    capture: Capture,
    head: Head,
    checkpoints: Checkpoints,
    resume: str,
    ranks: Ranks,
) -> tuple[Learner, int]:
    """What is trained, and how many steps are done.

    The start is made by the first process alone and saved, so that all have the same one, and
    nobody waits for it twice.
    """
    saved = checkpoints.restore(resume)
    ranks.wait()
    if saved is None:
        if ranks.is_first:
            avatar, num_slots = start_avatar(config, capture, head)
            learner = Learner(avatar, config, torch.device("cpu"), num_slots)
            checkpoints.put_aside()
            checkpoints.save(0, learner.snapshot())
        ranks.wait()
        saved = checkpoints.restore("auto")
        if saved is None:
            raise Refused("this process cannot read the checkpoint that the first one has saved.")
    refuse_other_run(saved, config, head)
    blank = blank_avatar(config, capture, head, saved["points"])
    learner = Learner(blank, config, ranks.device, saved["num_slots"])
    learner.restore(saved)
    return learner, int(saved["step"])


class _Loop:
    """Steps, and what is due between them."""

    def __init__(
        self,
        config: TrainingConfig,
        situation: Situation,
        run_dir: Path,
        checkpoints: Checkpoints,
        ranks: Ranks,
        stop: threading.Event,
        diary: Diary,
    ) -> None:
        self._config, self._situation, self._run_dir = config, situation, run_dir
        self._checkpoints, self._ranks = checkpoints, ranks
        self._stop, self._diary = stop, diary
        self._learner = situation.learner
        self._batch = Batch(situation, config, ranks)
        self._recovery = Recovery(checkpoints, self._learner)
        self._frames = preview_frames(situation.capture)
        self._preview_seconds = 0.0

    def run(self, step: int) -> None:
        """All steps from a given one on."""
        while step < self._config.steps:
            began = time.perf_counter()
            self._change_points(step)
            epoch = self._epoch(step)
            self._learner.set_rates(step, epoch)
            result = self._batch.gather(step, epoch, self._stop.is_set())
            if not self._learner.descend():
                step, message = self._recovery.roll_back(step, result.losses)
                self._diary.go_back(step, message)
                continue
            step += 1
            seconds = time.perf_counter() - began
            preview, self._preview_seconds = self._preview_seconds, 0.0
            self._diary.write(step, epoch, result, self._learner, seconds, preview)
            self._save_what_is_due(step, result.stop)

    def _epoch(self, step: int) -> float:
        frames = self._situation.capture.num_training
        per_epoch = self._config.steps_per_epoch or max(frames / self._config.batch_size, 1)
        return step / per_epoch

    def _change_points(self, step: int) -> None:
        """Drop and add points where that is due, the same in all processes."""
        points = self._config.points
        if not step or step % points.grow_every:
            return
        self._learner.seen = self._ranks.any_of(self._learner.seen)
        if points.prune:
            self._learner.prune()
        self._learner.grow(torch.Generator().manual_seed(self._config.seed * GROWTH_SEED + step))

    def _save_what_is_due(self, step: int, stop: bool) -> None:
        config, is_last = self._config, step == self._config.steps
        if self._ranks.is_first and (is_last or step % config.preview_every == 0):
            path = self._run_dir / "previews" / f"step-{step:08d}.png"
            began = time.perf_counter()
            write_preview(self._situation, self._frames, path)
            self._preview_seconds = time.perf_counter() - began
        if stop or is_last or step % config.checkpoint_every == 0:
            self._learner.seen = self._ranks.any_of(self._learner.seen)
            if self._ranks.is_first:
                self._checkpoints.save(step, self._learner.snapshot())
            self._ranks.wait()
        if stop and not is_last:
            raise Interrupted(f"stopped after step {step}; the same command goes on from there")


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
    # An avatar is given away, and where its maker keeps files is nobody's business.
    settings["data"]["folder"] = Path(config.data.folder).name
    for name in ("start_from", "head"):
        settings[name] = Path(settings[name]).name
    return {
        "made_by": "trainer train",
        "config": settings,
        "num_training_frames": capture.num_training,
    }
