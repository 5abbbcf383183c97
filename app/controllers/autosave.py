"""Keeps the journal of the open document, on a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from app.controllers.dispatch import Dispatch
from app.state.document import Document
from app.state.jobs import Activity
from app.state.journal import State, line_of, new_journal, touch
from app.state.records import Vocabulary
from app.state.signal import Signal
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import append_line, replace_file

_GATHER_S = 0.25
"""Changes of so long are one line. More loses more at a crash, less writes a line for every move of
a slider."""
_LOOK_S = 0.1
"""More keeps the end of the program waiting, less wakes up for nothing."""
_TOUCH_EVERY_S = 120.0
"""Between signs of life of a journal that nothing is added to; rarer ones let another window take
it for left."""
_MAX_BYTES = 4 << 20
"""A journal that is larger is written anew, or half as large again as a new one is."""


class Autosave:
    """Writes what changed a moment ago; the window never waits for the disk."""

    def __init__(
        self,
        document: Document,
        activity: Activity,
        dispatch: Dispatch,
        gather_s: float = _GATHER_S,
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        self.written: Signal[[]] = Signal()
        """a line is in the file; comes from the thread that wrote it"""
        self._document, self._activity, self._dispatch = document, activity, dispatch
        self._gather_s, self._max_bytes = gather_s, max_bytes
        self._names: Vocabulary | None = None
        self._path: Path | None = None
        self._last: State | None = None
        self._bytes = self._limit = 0
        self._states: SimpleQueue[tuple[State | None, list[Path]]] = SimpleQueue()
        self._superseded: list[Path] = []
        self._changed, self._stopping = threading.Event(), threading.Event()
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name="autosave", daemon=True)
        document.avatar_changed.connect(self._begin)
        document.history.changed.connect(self._changed.set)
        document.saved_changed.connect(self._changed.set)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def supersede(self, journal: Path) -> None:
        """What is open now was restored from a journal: remove it once it is written anew."""
        self._superseded.append(journal)
        self._changed.set()

    def close(self, keeps_journal: bool = False) -> None:
        """The editor ends.

        Args:
            keeps_journal: nobody was asked what becomes of unsaved work, so that it is offered at
                the next start; otherwise nothing is left to recover.
        """
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()
        if keeps_journal:
            if self._names is not None:
                self._write(State.of(self._document, self._names), self._superseded)
        elif self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _begin(self) -> None:
        """Another document: its journal starts anew, in the place of the one before."""
        avatar = self._document.avatar
        self._names = Vocabulary.of(avatar) if avatar is not None and avatar.path else None
        self._changed.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._changed.wait(_TOUCH_EVERY_S):
                if self._path is not None:
                    touch(self._path)
                continue
            self._stopping.wait(self._gather_s)
            self._changed.clear()
            if self._stopping.is_set():
                return
            self._dispatch(self._collect)
            self._write_next()

    def _collect(self) -> None:
        names = self._names
        state = State.of(self._document, names) if names is not None else None
        superseded, self._superseded = self._superseded, []
        self._states.put((state, superseded))

    def _write_next(self) -> None:
        # The window's thread may be busy for a while, and may end meanwhile.
        while not self._stopping.is_set():
            with suppress(Empty):
                self._write(*self._states.get(timeout=_LOOK_S))
                return

    def _write(self, state: State | None, superseded: list[Path]) -> None:
        if self._has_failed:
            return
        try:
            if state is None:
                self._forget()
            else:
                self._append(state)
            for journal in superseded:
                journal.unlink(missing_ok=True)
        except (OSError, InvalidInput) as error:
            self._has_failed = True
            text = f"Autosave has stopped: {error}"
            self._dispatch(lambda: self._activity.log(text, "error"))

    def _append(self, state: State) -> None:
        last = self._last
        is_same = last is not None and (last.names, last.reference) == (
            state.names,
            state.reference,
        )
        if self._path is None:
            self._path = new_journal()
        if is_same and self._bytes < self._limit:
            line = line_of(state, last)
            append_line(self._path, line)
            self._bytes += len(line)
        else:
            line = line_of(state, None)
            with replace_file(self._path) as partial:
                partial.write_bytes(line)
            self._bytes, self._limit = len(line), max(self._max_bytes, len(line) * 3 // 2)
        self._last = state
        self.written.emit()

    def _forget(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._last = None
