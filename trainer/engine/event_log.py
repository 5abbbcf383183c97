"""The event log of a run: events.jsonl for the editor and for people, TensorBoard beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pegasus_runtime.files import replace_file

EVENTS_FILE = "events.jsonl"


class EventLog:
    """Appends one JSON object a line, each line written whole."""

    def __init__(self, run_dir: Path, done: int) -> None:
        """Open the log of a run that has done so many steps."""
        from torch.utils.tensorboard import SummaryWriter

        self._path = run_dir / EVENTS_FILE
        self._board = SummaryWriter(str(run_dir / "tensorboard"), purge_step=done + 1)
        self.truncate_after(done)

    def truncate_after(self, step: int) -> None:
        """Forget lines of steps after the given one, which a resumed run will do again."""
        if not self._path.is_file():
            return
        with (
            replace_file(self._path) as partial,
            partial.open("wb") as kept,
            self._path.open("rb") as lines,
        ):
            kept.writelines(line for line in lines if 0 < _step(line) <= step)

    def write(self, event: dict[str, Any]) -> None:
        """Append an event; its numbers go to TensorBoard as well."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
        step = int(event["step"])
        for name, value in event.get("losses", {}).items():
            self._board.add_scalar(f"loss/{name}", value, step)
        for name in ("num_points", "radius", "seconds", "memory_mb", "device_use"):
            if event.get(name) is not None:
                self._board.add_scalar(name, event[name], step)

    def close(self) -> None:
        self._board.close()


def _step(line: bytes) -> int:
    """Which step a line tells of; 0 for what is no whole line of this log."""
    try:
        return int(json.loads(line)["step"]) if line.endswith(b"\n") else 0
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return 0
