"""The diary of a training run, read as it grows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EVENTS_FILE = "events.jsonl"
MAX_BACKLOG = 20_000
"""of more lines found at once, evenly spread ones are read: no screen shows more"""
_MEAN_OF = 200
_PLAIN = ("num_points", "radius", "seconds", "memory_mb", "device_use", "preview_seconds")


@dataclass
class Curves:
    """Columns over steps; a value that a line does not have is not a number."""

    steps: list[int] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, event: dict[str, Any]) -> None:
        """Take a line's numbers."""
        named = {f"losses.{name}": value for name, value in event.get("losses", {}).items()}
        # Memory and use are null where the system does not tell.
        named |= {name: event[name] for name in _PLAIN if event.get(name) is not None}
        rates = event.get("learning_rates", {})
        named |= {f"rates.{name}": value for name, value in rates.items()}
        numbers = {name: float(value) for name, value in named.items()}
        step = int(event["step"])
        for name, column in self.values.items():
            column.append(numbers.pop(name, float("nan")))
        for name, value in numbers.items():
            self.values[name] = [float("nan")] * len(self.steps) + [value]
        self.steps.append(step)

    @property
    def seconds_per_step(self) -> float | None:
        """The mean of the last ones."""
        recent = [s for s in self.values.get("seconds", [])[-_MEAN_OF:] if s == s]
        return sum(recent) / len(recent) if recent else None

    @property
    def seconds_per_preview(self) -> float | None:
        """What the last one took."""
        return self._last("preview_seconds")

    @property
    def memory_mb(self) -> float | None:
        """The most that the training has had."""
        return self._last("memory_mb")

    @property
    def device_use(self) -> float | None:
        """Percent of the graphics card, or of all processor cores, at last."""
        return self._last("device_use")

    def _last(self, name: str) -> float | None:
        return next(
            (value for value in reversed(self.values.get(name, [])) if value == value), None
        )


class EventReader:
    """Reads what was added to a run's diary since the last time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS_FILE
        self._offset = 0
        self._file_number = 0
        self.curves = Curves()

    def read(self) -> bool:
        """Take in new lines; whether there were any, or the file is another one now."""
        try:
            found = self._path.stat()
            # Going on rewrites the file without the steps that are done again.
            anew = found.st_ino != self._file_number or found.st_size < self._offset
            if anew:
                self._offset, self._file_number, self.curves = 0, found.st_ino, Curves()
            if found.st_size == self._offset:
                return anew
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                block = stream.read()
        except OSError:
            return False
        # A line that is still being written, or was cut off, waits for its end.
        whole = block.rfind(b"\n") + 1
        self._offset += whole
        for line in _spread(block[:whole].splitlines()):
            self._take(line)
        return bool(whole) or anew

    def _take(self, line: bytes) -> None:
        try:
            self.curves.add(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return


def _spread(lines: Sequence[bytes]) -> Sequence[bytes]:
    stride = -(-len(lines) // MAX_BACKLOG)
    if stride <= 1:
        return lines
    return [*lines[:-1:stride], lines[-1]]
