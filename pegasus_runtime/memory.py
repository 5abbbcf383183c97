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
"""Free memory that glibc keeps: with less it is given back and asked for anew for every frame."""
_GROUPS = Path("/sys/fs/cgroup")


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
    """Memory that this process may still take: of the machine, its container and its own limit."""
    return max(min(int(psutil.virtual_memory().available), _left_by_limit(), _left_by_group()), 0)


def _left_by_limit() -> int:
    """What ``ulimit -v`` leaves."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return limit - int(psutil.Process().memory_info().vms)


def _left_by_group() -> int:
    """What the control groups of a container or a queue leave, which the system's own count hides.

    Pictures that the system has read for the group are given up when memory is asked for.
    """
    left = sys.maxsize
    with suppress(OSError, ValueError, IndexError):
        own = Path("/proc/self/cgroup").read_text("utf-8").rpartition("0::")[2].strip()
        place = _GROUPS / own.lstrip("/")
        for group in (place, *place.parents):
            if not group.is_relative_to(_GROUPS):
                break
            with suppress(OSError, ValueError):
                limit = int((group / "memory.max").read_text("ascii"))
                taken = int((group / "memory.current").read_text("ascii"))
                facts = (group / "memory.stat").read_text("ascii")
                cached = re.search(r"^inactive_file (\d+)$", facts, re.MULTILINE)
                left = min(left, limit - taken + (int(cached[1]) if cached else 0))
    return left


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
