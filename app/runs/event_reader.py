"""The event log of a training run, read as it grows.

A log may be long, cut off or written by anything: what is read at once is limited in bytes, lines
and names, and lines that are none are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pegasus_runtime.documents import parse_json
from pegasus_runtime.errors import InvalidInput, one_line

EVENTS_FILE = "events.jsonl"
MAX_BACKLOG = 20_000
"""of more lines found at once, evenly spread ones are read: no screen shows more"""
_MAX_READ_BYTES = 64 << 20
"""taken from the disk at once; what is left over waits for the next look; more takes memory, less
follows a long log later"""
_MAX_PARSED_BYTES = 16 << 20
"""of that, evenly spread lines are parsed up to so much, which takes about half a second"""
_MAX_NAMES = 64
"""columns; a training has about thirty"""
_MAX_NAME = 60
"""Characters; longer ones fit in no legend."""
_MAX_NUMBER = 1e15
"""larger ones are no losses, times or counts, and no plot can show them beside others"""
_MAX_STEP = 1_000_000_000
"""Ten times what a training can be given; larger ones are damage."""
_MEAN_OF = 200
"""Steps that the time left is worked out from: fewer follow a change of pace sooner, and jitter."""
_PLAIN = ("num_points", "radius", "seconds", "memory_mb", "device_use", "preview_seconds")


@dataclass
class Curves:
    """Columns over steps; a value that a line does not have is not a number."""

    steps: list[int] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, event: dict[str, Any]) -> None:
        """Take a line's numbers; one without a step has none."""
        step = event.get("step")
        if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= _MAX_STEP:
            return
        numbers = dict(_numbers(event))
        for name, column in self.values.items():
            column.append(numbers.pop(name, math.nan))
        for name, value in numbers.items():
            if len(self.values) < _MAX_NAMES:
                self.values[name] = [math.nan] * len(self.steps) + [value]
        self.steps.append(step)

    @property
    def seconds_per_step(self) -> float | None:
        """The mean of the last ones."""
        recent = [s for s in self.values.get("seconds", [])[-_MEAN_OF:] if s >= 0]
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
        return next((value for value in reversed(self.values.get(name, [])) if value >= 0), None)


@dataclass(frozen=True)
class Preparation:
    """How far a training is with what comes before its first step."""

    words: str
    """what it does"""
    share: float
    """of all that, 0..1"""
    seconds_left: float | None


def read_preparation(event: dict[str, Any]) -> Preparation | None:
    """What an event tells of it; None for an event that tells of something else."""
    share = _number(event.get("share"))
    if not isinstance(event.get("preparing"), str) or share is None:
        return None
    left = _number(event.get("seconds_left"))
    has_left = left is not None and 0 <= left < math.inf
    share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    return Preparation(one_line(event["preparing"], _MAX_NAME), share, left if has_left else None)


class EventReader:
    """Reads what was added to a run's event log since the last time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS_FILE
        self._offset = 0
        self._file_number = 0
        self.curves = Curves()
        self.preparation: Preparation | None = None
        """until the first step"""

    def read(self) -> bool:
        """Take in new lines; whether there were any, or the file is another one now."""
        try:
            found = self._path.stat()
            # Going on rewrites the file without the steps that are done again.
            anew = found.st_ino != self._file_number or found.st_size < self._offset
            if anew:
                self._offset, self._file_number, self.curves = 0, found.st_ino, Curves()
                self.preparation = None
            if found.st_size == self._offset:
                return anew
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                block = stream.read(_MAX_READ_BYTES)
        except OSError:
            return False
        # A line that is still being written, or was cut off, waits for its end; one that fills all
        # that is read at once is no line.
        whole = block.rfind(b"\n") + 1
        if not whole and len(block) == _MAX_READ_BYTES:
            whole = len(block)
        self._offset += whole
        for line in _spread(block[:whole].splitlines()):
            self._take(line)
        return bool(whole) or anew

    def _take(self, line: bytes) -> None:
        try:
            event = parse_json(line, EVENTS_FILE, dict, max_items=10_000, allow_nan=True)
        except InvalidInput:
            return
        self.preparation = read_preparation(event)
        self.curves.add(event)


def _numbers(event: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """An event's numbers with the names of their columns."""
    for name in _PLAIN:
        # Memory and use are null where the system does not tell.
        if (number := _number(event.get(name))) is not None:
            yield name, number
    for prefix, group in (("losses", "losses"), ("rates", "learning_rates")):
        named = event.get(group)
        for name, value in named.items() if isinstance(named, dict) else ():
            if (number := _number(value)) is not None:
                yield f"{prefix}.{one_line(name, _MAX_NAME)}", number


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MAX_NUMBER else math.nan


def _spread(lines: Sequence[bytes]) -> Sequence[bytes]:
    size = sum(map(len, lines))
    stride = max(-(-len(lines) // MAX_BACKLOG), -(-size // _MAX_PARSED_BYTES))
    if stride <= 1:
        return lines
    return [*lines[:-1:stride], lines[-1]]
