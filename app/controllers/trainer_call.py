"""The trainer is asked in a process of its own, which can be ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, Any

import psutil

from app.runs.event_reader import Preparation, read_preparation
from app.runs.launch import ROOT
from pegasus_runtime.documents import parse_json
from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.progress import WANTS_PROGRESS


class Cancelled(InvalidInput):
    """It was ended because its answer is not wanted any more."""


class TrainerCall:
    """One question to the trainer."""

    def __init__(self, timeout_s: float | None = None) -> None:
        """Ask once, and wait no longer than ``timeout_s``."""
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_cancelled = self._is_late = False

    def ask(self, command: str, *arguments: str) -> Any:
        """Run a command of the trainer and read the JSON that it prints; for any thread.

        Raises:
            Cancelled: see `cancel`.
            InvalidInput: it did not answer in time, or says what is wrong.
        """
        return json.loads(self.run(command, *arguments))

    def run(
        self,
        command: str,
        *arguments: str,
        on_progress: Callable[[Preparation], None] = lambda _: None,
    ) -> str:
        """Run a command of the trainer to its end and give what it prints; for any thread.

        Args:
            command: of ``python -m trainer``.
            arguments: of the command.
            on_progress: told on this thread how far it is, where the command says so.

        Raises:
            Cancelled: see `cancel`.
            InvalidInput: it did not answer in time, or says what is wrong.
        """
        process = self._start(command, arguments)
        assert process.stdout and process.stderr
        printed: list[str] = []
        reader = threading.Thread(target=_read, args=(process.stdout, printed), daemon=True)
        reader.start()
        clock = threading.Timer(self._timeout_s or 0, self._give_up)
        if self._timeout_s:
            clock.start()
        said = _listen(process.stderr, on_progress)
        process.wait()
        clock.cancel()
        reader.join()
        if self._is_late:
            text = f"The trainer did not answer within {self._timeout_s:g} s; try again."
            raise InvalidInput(text)
        if self._is_cancelled:
            raise Cancelled("Cancelled.")
        if process.returncode:
            last = said or "The trainer ended without giving a reason."
            raise InvalidInput(one_line(last.removeprefix("trainer: "), 500))
        return "".join(printed)

    def cancel(self) -> None:
        """End it, with all that it has started; for any thread."""
        with self._lock:
            self._is_cancelled = True
            process = self._process
        if process is None or process.poll() is not None:
            return
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        with suppress(OSError):
            process.kill()

    def _start(self, command: str, arguments: Iterable[str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._is_cancelled:
                raise Cancelled("Cancelled.")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainer", command, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, WANTS_PROGRESS: "json", "PYTHONUNBUFFERED": "1"},
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            return self._process

    def _give_up(self) -> None:
        self._is_late = True
        self.cancel()


def _read(stream: IO[str], printed: list[str]) -> None:
    printed.append(stream.read())


def _listen(stream: IO[str], on_progress: Callable[[Preparation], None]) -> str:
    """Pass progress on until the end; the last line that was none."""
    last = ""
    for line in stream:
        progress = _progress_in(line)
        if progress is not None:
            on_progress(progress)
        elif line.strip():
            last = line.strip()
    return last


def _progress_in(line: str) -> Preparation | None:
    if not line.startswith("{"):
        return None
    with suppress(InvalidInput):
        return read_preparation(parse_json(line.encode(), "progress", dict))
    return None
