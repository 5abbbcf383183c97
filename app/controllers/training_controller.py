"""New trainings: their settings, a look before the start, and the start itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.controllers.dispatch import Dispatch, run_in_background
from app.controllers.trainer_call import TrainerCall
from app.runs.launch import resume_run, start_run
from app.runs.presets import Description, read_description
from app.runs.run import Run
from app.runs.run_list import RunList
from app.runs.settings import Setting
from app.runs.slurm import SlurmJob, resubmit_run, submit_run
from app.state.jobs import Activity
from app.state.signal import Signal
from pegasus_runtime.queued_job import read_job

_TIMEOUT_S = 120
"""Less gives up where PyTorch comes from a slow disk, more leaves a hung program unnoticed."""


def _describe() -> Description:
    # Late, because it brings torch.
    from pegasus_runtime.devices import choose_device

    has_gpu = choose_device("auto").type == "cuda"
    return read_description(TrainerCall(_TIMEOUT_S).ask("describe"), has_gpu)


class TrainingController:
    """The trainer is never imported: it is asked in a process of its own."""

    def __init__(self, activity: Activity, dispatch: Dispatch) -> None:
        self.described: Signal[[Description]] = Signal()
        self.checked: Signal[[dict[str, Any]]] = Signal()
        self.started: Signal[[Run]] = Signal()
        self.submitted: Signal[[Run, str]] = Signal()
        self.failed: Signal[[str]] = Signal()
        self.check_failed: Signal[[str]] = Signal()
        self.exported: Signal[[Run, Path]] = Signal()
        self.runs = RunList()
        self.settings: list[Setting] = []
        """as the trainer describes them, once it has been asked"""
        self._is_learning = False
        self._activity, self._dispatch = activity, dispatch
        self._look: TrainerCall | None = None

    def describe(self) -> None:
        """Ask for the settings and the kinds of training that there are."""

        run_in_background("settings", _describe, self.described.emit, self._failed, self._dispatch)

    def learn_words(self) -> None:
        """Ask, once, for what the settings are called; messages name keys until that is known."""
        if self._is_learning:
            return
        self._is_learning = True

        def done(description: Description) -> None:
            self.settings = description.settings

        def failed(error: BaseException) -> None:
            self._activity.log(str(error), "error")

        run_in_background("settings' names", _describe, done, failed, self._dispatch)

    def check(self, config_text: str, out: Path) -> None:
        """Ask whether it would run; of two questions the later one is answered, the other ended."""
        self.drop_check()
        look = self._look = TrainerCall()

        def work() -> dict[str, Any]:
            with tempfile.TemporaryDirectory() as folder:
                config = Path(folder) / "config.yaml"
                config.write_text(config_text, "utf-8")
                words = ("--config", str(config), "--out", str(out), "--resume", "none")
                return dict(look.ask("preflight", *words))

        def done(report: dict[str, Any]) -> None:
            if look is self._look:
                self.checked.emit(report)

        def failed(error: BaseException) -> None:
            if look is self._look:
                self._activity.log(str(error), "error")
                self.check_failed.emit(str(error))

        run_in_background("preflight", work, done, failed, self._dispatch)

    def drop_check(self) -> None:
        """End the look that is under way: its answer is not wanted any more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def start(self, folder: Path, config_text: str, num_gpus: int) -> None:
        """Start a training in a process of its own."""

        def work() -> None:
            start_run(folder, config_text, num_gpus)

        self._launch(folder, work)

    def submit(self, folder: Path, config_text: str, job: SlurmJob) -> None:
        """Hand a training to SLURM."""
        self._submit(folder, lambda: submit_run(folder, config_text, job))

    def _submit(self, folder: Path, work: Callable[[], str]) -> None:
        def done(number: str) -> None:
            self._activity.log(f"Training handed to SLURM as job {number}")
            self.submitted.emit(self.runs.add(folder), number)

        run_in_background("submit", work, done, self._failed, self._dispatch)

    def resume(self, run: Run) -> None:
        """Go on with a run, on this machine or in the queue where it was."""
        if read_job(run.folder):
            self._submit(run.folder, lambda: resubmit_run(run))
        else:
            self._launch(run.folder, lambda: resume_run(run))

    def export(self, run: Run) -> None:
        """Make an avatar of the newest checkpoint, or take the finished one."""
        finished = run.avatar()
        if finished is not None:
            self.exported.emit(run, finished)
            return
        out = run.folder / "previews" / "latest.avatar"

        def work() -> None:
            words = (str(run.folder), "--out", str(out), "--quick")
            TrainerCall(_TIMEOUT_S).ask("export-checkpoint", *words)

        run_in_background(
            "export checkpoint",
            work,
            lambda _: self.exported.emit(run, out),
            self._failed,
            self._dispatch,
        )

    def _launch(self, folder: Path, work: Any) -> None:
        def done(_: None) -> None:
            self._activity.log(f"Training started in {folder}")
            self.started.emit(self.runs.add(folder))

        run_in_background("start", work, done, self._failed, self._dispatch)

    def _failed(self, error: BaseException) -> None:
        self._activity.log(str(error), "error")
        self.failed.emit(str(error))
