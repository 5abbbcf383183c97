"""The run folders that the editor knows, kept between two starts."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from app.state.folders import config_folder
from app.state.run_events import EVENTS_FILE
from app.state.runs import Run
from pegasus_runtime.errors import Refused
from pegasus_runtime.files import replace_file


class RunList:
    """Only folders are kept; what each run is doing is read from it."""

    def __init__(self) -> None:
        self.runs: list[Run] = [Run(Path(path)) for path in _kept() if Path(path).is_dir()]

    def add(self, folder: Path) -> Run:
        """Know a run from now on; one that is known already is given back.

        Raises:
            FileNotFoundError: there is no such folder.
            Refused: it is not the folder of a run.
        """
        wanted = folder.absolute()
        known = next((run for run in self.runs if run.folder == wanted), None)
        if known:
            return known
        if not wanted.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder.")
        if not any((wanted / name).exists() for name in ("config.yaml", EVENTS_FILE)):
            raise Refused(f"{folder}: is not a run folder (no config.yaml, no {EVENTS_FILE}).")
        run = Run(wanted)
        self.runs.insert(0, run)
        self._keep()
        return run

    def forget(self, run: Run) -> None:
        """List it no more; nothing on disk is touched."""
        self.runs.remove(run)
        self._keep()

    def _keep(self) -> None:
        with replace_file(config_folder() / "runs.json") as partial:
            partial.write_text(json.dumps([str(run.folder) for run in self.runs]), "utf-8")


def _kept() -> list[str]:
    with suppress(OSError, ValueError):
        kept = json.loads((config_folder() / "runs.json").read_text("utf-8"))
        if isinstance(kept, list):
            return [path for path in kept if isinstance(path, str)]
    return []
