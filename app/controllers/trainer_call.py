"""The trainer is asked in a process of its own, which can be ended."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

import psutil

from app.runs.launch import ROOT
from pegasus_runtime.errors import InvalidInput, one_line


class TrainerCall:
    """One question to the trainer."""

    def __init__(self, timeout_s: float | None = None) -> None:
        """Ask once, and wait no longer than ``timeout_s``."""
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_cancelled = False

    def ask(self, command: str, *arguments: str) -> Any:
        """Run a command of the trainer and read the JSON that it prints; for any thread.

        Raises:
            InvalidInput: it was cancelled, did not answer in time, or says what is wrong.
        """
        with self._lock:
            if self._is_cancelled:
                raise InvalidInput("Cancelled.")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainer", command, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        try:
            answer, said = self._process.communicate(timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            self.cancel()
            text = f"The trainer did not answer within {self._timeout_s:g} s; try again."
            raise InvalidInput(text) from None
        if self._process.returncode:
            lines = said.strip().splitlines() or ["The trainer ended without giving a reason."]
            raise InvalidInput(one_line(lines[-1].removeprefix("trainer: "), 500))
        return json.loads(answer)

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
