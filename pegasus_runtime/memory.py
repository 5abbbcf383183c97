"""Memory: what a process has taken, what is left, and how the C library keeps it."""

from __future__ import annotations

import ctypes
import errno
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

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
    """Memory that processes may still take."""
    return int(psutil.virtual_memory().available)


def peak_memory_mb(device: torch.device) -> int | None:
    """The most taken on a device since the process began, in MiB; None where it is not known."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_reserved(device) >> 20
    platform: str = sys.platform
    if platform == "linux":
        # What getrusage says is handed down from the process that started this one.
        status = Path("/proc/self/status").read_text("ascii", errors="replace")
        found = re.search(r"^VmHWM:\s*(\d+)", status, re.MULTILINE)
        return int(found[1]) >> 10 if found else None
    if platform == "win32":
        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0)) >> 20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20


_SIGNS_OF_NO_MEMORY = (
    "defaultcpuallocator",
    "out of memory",
    "not enough memory",
    "cannot allocate memory",
    "can't allocate memory",
    "can't start new thread",
    "could not create a memory",
    "could not create a primitive",
    "bad_alloc",
    "alloc_failed",
)
"""in what torch and the libraries below it say"""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library means that memory, of whatever device, has run out."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS_OF_NO_MEMORY)
