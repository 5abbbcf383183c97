"""A training run is a folder; what it is doing is read from the folder."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from app.runs.event_reader import EVENTS_FILE, EventReader
from app.runs.supervisor import LOG_FILE, PROCESS_FILE
from pegasus_runtime.documents import parse_json, read_json, read_yaml
from pegasus_runtime.errors import EXIT_INTERRUPTED, InvalidInput, one_line
from pegasus_runtime.process_identity import ProcessIdentity
from pegasus_runtime.queued_job import ENDED, WAITING, read_job
from pegasus_runtime.run_lock import Owner, find_owner
from pegasus_runtime.run_request import KILL, PAUSE, STOP, read_request

CURRENT_FILE = "current_checkpoint"
"""of the run folder; names one of its checkpoints"""
_MAX_COUNT = 1_000_000_000
"""Larger ones are damage, and no bar could show them."""
_TAIL_BYTES = 20_000
"""Of a log, where its last lines are looked for: less may miss the mistake before a long trace."""
_FROM_OUTSIDE = "ended from outside; Resume goes on from the last save"


class Status(Enum):
    """What a run is doing, in the words that are shown."""

    FOUND = "Not started"
    WAITING = "Waiting"
    RUNNING = "Running"
    PAUSED = "Paused"
    FINISHED = "Finished"
    INTERRUPTED = "Interrupted"
    FAILED = "Failed"


@dataclass(frozen=True)
class State:
    """A run's status and why."""

    status: Status
    detail: str = ""
    can_be_told: bool = False
    """whether pause and stop reach it"""


