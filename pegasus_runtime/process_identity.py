"""Which process is meant: a number alone is given out again after a restart."""

from __future__ import annotations

import math
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

_SAME_START_S = 2.0
"""Start times are told by a clock that may be set meanwhile, by fractions of a second. Less takes a
running training for one that has ended, more takes a later process for it."""
_FIRST_NAMESPACE = 0xEFFFFFFC
"""the inode that Linux gives the process numbers outside of all containers"""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: float
    """seconds since 1970; 0 where the process is not there"""
    host: str
    """the machine, and the container where process numbers are its own"""

    def __post_init__(self) -> None:
        number = isinstance(self.started, int | float) and math.isfinite(self.started)
        if not (isinstance(self.pid, int) and number and isinstance(self.host, str)):
            raise TypeError("that is no process's identity")

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """That of a process of this machine."""
        return cls(pid, _start_time(pid), _host())

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == _host()

    @property
    def is_alive(self) -> bool:
        """Whether it is running on this machine."""
        if not self.is_here or self.started <= 0:
            return False
        return abs(_start_time(self.pid) - self.started) < _SAME_START_S


def _start_time(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.Error, ValueError, OverflowError):
        return 0.0


def _host() -> str:
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        namespace = _FIRST_NAMESPACE
    name = socket.gethostname()
    return name if namespace == _FIRST_NAMESPACE else f"{name}/{namespace}"


def this_process() -> ProcessIdentity:
    """That of the process that asks."""
    return ProcessIdentity.of(os.getpid())
