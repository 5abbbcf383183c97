"""The C library's memory policy, which decides much of a step's time on a CPU."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

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