@dataclass(frozen=True)
class ProcessFacts:
    """What is written down about a process that the editor started."""

    process: ProcessIdentity
    guard: ProcessIdentity
    began: float
    command: tuple[str, ...] = ()
    exit_code: int | None = None
    """once it has ended"""
    ended: float | None = None

    @classmethod
    def parse(cls, facts: dict[str, Any]) -> ProcessFacts:
        """Raises InvalidInput for what no supervisor wrote."""
        try:
            ended = facts.get("ended")
            code = facts.get("exit_code")
            return cls(
                ProcessIdentity(**facts["process"]),
                ProcessIdentity(**facts["guard"]),
                float(facts["began"]),
                tuple(map(str, facts.get("command", ()))),
                None if code is None else int(code),
                None if ended is None else float(ended),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InvalidInput(f"{PROCESS_FILE}: says nothing of a process.") from None


class Run:
    """One run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.events = EventReader(self.folder)
        self._config: tuple[float, dict[str, Any]] = (0.0, {})

    @property
    def name(self) -> str:
        """What it is listed as."""
        return self.folder.name

    def state(self) -> State:
        """What it is doing now."""
        facts, owner = self.process_facts(), find_owner(self.folder)
        if owner is None and (queued := self._in_queue()):
            return queued
        if facts is None:
            return self._by_lock(owner, "")
        if not facts.process.is_here and facts.exit_code is None:
            return self._by_lock(owner, f"on {facts.process.host}")
        asked = self.request()
        if facts.exit_code is None and facts.process.is_alive:
            return State(Status.RUNNING, _being_asked(asked), True)
        if facts.exit_code is None:
            # Its guard, while it lives, is about to write down how it ended.
            if facts.guard.is_alive:
                return State(Status.RUNNING, "ending")
            facts = self.process_facts() or facts
        if owner or (facts.ended is not None and self._wrote_since(facts.ended + 2)):
            return self._by_lock(owner, "")
        if facts.exit_code is not None:
            return self._ended(facts.exit_code, asked)
        if self._has_avatar_since(facts.began):
            return State(Status.FINISHED)
        return State(Status.INTERRUPTED, _FROM_OUTSIDE)

    def process_facts(self) -> ProcessFacts | None:
        """What its launcher wrote about the process; none for a run started in a terminal."""
        with suppress(OSError, InvalidInput):
            return ProcessFacts.parse(
                read_json(self.folder / PROCESS_FILE, dict, max_bytes=1 << 20)
            )
        return None

    def request(self) -> str:
        """What was last asked of it: pause, stop, kill or nothing."""
        return read_request(self.folder)

    def config(self) -> dict[str, Any]:
        """Its configuration as plain values; empty while there is none."""
        path = self.folder / "config.yaml"
        with suppress(OSError, InvalidInput):
            changed = path.stat().st_mtime
            if changed != self._config[0]:
                self._config = (changed, {})
                self._config = (changed, read_yaml(path, dict))
        return self._config[1]

    @property
    def total_steps(self) -> int:
        """Steps of the whole training, 0 while unknown."""
        return self._count("steps")

    @property
    def remaining_s(self) -> float | None:
        """Seconds left at the pace of the last steps."""
        curves = self.events.curves
        pace = curves.seconds_per_step
        if pace is None or not self.total_steps:
            return None
        return pace * max(self.total_steps - curves.steps[-1], 0)

    @property
    def preview_share(self) -> float | None:
        """Which share of the time previews take; of long diaries not every line is read."""
        pace, preview = self.events.curves.seconds_per_step, self.events.curves.seconds_per_preview
        every = self._count("preview_every")
        if pace is None or preview is None or not every:
            return None
        whole = preview + every * pace
        return preview / whole if whole else None

    def avatar(self) -> Path | None:
        """The finished avatar."""
        return next(iter(sorted(self.folder.glob("*.avatar"))), None)

    def checkpoint(self) -> Path | None:
        """The one that the run goes on from: the newest, unless it went back to an older one."""
        folder = self.folder / "checkpoints"
        with suppress(OSError, ValueError):
            name = (self.folder / CURRENT_FILE).read_text("utf-8").strip()
            if Path(name).name == name and (folder / name).is_dir():
                return folder / name
        return max(folder.glob("step-*"), default=None)

    def preview(self) -> Path | None:
        """The newest preview picture."""
        return max((self.folder / "previews").glob("step-*.png"), default=None)

    def failure(self) -> str:
        """Why it never began, of a run whose last event says that; else empty."""
        with suppress(OSError, InvalidInput), (self.folder / EVENTS_FILE).open("rb") as stream:
            stream.seek(max((self.folder / EVENTS_FILE).stat().st_size - _TAIL_BYTES, 0))
            lines = stream.read().splitlines()
            last = parse_json(lines[-1], EVENTS_FILE, dict) if lines else {}
            said = last.get("failed")
            return one_line(said, 500) if isinstance(said, str) else ""
        return ""

    def last_lines(self, count: int = 12) -> list[str]:
        """The end of its log."""
        with suppress(OSError), (self.folder / LOG_FILE).open("rb") as stream:
            stream.seek(max((self.folder / LOG_FILE).stat().st_size - _TAIL_BYTES, 0))
            lines = stream.read().decode("utf-8", "replace").splitlines()
            return [line.rstrip() for line in lines if line.strip()][-count:]
        return []

    def _ended(self, code: int, asked: str) -> State:
        if code == 0:
            return State(Status.FINISHED)
        if asked == PAUSE and code in (EXIT_INTERRUPTED, 1, -2):
            return State(Status.PAUSED, "" if self._has_saved() else "before its first save")
        if asked or code == EXIT_INTERRUPTED:
            saved = "saved" if asked != KILL and self._has_saved() else "not saved"
            return State(Status.INTERRUPTED, f"stopped, {saved}")
        if code < 0:
            return State(Status.INTERRUPTED, _FROM_OUTSIDE)
        return State(Status.FAILED, advice(self.last_lines(), self.failure()))

    def _by_lock(self, owner: Owner | None, where: str) -> State:
        """What a run is doing of which no process of ours knows."""
        if owner:
            here = "" if owner.process.is_here else f" on {owner.process.host}"
            words = where or f"started in a terminal{here}, process {owner.process.pid}"
            told = ", ".join(filter(None, (words, _being_asked(self.request()))))
            return State(Status.RUNNING, one_line(told), True)
        job, asked = read_job(self.folder), self.request()
        has_begun = (self.folder / EVENTS_FILE).exists()
        if self.avatar() is not None:
            return State(Status.FINISHED, where)
        if failure := self.failure():
            return State(Status.FAILED, failure)
        if asked in (PAUSE, STOP, KILL) and (has_begun or job):
            return self._ended(EXIT_INTERRUPTED, asked)
        if has_begun:
            return State(Status.INTERRUPTED, where or "writes no more")
        if job is None:
            return State(Status.FOUND, where)
        words = f"SLURM's job {job.number} has written nothing; its log is in slurm"
        return State(Status.FAILED if job.status == ENDED else Status.INTERRUPTED, words)

    def _in_queue(self) -> State | None:
        """For whom it waits, if a queue has it: started here it would run twice."""
        job = read_job(self.folder)
        if job is None or job.status != WAITING:
            return None
        words = (f"for SLURM, as job {job.number}", _when_begun(self.request()))
        return State(Status.WAITING, ", ".join(filter(None, words)), True)

    def _count(self, key: str) -> int:
        """A setting that is a number from 1; 0 while it is unknown."""
        value = self.config().get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            return 0
        return value if 0 < value < _MAX_COUNT else 0

    @property
    def makes_its_data(self) -> bool:
        """Whether it begins with a video, or with other people whose attributes it puts on."""
        data = self.config().get("data")
        return isinstance(data, dict) and bool(data.get("video") or data.get("people"))

    def _has_saved(self) -> bool:
        """Whether it goes on from somewhere; the data that it makes are kept all the time."""
        return self.checkpoint() is not None or self.makes_its_data

    def _wrote_since(self, moment: float) -> bool:
        with suppress(OSError):
            return (self.folder / EVENTS_FILE).stat().st_mtime > moment
        return False

    def _has_avatar_since(self, moment: float) -> bool:
        with suppress(OSError):
            avatar = self.avatar()
            return avatar is not None and avatar.stat().st_mtime > moment
        return False


def _when_begun(asked: str) -> str:
    """What a training that waits in a queue does about a request."""
    words = {PAUSE: "pauses when it begins", STOP: "stops when it begins"}
    return words.get(asked, "ends when it begins" if asked else "")


def _being_asked(asked: str) -> str:
    """What a training does about a request."""
    words = {PAUSE: "saving, then pausing", STOP: "saving, then stopping"}
    return words.get(asked, "stopping" if asked else "")


ADVICE = {
    "No space left": "The disk is full: free some space, then press Resume.",
    "free some space": "The run's folder cannot be written: free some space, then press Resume.",
    "out of memory": "The memory was not enough: lower points.maximum or data.image_size.",
    "is not a number": "The rates are too high: halve optimiser.networks and its like, Resume.",
    "CUDA devices": "That graphics card is not there: set the device to auto or cpu.",
    "frames are bad": "Repair these frames, or list them in skip.json.",
    "No module named": "The installation is incomplete: install the editor again.",
    "no such capture": "The data folder has gone: put it back, or start anew with another.",
}


def advice(lines: list[str], reason: str = "") -> str:
    """What to try after a failure, judged by the last lines of its log; else its own reason."""
    text = "\n".join(lines)
    known = (words for sign, words in ADVICE.items() if sign in text)
    usual = reason or "The last lines below say why; correct that and press Resume."
    return next(known, usual)
