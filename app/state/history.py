"""Undo and redo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.state.display import Display
from app.state.face import Face
from app.state.signal import Signal
from app.state.view import View

MAX_ENTRIES = 2000
"""Of undo; more only costs memory and time when a project is opened."""
Part = Face | View | Display
"""What of a document one change is about."""


@dataclass(frozen=True)
class Entry:
    """One change: of the face, of the view or of what is displayed."""

    label: str
    before: Part
    after: Part
    key: str
    """what was changed: changes of one thing within one gesture are one entry"""


class History:
    """Changes in order, and how many of them are done; those after it can be redone."""

    def __init__(self) -> None:
        self.changed: Signal[[]] = Signal()
        self._entries: list[Entry] = []
        self._position = 0
        self._open = False

    def record(self, label: str, before: Part, after: Part, key: str) -> None:
        """Remember a change; ``key`` names what was changed."""
        last = self._entries[self._position - 1] if self._position else None
        del self._entries[self._position :]
        if last is not None and self._open and last.key == key:
            self._entries[-1] = replace(last, after=after)
        else:
            self._entries.append(Entry(label, before, after, key))
            del self._entries[:-MAX_ENTRIES]
        self._position = len(self._entries)
        self._open = True
        self.changed.emit()

    def end_gesture(self) -> None:
        """The mouse was released or the value was typed: what comes next is another entry."""
        self._open = False

    def undo(self) -> list[Part]:
        """What to restore to take the last change back; nothing if there is none."""
        return self.go_to(self._position - 1)

    def redo(self) -> list[Part]:
        """What to restore to do again what was undone last; nothing if there is none."""
        return self.go_to(self._position + 1)

    def go_to(self, position: int) -> list[Part]:
        """What to restore, in order, so that so many changes are done."""
        self._open = False
        position = min(max(position, 0), len(self._entries))
        taken_back = [entry.before for entry in self._entries[position : self._position]]
        done_again = [entry.after for entry in self._entries[self._position : position]]
        if position != self._position:
            self._position = position
            self.changed.emit()
        return taken_back[::-1] or done_again

    def clear(self) -> None:
        """Forget everything, as when another avatar opens."""
        self.load((), 0)

    def load(self, entries: Sequence[Entry], position: int) -> None:
        """Take over the history of an earlier session."""
        self._entries = list(entries)[-MAX_ENTRIES:]
        self._position = min(max(position, 0), len(self._entries))
        self._open = False
        self.changed.emit()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All changes, oldest first, those that can be redone too."""
        return tuple(self._entries)

    @property
    def position(self) -> int:
        """How many of the entries are done."""
        return self._position

    @property
    def undo_label(self) -> str | None:
        """What undo would take back."""
        return self._entries[self._position - 1].label if self._position else None

    @property
    def redo_label(self) -> str | None:
        """What redo would do again."""
        following = self._entries[self._position : self._position + 1]
        return following[0].label if following else None

    @property
    def labels(self) -> list[str]:
        """Labels of everything that can be undone, oldest first."""
        return [entry.label for entry in self._entries[: self._position]]
