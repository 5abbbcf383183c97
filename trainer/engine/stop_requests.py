"""Ctrl+C, signals of a queue, a request in the run folder: what is being done is saved first."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from pegasus_runtime.queued_job import QUEUED
from pegasus_runtime.run_request import (
    KILL,
    PAUSE,
    STOP,
    forget_request,
    is_supervised,
    read_request,
)

_NOTICE = b"stopping as soon as the preparation is saved; Ctrl+C again stops at once\n"
_ASKS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_ASKS_WITH_HANDLER = ("SIGUSR1", "SIGUSR2")
"""which a queue's library listens to; without one they are none of ours"""

_signals: list[int] = []
"""that asked this process"""


def was_interrupted() -> bool:
    """Whether a person has asked this process, rather than a queue."""
    return signal.SIGINT in _signals


class Interrupted(Exception):
    """A run was asked to stop, and what it has done is saved."""


class StopRequests:
    """Whether this process was asked to stop."""

    def __init__(self, folder: Path | None = None) -> None:
        """Also look for requests in a run folder, unless a supervisor passes them on."""
        self._asked, self._is_preparing = threading.Event(), True
        self._before: dict[int, Any] = {}
        self._asked_by: list[int] = []
        self._folder = None if is_supervised() else folder
        if self._folder and QUEUED not in os.environ:
            # What waited in a queue was asked meanwhile, and it counts.
            forget_request(self._folder)

    @property
    def is_set(self) -> bool:
        """Whether to stop after what is being done now.

        Raises:
            KeyboardInterrupt: somebody wants it to end without saving.
        """
        if self._folder and not self._asked.is_set():
            asked = read_request(self._folder)
            if asked == KILL:
                raise KeyboardInterrupt
            if asked in (PAUSE, STOP):
                _signals.append(signal.SIGINT)
                self._asked.set()
        return self._asked.is_set()

    def take_all(self) -> None:
        """From now on a step is all that has to end first.

        Before, signals of a queue's library are left to it: it puts the job back into the queue at
        once, and nothing is lost that could have been saved.
        """
        self._is_preparing = False
        self._take(lambda handler: True)

    def take_own(self) -> None:
        """Take what nobody else listens to."""
        self._take(lambda handler: handler in (signal.SIG_DFL, signal.default_int_handler))

    def give_back(self) -> None:
        """Leave all signals to who had them, who is told of those that came meanwhile.

        A training that is part of something larger may have come to its end all the same.
        """
        before = dict(self._before)
        self._before.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in self._asked_by:
            whole = getattr(before.get(number), "__self__", None)
            if isinstance(whole, StopRequests):
                whole._on_signal(number, None)

    def _take(self, wanted: Any) -> None:
        for name in (*_ASKS, *_ASKS_WITH_HANDLER):
            number = getattr(signal, name, None)
            if number is None or number in self._before:
                continue
            handler = signal.getsignal(number)
            # nohup and the like have it ignored; Ctrl+C is ignored in a shell's background too.
            ignored: tuple[Any, ...] = (None, signal.SIG_IGN) if name != "SIGINT" else (None,)
            if name in _ASKS_WITH_HANDLER:
                ignored = (None, signal.SIG_IGN, signal.SIG_DFL)
            if handler not in ignored and wanted(handler):
                self._before[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._is_preparing and number == signal.SIGINT:
            if self._asked.is_set():
                raise KeyboardInterrupt
            with suppress(OSError):
                os.write(2, _NOTICE)
        _signals.append(number)
        self._asked_by.append(number)
        self._asked.set()


@contextmanager
def stop_requests(folder: Path | None = None) -> Iterator[StopRequests]:
    """Listen to signals, and to requests in a run folder that this process holds.

    Threads other than the main one get no signals.
    """
    requests = StopRequests(folder)
    if threading.current_thread() is not threading.main_thread():
        requests.take_all = lambda: None  # type: ignore[method-assign]
        yield requests
        return
    requests.take_own()
    try:
        yield requests
    finally:
        requests.give_back()
