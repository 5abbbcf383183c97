"""A training run is a folder; what it is doing is read from the folder."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from app.state.run_events import EVENTS_FILE, EventReader
from app.state.run_guard import LOG_FILE, PROCESS_FILE, REQUEST_FILE
from pegasus_runtime.process_identity import ProcessIdentity

_FRESH_S = 90.0
"""without a process to ask: a run that wrote nothing for so long, or for 20 steps, has ended"""
CURRENT_FILE = "current_checkpoint"
"""of the run folder; names one of its checkpoints"""
_TAIL_BYTES = 20_000
_STOPPED_BY_CTRL_C = 130
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
        facts = self.process_facts()
        if not facts:
            return self._state_by_events("")
        process, guard = ProcessIdentity(**facts["process"]), ProcessIdentity(**facts["guard"])
        asked = self.request()
        if "exit_code" not in facts and process.is_here and not process.is_alive:
            # Its guard, while it lives, is about to write down how it ended.
            if guard.is_alive:
                return State(Status.RUNNING, "ending")
            facts = self.process_facts() or facts
        if "exit_code" in facts:
            by_hand = self._wrote_since(facts["ended"] + 2)
            return self._state_by_events("") if by_hand else self._ended(facts["exit_code"], asked)
        if not process.is_here:
            state = self._state_by_events(f"on {process.host}")
            return State(state.status, state.detail, state.status is Status.RUNNING)
        if process.is_alive:
            words = {"pause": "saving, then pausing", "stop": "saving, then stopping"}
            return State(Status.RUNNING, words.get(asked, "stopping" if asked else ""), True)
        if self.avatar() is not None and self._newer_than(facts["began"]):
            return State(Status.FINISHED)
        return State(Status.INTERRUPTED, _FROM_OUTSIDE)

    def process_facts(self) -> dict[str, Any]:
        """What its launcher wrote about the process; empty for a run started by hand."""
        with suppress(OSError, ValueError):
            facts = json.loads((self.folder / PROCESS_FILE).read_text("utf-8"))
            for name in ("process", "guard"):
                ProcessIdentity(**facts[name])
            float(facts["began"])
            return dict(facts)
        return {}

    def request(self) -> str:
        """What was last asked of it: pause, stop, kill or nothing."""
        with suppress(OSError):
            return (self.folder / REQUEST_FILE).read_text("utf-8").strip()
        return ""

    def config(self) -> dict[str, Any]:
        """Its configuration as plain values; empty while there is none."""
        path = self.folder / "config.yaml"
        with suppress(OSError, yaml.YAMLError, UnicodeDecodeError):
            changed = path.stat().st_mtime
            if changed != self._config[0]:
                read = yaml.safe_load(path.read_text("utf-8"))
                self._config = (changed, read if isinstance(read, dict) else {})
        return self._config[1]

    @property
    def total_steps(self) -> int:
        """Steps of the whole training, 0 while unknown."""
        steps = self.config().get("steps", 0)
        return steps if isinstance(steps, int) else 0

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
        every = self.config().get("preview_every", 0)
        if pace is None or preview is None or not isinstance(every, int) or every < 1:
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
        if asked == "pause" and code in (_STOPPED_BY_CTRL_C, 1, -2):
            return State(Status.PAUSED, "" if self.checkpoint() else "before its first save")
        if asked or code == _STOPPED_BY_CTRL_C:
            saved = "saved" if asked != "kill" and self.checkpoint() else "not saved"
            return State(Status.INTERRUPTED, f"stopped, {saved}")
        if code < 0:
            return State(Status.INTERRUPTED, _FROM_OUTSIDE)
        return State(Status.FAILED, advice(self.last_lines()))

    def _state_by_events(self, where: str) -> State:
        pace = self.events.curves.seconds_per_step or 0.0
        if self._wrote_since(time.time() - max(_FRESH_S, 20 * pace)) and self.avatar() is None:
            return State(Status.RUNNING, where or "started by hand")
        if self.avatar() is not None:
            return State(Status.FINISHED, where)
        if not (self.folder / EVENTS_FILE).exists():
            job = self._slurm_job()
            return State(Status.WAITING, job) if job else State(Status.FOUND, where)
        return State(Status.INTERRUPTED, where or "writes no more")

    def _slurm_job(self) -> str:
        """For whom it waits, if it was handed to SLURM: resumed here it would run twice."""
        jobs = (self.folder / "slurm").glob("*_submitted.pkl")
        numbers = [path.name.partition("_")[0] for path in jobs]
        return f"for SLURM, as job {max(numbers)}" if numbers else ""

    def _wrote_since(self, moment: float) -> bool:
        with suppress(OSError):
            return (self.folder / EVENTS_FILE).stat().st_mtime > moment
        return False

    def _newer_than(self, moment: float) -> bool:
        avatar = self.avatar()
        return avatar is not None and avatar.stat().st_mtime > moment


_ADVICE = {
    "No space left": "The disk is full: free some space, then press Resume.",
    "free some space": "The run's folder cannot be written: free some space, then press Resume.",
    "out of memory": "The memory was not enough: lower points.maximum or data.image_size.",
    "is not a number": "The learning rate is too high: halve optimiser.geometry, then Resume.",
    "CUDA devices": "That graphics card is not there: set the device to auto or cpu.",
    "frames are bad": "Repair these frames, or list them in skip.json.",
    "No module named": "The installation is incomplete: install the editor again.",
    "no such capture": "The data folder has gone: put it back, or start anew with another.",
}


def advice(lines: list[str]) -> str:
    """What to try after a failure, judged by the last lines of its log."""
    text = "\n".join(lines)
    known = (words for sign, words in _ADVICE.items() if sign in text)
    return next(known, "The last lines below say why; correct that and press Resume.")
