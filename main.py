"""Entry of the PEGASUS avatar editor: reads the arguments, then makes one call."""

from __future__ import annotations

import gc
import sys

from app.commands.command_line import run

_MANY_OBJECTS = 100_000


def main() -> int:
    """Run the command line; returns the exit status."""
    # Imports make half a million objects and no garbage. Looking for it among them again and again
    # takes a quarter of the time until the first picture, and as long once more at the end.
    gc.set_threshold(_MANY_OBJECTS, 10, 10)
    try:
        return run(sys.argv[1:])
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
