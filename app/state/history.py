"""Undo and redo."""

from __future__ import annotations

from dataclasses import dataclass

from app.state.events import Event
from app.state.face import Face

MAX_ENTRIES = 500


@dataclass
class _Entry:
    label: str
    before: Face
    after: Face
    key: str


class History:
    """Changes in order. Changes of one thing within one gesture are one entry."""

    def __init__(self) -> None:
        self.changed: Event[[]] = Event()
        self._done: list[_Entry] = []
        self._undone: list[_Entry] = []
        self._open = False

    def record(self, label: str, before: Face, after: Face, key: str) -> None:
        """Remember a change; ``key`` names what was changed."""
        last = self._done[-1] if self._done else None
        if last is not None and self._open and last.key == key:
            last.after = after
        else:
            self._done.append(_Entry(label, before, after, key))
            del self._done[:-MAX_ENTRIES]
        self._open = True
        self._undone.clear()
        self.changed.emit()

    def end_gesture(self) -> None:
        """The mouse was released or the value was typed: what comes next is another entry."""
        self._open = False

    def undo(self) -> Face | None:
        """The face before the last change, or None."""
        self._open = False
        if not self._done:
            return None
        entry = self._done.pop()
        self._undone.append(entry)
        self.changed.emit()
        return entry.before

    def redo(self) -> Face | None:
        """The face after the last change that was undone, or None."""
        self._open = False
        if not self._undone:
            return None
        entry = self._undone.pop()
        self._done.append(entry)
        self.changed.emit()
        return entry.after

    def clear(self) -> None:
        """Forget everything, as when another avatar opens."""
        self._done.clear()
        self._undone.clear()
        self._open = False
        self.changed.emit()

    @property
    def undo_label(self) -> str | None:
        """What undo would take back."""
        return self._done[-1].label if self._done else None

    @property
    def redo_label(self) -> str | None:
        """What redo would do again."""
        return self._undone[-1].label if self._undone else None

    @property
    def labels(self) -> list[str]:
        """Labels of everything that can be undone, oldest first."""
        return [entry.label for entry in self._done]
