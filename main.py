"""Entry of the PEGASUS avatar editor: reads the arguments, then makes one call."""

from __future__ import annotations

import sys

from app.commands.command_line import run


def main() -> int:
    """Run the command line; returns the exit status."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
