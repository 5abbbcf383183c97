"""Entry of the PEGASUS avatar editor: reads the arguments, then makes one call."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

from app.commands.command_line import run
from pegasus_runtime.memory import keep_freed_memory
from pegasus_runtime.process_end import leave

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
    """Run the command line and leave with its status."""
    leave(main())


if __name__ == "__main__":
    start()
