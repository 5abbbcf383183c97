"""The first start: loops that draw are compiled once, and the user sees how far that has come."""

from __future__ import annotations

from app.controllers.dispatch import Dispatch
from app.state.jobs import Activity, Job
from app.state.signal import Signal
from pegasus_runtime import warmup

TITLE = "Preparing once, about a minute"


class Preparation:
    """A job while the first picture waits for loops; none where they are kept already."""

    def __init__(self, activity: Activity, dispatch: Dispatch) -> None:
        self.advanced: Signal[[Job]] = Signal()
        self.ended: Signal[[]] = Signal()
        self._activity = activity
        self._job: Job | None = None
        self._is_over = False
        self._forget = warmup.watch(
            lambda done, total: dispatch(lambda: self._advance(done, total))
        )

    def end(self) -> None:
        """The first picture is there, or cannot be: what is compiled later takes a moment each."""
        self._is_over = True
        self._forget()
        if self._job is not None:
            self._activity.end(self._job)
            self._job = None
            self.ended.emit()

    def _advance(self, done: int, total: int) -> None:
        if self._is_over:
            return
        if self._job is None:
            self._job = self._activity.start(TITLE, total)
        self._activity.advance(self._job, done, total)
        self.advanced.emit(self._job)
