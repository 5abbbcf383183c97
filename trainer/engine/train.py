"""The training loop, top to bottom."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from pegasus_runtime.assets import asset_folder
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.devices import choose_device, use_threads
from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.files import output_file, replace_file, sweep_leftovers
from pegasus_runtime.head import Head
from pegasus_runtime.run_lock import RunLock, hold
from trainer.config.loading import to_yaml
from trainer.config.training import TrainingConfig
from trainer.data.dataset import Capture
from trainer.engine.accumulate import Batch
from trainer.engine.checkpoints import Checkpoints
from trainer.engine.data_identity import refuse_other_data
from trainer.engine.distributed import ProcessGroup
from trainer.engine.finish import finish, finished_path
from trainer.engine.models import new_state, saved_state
from trainer.engine.people_database import as_asked
from trainer.engine.previews import preview_frames, write_preview
from trainer.engine.recovery import Recovery
from trainer.engine.resume import identity, refuse_other_run
from trainer.engine.run_logger import RunLogger
from trainer.engine.stop_requests import Interrupted, StopRequests, stop_requests
from trainer.engine.train_state import TrainContext, TrainState
from trainer.environment import made_with


def train(
    config: TrainingConfig,
    capture: Capture,
    head: Head,
    run_dir: Path,
    resume: str = "auto",
    group: ProcessGroup | None = None,
    say: Callable[[str], None] = print,
) -> Avatar:
    """Train an avatar, or go on with one, to the file that people get.

    1. The run folder is taken, so that nobody else trains there.
    2. The start is made and saved, or a checkpoint read.
    3. Steps, with checkpoints, events and previews.
    4. The avatar is mended, evaluated and written, with a summary.

    Args:
        config: of the training.
        capture: the frames.
        head: the head the capture was fitted with.
        run_dir: the run folder, which is made; the same for all ranks.
        resume: "auto", "none" or the path of a checkpoint.
        group: the processes that train together, by default this one alone.
        say: takes what people are told, whole lines.

    Returns:
        the avatar in NAME.avatar; to processes other than the first, as the last step left it.

    Raises:
        Interrupted: after Ctrl+C, SIGTERM or a request of the editor; a checkpoint was saved first.
        InvalidInput: another process trains in the folder, the losses stay no numbers, the folder
            cannot be written, or there are more processes than frames.
    """
    group = group or ProcessGroup(choose_device(config.device))
    if group.size > capture.num_training:
        raise InvalidInput(
            f"{group.size} processes for {capture.num_training} frames: start fewer, or give more."
        )
    use_threads(config.threads)
    say = say if group.is_first else lambda _: None
    if group.is_first:
        make_run_folder(run_dir, config)
    with hold(run_dir) if group.is_first else nullcontext() as lock:
        avatar = _learn(config, capture, head, run_dir, resume, group, lock, say)
        return finish(avatar, config, capture, run_dir, say) if group.is_first else avatar


def _learn(
    config: TrainingConfig,
    capture: Capture,
    head: Head,
    run_dir: Path,
    resume: str,
    group: ProcessGroup,
    lock: RunLock | None,
    say: Callable[[str], None],
) -> Avatar:
    """All steps; the avatar that they lead to."""
    checkpoints = Checkpoints(run_dir, config.keep_checkpoints, say)
    with stop_requests(run_dir if group.is_first else None) as stop:
        context = TrainContext(config, capture, head, group.device)
        state, first = _begin(context, run_dir, checkpoints, resume, group)
        stop.take_all()
        with RunLogger(run_dir, config, first, group.is_first) as logger:
            if config.losses.vgg and not state.has_features:
                logger.say(
                    f"no VGG-19 weights in {asset_folder()}: trained without the feature loss"
                )
            _Loop(context, state, run_dir, checkpoints, group, stop, lock, logger).run(first)
    return state.avatar(provenance_of(config, capture.num_training))


def make_run_folder(run_dir: Path, config: TrainingConfig) -> None:
    """Make the run folder, without what a killed training has left half-written in it."""
    folders = (run_dir, run_dir / "previews", run_dir / "checkpoints")
    try:
        folders[1].mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{run_dir}: cannot be made ({error.strerror}); name another.") from None
    for folder in folders:
        sweep_leftovers(folder)
    # Asked now, for it would be written only after hours.
    output_file(finished_path(config, run_dir))


def note_settings(run_dir: Path, config: TrainingConfig) -> None:
    """Write what the run is made with, once nothing speaks against it any more."""
    with replace_file(run_dir / "config.yaml") as partial:
        partial.write_text(to_yaml(as_asked(config, run_dir)), "utf-8")
    with replace_file(run_dir / "made_with.json") as partial:
        partial.write_text(json.dumps(made_with(), indent=1), "utf-8")


def _begin(
    context: TrainContext, run_dir: Path, checkpoints: Checkpoints, resume: str, group: ProcessGroup
) -> tuple[TrainState, int]:
    """What is trained, and how many steps are done.

    The start is made by the first process alone and saved, so that all have the same one, and
    nobody waits for it twice.
    """
    config, capture = context.config, context.capture
    saved = checkpoints.restore(resume)
    group.barrier()
    if saved is None:
        if group.is_first:
            note_settings(run_dir, config)
            start = new_state(replace(context, device=torch.device("cpu")))
            checkpoints.put_aside()
            checkpoints.save(0, {**start.snapshot(), **identity(context)})
        group.barrier()
        saved = checkpoints.restore("auto")
        if saved is None:
            raise InvalidInput(
                "this process cannot read the checkpoint that the first one has saved."
            )
    refuse_other_run(saved, config, context.head)
    if "data" in saved:
        refuse_other_data(saved["data"], capture, config.data.folder)
    state = _restored(context, saved)
    if group.is_first:
        note_settings(run_dir, config)
    return state, int(saved["step"])


def _restored(context: TrainContext, saved: dict[str, Any]) -> TrainState:
    try:
        return saved_state(context, saved)
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"the checkpoint of step {saved['step']} does not fit these settings or data "
            f"({one_line(str(error))}); set them back, or train in another folder."
        ) from None


class _Loop:
    """Steps, and what is due between them."""

    def __init__(
        self,
        context: TrainContext,
        state: TrainState,
        run_dir: Path,
        checkpoints: Checkpoints,
        group: ProcessGroup,
        stop: StopRequests,
        lock: RunLock | None,
        logger: RunLogger,
    ) -> None:
        self._config, self._capture, self._run_dir = context.config, context.capture, run_dir
        self._checkpoints, self._group = checkpoints, group
        self._stop, self._lock, self._logger = stop, lock, logger
        self._state = state
        self._identity = identity(context)
        self._batch = Batch(context, state, group)
        self._recovery = Recovery(checkpoints, state)
        self._frames = preview_frames(context.capture)
        self._preview_seconds = 0.0

    def run(self, step: int) -> None:
        """All steps from a given one on."""
        if self._group.any(self._stop.is_set):
            self._interrupt(step)
        while step < self._config.steps:
            began = time.perf_counter()
            if self._lock:
                self._lock.check()
            if step and step % self._config.points.grow_every == 0:
                self._state.share(self._group)
                self._state.change_points(step)
            epoch = self._epoch(step)
            self._state.set_rates(step, epoch)
            result = self._batch.accumulate_gradients(step, epoch, self._stop.is_set)
            if not self._state.optimizer_step():
                step, message = self._recovery.roll_back(step, result.losses)
                self._logger.go_back(step, message)
                continue
            step += 1
            seconds = time.perf_counter() - began
            preview, self._preview_seconds = self._preview_seconds, 0.0
            self._logger.write(step, epoch, result, self._state, seconds, preview)
            self._save_what_is_due(step, result.stop)

    def _epoch(self, step: int) -> float:
        frames = self._capture.num_training
        per_epoch = self._config.steps_per_epoch or max(frames / self._config.batch_size, 1)
        return step / per_epoch

    def _save_what_is_due(self, step: int, stop: bool) -> None:
        config, is_last = self._config, step == self._config.steps
        if self._group.is_first and (is_last or step % config.preview_every == 0):
            path = self._run_dir / "previews" / f"step-{step:08d}.png"
            began = time.perf_counter()
            write_preview(self._state, self._frames, path)
            self._preview_seconds = time.perf_counter() - began
        if stop or is_last or step % config.checkpoint_every == 0:
            self._state.share(self._group)
            if self._group.is_first:
                self._checkpoints.save(step, {**self._state.snapshot(), **self._identity})
            self._group.barrier()
        if stop and not is_last:
            self._interrupt(step)

    def _interrupt(self, step: int) -> NoReturn:
        raise Interrupted(f"stopped after step {step}; the same command goes on from there")


def provenance_of(config: TrainingConfig, num_frames: int) -> dict[str, Any]:
    """What an avatar says of the training that made it with so many frames."""
    settings = asdict(config)
    # An avatar is given away, and where its maker keeps files is nobody's business.
    for name in ("folder", "pairs", "video", "people"):
        settings["data"][name] = Path(settings["data"][name]).name
    for name in ("start_from", "head"):
        settings[name] = Path(settings[name]).name
    return {
        "made_by": "trainer train",
        "config": settings,
        "num_training_frames": num_frames,
    }
