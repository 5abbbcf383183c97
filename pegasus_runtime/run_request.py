"""What people ask of a training: a file in its run folder, which works on every system and from any
machine that sees the folder.

A training that the editor started has a supervisor beside it, which passes the request on; one of a
terminal or a queue looks for it itself, between steps.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pegasus_runtime.documents import read_bytes
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file

REQUEST_FILE = "request"
PAUSE, STOP, KILL = "pause", "stop", "kill"
SUPERVISED = "PEGASUS_SUPERVISED"
"""the variable that tells a training that somebody else passes requests on"""
_MAX_BYTES = 100
"""Of a request, which is one word; more only lets a wrong file be read for longer."""


def ask(folder: Path, wanted: str) -> None:
    """Ask a training to save and end (`PAUSE`, `STOP`), or to end as it is (`KILL`).

    Raises:
        InvalidInput: the folder cannot be written.
    """
    with replace_file(folder / REQUEST_FILE) as partial:
        partial.write_text(wanted, "utf-8")


def read_request(folder: Path) -> str:
    """What was last asked; nothing where nothing was."""
    with suppress(OSError, InvalidInput):
        return read_bytes(folder / REQUEST_FILE, _MAX_BYTES).strip().decode("ascii", "replace")
    return ""


def forget_request(folder: Path) -> None:
    """What was asked of an earlier training is not asked of the next one."""
    with suppress(OSError):
        (folder / REQUEST_FILE).unlink()


def is_supervised() -> bool:
    """Whether somebody beside this training passes requests on."""
    return SUPERVISED in os.environ
