"""Jobs that run and lines that were logged."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

from app.state.signal import Signal

MAX_LINES = 2000
"""Of a job's log: more takes memory, fewer forget how it began."""


@dataclass
class Job:
    """Something that takes a while."""

    title: str
    number: int
    done: int = 0
    total: int = 0
    """0 while unknown"""
    cancellable: bool = False
    cancelled: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def remaining_s(self) -> float | None:
        """Seconds left, judged by what is done; None while nothing is."""
        if not self.done or not self.total:
            return None
        return (time.monotonic() - self.started) / self.done * (self.total - self.done)


class Activity:
    """The list of jobs, and the log. To be used from one thread."""

    def __init__(self) -> None:
        self.job_added: Signal[[Job]] = Signal()
        self.job_advanced: Signal[[Job]] = Signal()
        self.job_ended: Signal[[Job]] = Signal()
        self.line_added: Signal[[str, str]] = Signal()
        self.jobs: list[Job] = []
        self.lines: list[tuple[str, str]] = []
        self._numbers = itertools.count(1)

    def start(self, title: str, total: int = 0, cancellable: bool = False) -> Job:
        """A new job."""
        job = Job(title, next(self._numbers), total=total, cancellable=cancellable)
        self.jobs.append(job)
        self.job_added.emit(job)
        return job

    def advance(self, job: Job, done: int, total: int) -> None:
        """A job has come that far."""
        job.done, job.total = done, total
        self.job_advanced.emit(job)

    def end(self, job: Job) -> None:
        """A job has ended, well or not."""
        if job in self.jobs:
            self.jobs.remove(job)
            self.job_ended.emit(job)

    def log(self, text: str, level: str = "info") -> None:
        """Add a line; the level is "info" or "error"."""
        self.lines.append((level, text))
        del self.lines[:-MAX_LINES]
        self.line_added.emit(level, text)
