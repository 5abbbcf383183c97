"""Memory: how much is left for a training, and how the C library keeps it."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_LIMIT = 32 << 20
"""the largest that glibc accepts; larger values are ignored without a word"""
_TRIM_LIMIT = 1 << 30


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of giving it back to the system.

    Large tensors come and go in every step. By default each is mapped anew, and the system clears
    its pages again each time. Other C libraries do not need this.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL("libc.so.6")
            library.mallopt(_M_MMAP_THRESHOLD, _MMAP_LIMIT)
            library.mallopt(_M_TRIM_THRESHOLD, _TRIM_LIMIT)


def free_memory_bytes() -> int:
    """Memory that processes may still take; 0 where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(li.split()[1]) * 1024 for li in lines if li.startswith("MemAvailable")), 0)
