"""One training for one run folder; who has it is written into a file there.

On its own machine the owner is asked after as a process, so that a folder is free again as soon as
its owner is dead, however it died. Owners on other machines are believed as long as they touch the
file, which one of their threads does every few seconds.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pegasus_runtime.documents import parse_json, read_bytes
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.process_identity import ProcessIdentity, this_process

LOCK_FILE = "training.lock"
_BEAT_S = 5.0
"""More often writes more to a shared disk, less often leaves a dead owner's lock for longer."""
_SILENT_S = 45.0
"""an owner on another machine that is silent for so long is dead. Nine beats: with fewer, runs on
slow servers are taken for dead; with more, a dead one can be resumed later"""
_POLL_S = 0.2
"""Less notices sooner that a lock is free, for more reads of a file."""
_MAX_BYTES = 10_000
"""Of a lock that is read: ours have some hundred; more only lets a wrong file be read for
longer."""
_JOB_VARIABLES = ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")


@dataclass(frozen=True)
class Owner:
    """A process that trains in a run folder."""

    process: ProcessIdentity
    job: str
    """of torchrun or a queue; empty for a training on its own"""
    token: str
    """of this one taking"""

    def is_alive(self, silent_s: float) -> bool:
        """Whether it still trains, having touched its file so many seconds ago."""
        process = self.process
        return process.is_alive if process.is_here else silent_s < _SILENT_S

    def __str__(self) -> str:
        where = "" if self.process.is_here else f" on {quoted(self.process.host)}"
        return f"process {self.process.pid}{where}"


def find_owner(folder: Path) -> Owner | None:
    """Who trains in a run folder; None where nobody does."""
    with suppress(OSError, InvalidInput):
        path = folder / LOCK_FILE
        owner = _parse(read_bytes(path, _MAX_BYTES))
        if owner and owner.is_alive(time.time() - path.stat().st_mtime):
            return owner
    return None


class RunLock:
    """A run folder taken by this process."""

    def __init__(self, folder: Path, owner: Owner) -> None:
        self._folder, self._owner = folder, owner
        self._path = folder / LOCK_FILE
        self._ended = threading.Event()
        self._is_lost = False
        threading.Thread(target=self._beat, name="run lock", daemon=True).start()

    def check(self) -> None:
        """Raises InvalidInput when another process has taken the folder, after a silence of
        ours."""
        if self._is_lost:
            raise InvalidInput(
                f"{self._folder}: was taken over by another training while this process was held "
                "or its disk did not answer; this one ends without writing."
            )

    def release(self) -> None:
        """Let others train here."""
        self._ended.set()
        if self._is_mine():
            with suppress(OSError):
                self._path.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_S):
            if not self._is_mine():
                self._is_lost = not self._ended.is_set()
                return
            with suppress(OSError):
                os.utime(self._path)

    def _is_mine(self) -> bool:
        try:
            found = _parse(read_bytes(self._path, _MAX_BYTES))
        except FileNotFoundError:
            return False
        except (OSError, InvalidInput):
            # A server that does not answer just now is no other owner.
            return not self._is_lost
        return found is not None and found.token == self._owner.token


_held: dict[Path, RunLock] = {}
"""by this process"""


@contextmanager
def hold(folder: Path, work: str = "a training") -> Iterator[RunLock]:
    """Take a run folder for a training; again within it, the same lock.

    Processes of one job that torchrun or a queue has started anew wait for those before them.

    Args:
        folder: an existing run folder.
        work: what messages say that is running there.

    Raises:
        InvalidInput: another process trains there, or the folder cannot be written.
    """
    key = Path(os.path.realpath(folder))
    if key in _held:
        yield _held[key]
        return
    owner = Owner(this_process(), _job(), uuid.uuid4().hex)
    try:
        _take(folder, owner, work)
    except OSError as error:
        raise InvalidInput(
            f"{folder}: cannot be written ({error.strerror}); choose another folder or free some "
            "space."
        ) from None
    _held[key] = lock = RunLock(folder, owner)
    try:
        yield lock
    finally:
        del _held[key]
        lock.release()


def _take(folder: Path, owner: Owner, work: str) -> None:
    path, patience = folder / LOCK_FILE, time.monotonic() + 2 * _SILENT_S
    while True:
        own = folder / f".{LOCK_FILE}-{owner.token}"
        own.write_text(json.dumps(asdict(owner)), "utf-8")
        try:
            # Clocks of machines differ: the server's own is asked, by a file just written.
            now = own.stat().st_mtime
            if _place(own, path):
                return
        finally:
            own.unlink(missing_ok=True)
        try:
            written, touched = read_bytes(path, _MAX_BYTES), path.stat().st_mtime
        except FileNotFoundError:
            continue
        other = _parse(written)
        if other is None or not other.is_alive(now - touched):
            _clear(path, written)
        elif other.job and other.job == owner.job and time.monotonic() < patience:
            time.sleep(_POLL_S)
        else:
            raise InvalidInput(
                f"{folder}: {work} is running there ({other}); stop it first, or choose "
                "another folder."
            )


def _place(own: Path, path: Path) -> bool:
    """Give a file its name if nothing has it; whether nothing had."""
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without links.
        try:
            with path.open("xb") as file:
                file.write(own.read_bytes())
        except FileExistsError:
            return False
    return True


def _clear(path: Path, written: bytes) -> None:
    """Remove what a dead owner has left, but not what another one has written meanwhile."""
    aside = path.with_name(f".{LOCK_FILE}-{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if aside.read_bytes() != written:
        _place(aside, path)
    aside.unlink(missing_ok=True)


def _parse(written: bytes) -> Owner | None:
    try:
        facts = parse_json(written, LOCK_FILE, dict)
        owner = Owner(ProcessIdentity(**facts["process"]), facts["job"], facts["token"])
    except (InvalidInput, KeyError, TypeError):
        return None
    return owner if isinstance(owner.job, str) and isinstance(owner.token, str) else None


def _job() -> str:
    values = (os.environ.get(name, "") for name in _JOB_VARIABLES)
    # What torchrun calls a job that nobody named.
    return next((value for value in values if value not in ("", "none")), "")
