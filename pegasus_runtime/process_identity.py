"""Which process is meant: a number alone is given out again after a restart."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_QUERY_LIMITED = 0x1000


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: str
    """when, as the system tells it; empty where the process is not there"""
    host: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """That of a process of this machine."""
        return cls(pid, _start_time(pid), socket.gethostname())

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether it is running on this machine."""
        return self.is_here and bool(self.started) and _start_time(self.pid) == self.started


def _start_time(pid: int) -> str:
    platform: str = sys.platform
    if platform == "win32":
        return _start_time_windows(pid)
    if platform == "linux":
        return _start_time_linux(pid)
    # The others have no files on processes, but all have ps.
    asked = ["ps", "-o", "lstart=", "-p", str(pid)]
    with suppress(OSError):
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def _start_time_linux(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return ""
    # The program's name, in brackets, may hold spaces and brackets.
    state, *rest = line.rpartition(")")[2].split()
    return "" if state in "ZX" else f"{boot}:{rest[18]}"


def _start_time_windows(pid: int) -> str:
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    handle = kernel.OpenProcess(_QUERY_LIMITED, False, pid)
    if not handle:
        return ""
    times = [ctypes.c_ulonglong() for _ in range(4)]
    try:
        known = kernel.GetProcessTimes(handle, *(ctypes.byref(time) for time in times))
    finally:
        kernel.CloseHandle(handle)
    # An ended process stays known while somebody holds it; then its exit time is set.
    return str(times[0].value) if known and not times[1].value else ""


def this_process() -> ProcessIdentity:
    """That of the process that asks."""
    return ProcessIdentity.of(os.getpid())
