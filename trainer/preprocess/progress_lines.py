"""How far the videos are: a bar for each in a terminal, a line now and then elsewhere, and lines of
JSON for a program that asks for them."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from pegasus_runtime.progress import is_progress_wanted, progress_line

_LINE_S = 10.0
"""Within a step: more often a log grows longer, less often a step seems to hang."""
_TOLD_S = 0.3
"""The same for a program that shows a bar, which jerks if it is told less often."""


class ProgressLines:
    """Shows step, share and time left of each video; to be used in a with statement."""

    def __init__(self, console: Console) -> None:
        self._console, self._is_for_program = console, is_progress_wanted()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[facts]}", markup=False),
            console=console,
        )
        self._tasks: dict[Path, TaskID] = {}
        self._began: dict[Path, tuple[float, float]] = {}
        self._said: dict[Path, tuple[str, float]] = {}

    def __enter__(self) -> ProgressLines:
        if self._has_bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._has_bar:
            self._bar.stop()

    def report(self, video: Path, step: str, share: float) -> None:
        """Show that a video is at a step, with so much of all its work done."""
        now = time.monotonic()
        begun, before = self._began.setdefault(video, (now, share))
        left = seconds_left(now - begun, before, share)
        in_words = _in_words(left)
        facts = f"{step}, {in_words}" if in_words else step
        if self._has_bar:
            if video not in self._tasks:
                self._tasks[video] = self._bar.add_task(video.name, total=1.0, facts="")
            self._bar.update(self._tasks[video], completed=share, facts=facts)
            return
        last_step, last_time = self._said.get(video, ("", 0.0))
        if step != last_step or now - last_time > (_TOLD_S if self._is_for_program else _LINE_S):
            self._said[video] = (step, now)
            for_people = f"{video.name}: {share:4.0%} {facts}"
            self.say(progress_line(step, share, left) if self._is_for_program else for_people)

    @property
    def _has_bar(self) -> bool:
        return self._console.is_terminal and not self._is_for_program

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def seconds_left(seconds: float, before: float, share: float) -> float | None:
    """What is still to be waited for, None as long as nobody can tell.

    Args:
        seconds: since the first report.
        before: share that was done then.
        share: that is done now.
    """
    if share - before < 0.01 or seconds < 1:
        return None
    return round(seconds * (1 - share) / (share - before), 1)


def _in_words(left: float | None) -> str:
    if left is None:
        return ""
    return f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left"
