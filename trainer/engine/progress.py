"""The progress bar of a training."""

from __future__ import annotations

from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

_SMOOTHING = 0.97
"""Nearer to 1 the numbers shown are steadier and follow later."""


class Progress:
    """A bar with the smoothed losses that matter most, time gone and time left."""

    def __init__(self, total: int, done: int) -> None:
        self._bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("training", total=total, completed=done, facts="")
        self._smooth: dict[str, float] = {}

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, event: dict[str, Any]) -> None:
        """Show a step's event."""
        for name in ("rgb", "mask"):
            value = event["losses"].get(name, 0.0)
            before = self._smooth.get(name, value)
            self._smooth[name] = _SMOOTHING * before + (1 - _SMOOTHING) * value
        facts = " ".join(f"{name} {value:.4f}" for name, value in self._smooth.items())
        self._bar.update(
            self._task, completed=event["step"], facts=f"{facts} points {event['num_points']}"
        )

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(message, markup=False)
