"""Entry of the PEGASUS avatar editor: reads the arguments, then makes one call."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from app.commands.command_line import run
from pegasus_runtime.memory import keep_freed_memory

_MANY_OBJECTS = 1_000_000
"""Fewer looks for garbage while modules are imported, more keeps garbage in memory for longer."""


def main() -> int:
    """Run the command line; returns the exit status."""
    keep_freed_memory()
    # Imports make half a million objects and no garbage. Looking for it among them takes a quarter
    # of the time until the first picture.
    gc.set_threshold(_MANY_OBJECTS, 10, 10)
    return run(sys.argv[1:])


def start() -> NoReturn:
    """Run the command line and leave with its status.

    Threads have ended, and functions that wait for the end have run by then. Python would go on to
    free every object: a quarter of a second for memory that the system takes back at once.
    """
    status = main()
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as Python would
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    start()
