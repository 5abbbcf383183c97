"""Commands of the trainer that run beside the window, as jobs with progress and cancel."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

from app.controllers.dispatch import Dispatch, run_in_background
from app.controllers.trainer_call import Cancelled, TrainerCall
from app.runs.event_reader import Preparation
from app.state.jobs import Activity, Job
from app.state.signal import Signal

_STEPS = 1000
"""of a job's progress"""
_END_WAIT_S = 5.0
"""More waits longer for a process that was ended, less may leave it behind the editor."""


class TrainerJobs:
    """Each runs in a process and a thread of its own."""

    def __init__(self, activity: Activity, dispatch: Dispatch) -> None:
        self.advanced: Signal[[Job, Preparation]] = Signal()
        self.finished: Signal[[Job]] = Signal()
        self.cancelled: Signal[[Job]] = Signal()
        self.failed: Signal[[Job, BaseException]] = Signal()
        self._activity, self._dispatch = activity, dispatch
        self._calls: dict[int, TrainerCall] = {}
        self._threads: list[Thread] = []

    def start(self, title: str, command: str, arguments: Sequence[str]) -> Job:
        """Run ``python -m trainer command arguments``."""
        job, call = self._activity.start(title, _STEPS, cancellable=True), TrainerCall()
        self._calls[job.number] = call

        def advance(progress: Preparation) -> None:
            self._dispatch(lambda: self._advance(job, progress))

        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(
            run_in_background(
                command,
                lambda: call.run(command, *arguments, on_progress=advance),
                lambda _: self._done(job),
                lambda error: self._failed(job, error),
                self._dispatch,
            )
        )
        return job

    def cancel(self, job: Job) -> None:
        """End it; what it has done is kept. A job of somebody else's is left alone."""
        call = self._calls.get(job.number)
        if call is not None:
            job.cancelled = True
            call.cancel()

    def cancel_all(self) -> None:
        """End every process, and wait until it is gone."""
        for call in self._calls.values():
            call.cancel()
        for thread in self._threads:
            thread.join(_END_WAIT_S)

    def _advance(self, job: Job, progress: Preparation) -> None:
        if job.number in self._calls:
            self._activity.advance(job, round(_STEPS * progress.share), _STEPS)
            self.advanced.emit(job, progress)

    def _done(self, job: Job) -> None:
        self._end(job)
        self._activity.log(f"{job.title}: done")
        self.finished.emit(job)

    def _failed(self, job: Job, error: BaseException) -> None:
        self._end(job)
        if isinstance(error, Cancelled):
            self._activity.log(f"{job.title}: cancelled")
            self.cancelled.emit(job)
        else:
            self._activity.log(f"{job.title}: {error}", "error")
            self.failed.emit(job, error)

    def _end(self, job: Job) -> None:
        self._calls.pop(job.number, None)
        self._activity.end(job)
