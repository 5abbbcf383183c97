"""Ctrl+C and other signals wait while numba compiles.

Python calls their handlers between any two of its instructions. Where that is between a call of
LLVM and taking note of what it returned, an exception leaves memory that is freed twice; and where
an object of LLVM's is being deleted, Python swallows it, and Ctrl+C is lost. So handlers are called
where numba lets its lock go: after each pass over a loop, of which the longest takes a second.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from numba.core import event

_event: Any = event
_LOCK = "numba:compiler_lock"


def defer_signals_while_compiling() -> None:
    """From now on, in the main thread, which is the one that gets signals."""
    _event.register(_LOCK, _Deferral())


class _Deferral(_event.Listener):  # type: ignore[misc]
    def __init__(self) -> None:
        self._depth = 0
        self._handlers: dict[int, Any] = {}
        self._waiting: list[tuple[Any, int, FrameType | None]] = []

    def on_start(self, _event: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if not self._depth:
            self._take()
        self._depth += 1

    def on_end(self, _event: Any) -> None:
        if threading.current_thread() is not threading.main_thread() or not self._depth:
            return
        self._depth -= 1
        if not self._depth:
            self._give_back()
        while self._waiting:
            handler, number, frame = self._waiting.pop(0)
            handler(number, frame)

    def _take(self) -> None:
        try:
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        except BaseException:  # out of a handler that was not taken yet
            self._give_back()
            raise

    def _give_back(self) -> None:
        try:
            for number, handler in tuple(self._handlers.items()):
                signal.signal(number, handler)
                del self._handlers[number]
        finally:  # after an exception out of a handler that was given back
            if self._handlers:
                self._give_back()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._waiting.append((self._handlers[number], number, frame))
