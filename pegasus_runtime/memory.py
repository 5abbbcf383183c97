"""Memory: what a process has taken, what is left, and how the C library keeps it."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_LIMIT = 32 << 20
"""the largest that glibc accepts; larger values are ignored without a word"""
_TRIM_LIMIT = 1 << 30


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of giving it back to the system.

    Large arrays come and go with every picture and every step of a training. By default each is
    mapped anew, and the system clears its pages again each time. Other C libraries do not need
    this.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL("libc.so.6")
            library.mallopt(_M_MMAP_THRESHOLD, _MMAP_LIMIT)
            library.mallopt(_M_TRIM_THRESHOLD, _TRIM_LIMIT)


def new_picture(*shape: int) -> Tensor:
    """Room for a float32 picture of a shape on the CPU, with anything in it.

    For what is too large to be kept numpy asks the system for pages of 2 MiB, which it clears in
    half the time; torch does so only with an alignment that hinders keeping.
    """
    import numpy as np
    import torch

    return torch.from_numpy(np.empty(shape, np.float32))


def free_memory_bytes() -> int:
    """Memory that processes may still take; 0 where the system does not say."""
    return 1024 * (_kilobytes(Path("/proc/meminfo"), "MemAvailable") or 0)


def peak_memory_mb(device: torch.device) -> int | None:
    """The most taken on a device since the process began, in MiB; None where it is not known."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_reserved(device) >> 20
    if sys.platform == "win32":
        return None
    # Linux hands what getrusage says down from the process that started this one.
    if (kilobytes := _kilobytes(Path("/proc/self/status"), "VmHWM")) is not None:
        return kilobytes >> 10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)


def _kilobytes(table: Path, name: str) -> int | None:
    """A line of one of the system's tables of memory."""
    try:
        lines = table.read_text("ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)
