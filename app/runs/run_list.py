"""The run folders that the editor knows, kept between two starts."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from app.runs.event_reader import EVENTS_FILE
from app.runs.run import Run
from app.state.app_dirs import config_folder
from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file

_LIST_FILE = "runs.json"
_MAX_BYTES, _MAX_RUNS = 4 << 20, 500
"""Of the kept list, and how many it holds: more makes the window look into more folders."""


class RunList:
    """Only folders are kept; what each run is doing is read from it."""

    def __init__(self) -> None:
        self.runs: list[Run] = [Run(path) for path in _kept()]

    def add(self, folder: Path) -> Run:
        """Know a run from now on; one that is known already is given back.

        Raises:
            FileNotFoundError: there is no such folder.
            InvalidInput: it is not the folder of a run.
        """
        wanted = folder.absolute()
        known = next((run for run in self.runs if run.folder == wanted), None)
        if known:
            return known
        if not wanted.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder.")
        if not any((wanted / name).exists() for name in ("config.yaml", EVENTS_FILE)):
            raise InvalidInput(f"{folder}: is not a run folder (no config.yaml, no {EVENTS_FILE}).")
        run = Run(wanted)
        self.runs.insert(0, run)
        self._keep()
        return run

    def forget(self, run: Run) -> None:
        """List it no more; nothing on disk is touched."""
        self.runs.remove(run)
        self._keep()

    def _keep(self) -> None:
        kept = json.dumps([str(run.folder) for run in self.runs])
        # A list that cannot be kept is no reason to be without the training that was just started.
        with suppress(OSError, InvalidInput), replace_file(config_folder() / _LIST_FILE) as partial:
            partial.write_text(kept, "utf-8")


def _kept() -> list[Path]:
    try:
        kept = read_json(config_folder() / _LIST_FILE, list, max_bytes=_MAX_BYTES)
    except (OSError, InvalidInput):
        return []
    return [Path(path) for path in kept[:_MAX_RUNS] if isinstance(path, str) and _is_folder(path)]


def _is_folder(path: str) -> bool:
    try:
        return os.path.isabs(path) and Path(path).is_dir()
    except (OSError, ValueError):
        return False
