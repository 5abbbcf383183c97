"""A training that was handed to a queue: a note in its run folder, which the job keeps up to date.

By it the editor knows whether the training still waits, and with which options it is handed in
again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file

LOGS_FOLDER = "slurm"
"""of the run folder: what the queue's library writes, and the note"""
QUEUED = "PEGASUS_QUEUED"
"""the variable that tells a training that it is a job, and may have been asked something
while it waited"""
WAITING, BEGUN, ENDED = "waiting", "begun", "ended"
_FILE = "job.json"
_MAX_BYTES = 1 << 20
"""Of the note; more only lets a wrong file be read for longer."""


@dataclass(frozen=True)
class QueuedJob:
    """What is noted of a job."""

    options: tuple[str, ...]
    """KEY=VALUE, as it was handed in"""
    number: str = ""
    """that the queue gave it; empty while it is being handed in"""
    status: str = WAITING
    """or `BEGUN`, or `ENDED`"""


def read_job(run_dir: Path) -> QueuedJob | None:
    """The note of a run folder; None for a training that no queue was handed."""
    with suppress(OSError, InvalidInput, KeyError, TypeError):
        found = read_json(run_dir / LOGS_FOLDER / _FILE, dict, max_bytes=_MAX_BYTES)
        options: Sequence[object] = found["options"]
        return QueuedJob(tuple(map(str, options)), str(found["number"]), str(found["status"]))
    return None


def note_job(run_dir: Path, job: QueuedJob) -> None:
    """Write the note.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    with replace_file(run_dir / LOGS_FOLDER / _FILE) as partial:
        partial.write_text(json.dumps(asdict(job), indent=1) + "\n", "utf-8")


def note_status(run_dir: Path, status: str) -> None:
    """Change what the job is doing; where that cannot be written, nothing."""
    job = read_job(run_dir)
    if job is not None:
        with suppress(OSError, InvalidInput):
            note_job(run_dir, replace(job, status=status))


def forget_job(run_dir: Path) -> None:
    """It was not taken."""
    with suppress(OSError):
        (run_dir / LOGS_FOLDER / _FILE).unlink()
