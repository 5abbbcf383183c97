"""The run's diary: events.jsonl for the editor and for people, TensorBoard beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVENTS_FILE = "events.jsonl"


class EventLog:
    """Appends one JSON object a line, each line written whole."""

    def __init__(self, run_dir: Path, done: int) -> None:
        """Open the diary of a run that has done so many steps."""
        from torch.utils.tensorboard import SummaryWriter

        self._path = run_dir / EVENTS_FILE
        self._board = SummaryWriter(str(run_dir / "tensorboard"), purge_step=done + 1)
        self.truncate_after(done)

    def truncate_after(self, step: int) -> None:
        """Forget lines of steps after the given one, which a resumed run will do again."""
        if not self._path.is_file():
            return
        kept = [line for line in self._path.read_text("utf-8").splitlines() if _step(line) <= step]
        partial = self._path.with_suffix(".partial")
        partial.write_text("".join(f"{line}\n" for line in kept), "utf-8")
        partial.replace(self._path)

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


def _step(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 1 << 60
