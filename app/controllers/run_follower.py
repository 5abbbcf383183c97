"""The avatar of a training in the viewport, newer after each of its saves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.runs.run import Run, Status
from app.state.document import Document

_GOING_ON = (Status.RUNNING, Status.PAUSED, Status.WAITING)


class RunFollower:
    """Follows one run, until that ends, it is told to stop, or something else is opened."""

    def __init__(self, document: Document, export: Callable[[Run], None]) -> None:
        """Ask ``export`` for avatars of runs."""
        self._document, self._export = document, export
        self.run: Run | None = None
        self._asked: Path | None = None
        self._is_waiting = self._is_offered = self._was_open = False

    def follow(self, run: Run) -> None:
        """Follow this one from now on."""
        self.run, self._asked = run, None
        self._is_waiting = self._is_offered = self._was_open = False

    def stop(self) -> None:
        """Leave the viewport as it is."""
        self.run = None

    def look(self) -> None:
        """Ask for an avatar if there is a newer save; to be called now and then."""
        run, is_open = self.run, self._is_open()
        if run is None or self._is_waiting:
            return
        if self._was_open and not is_open:
            # The user wants to see something else.
            self.stop()
            return
        self._was_open = is_open
        if self._is_offered and not is_open:
            # It is being opened, or the user is asked whether it may be.
            return
        newest = run.avatar() or run.checkpoint()
        if newest is not None and newest != self._asked:
            self._asked, self._is_waiting = newest, True
            self._export(run)
        elif run.state().status not in _GOING_ON:
            self.stop()

    def exported(self, run: Run) -> bool:
        """An avatar was made; whether it takes the place of an older one that is open."""
        if self.run is None or run.folder != self.run.folder:
            return False
        self._is_waiting, self._is_offered = False, True
        return self._is_open()

    def failed(self) -> None:
        """An avatar could not be made: the next save is another try."""
        self._is_waiting = False

    def _is_open(self) -> bool:
        avatar, run = self._document.avatar, self.run
        if run is None or avatar is None or avatar.path is None:
            return False
        return avatar.path.absolute().parent in (run.folder, run.folder / "previews")
