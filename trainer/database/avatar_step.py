"""The avatar of one person, trained once and kept; it goes on where a training was broken off."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegasus_runtime.avatar_file import load_avatar
from pegasus_runtime.documents import parse_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.run_lock import find_owner, hold
from pegasus_runtime.run_request import STOP, ask, forget_request
from pegasus_runtime.surfels.avatar import SurfelAvatar
from trainer.data.frame_names import PICTURE_KINDS
from trainer.database.plan import SynthesisSettings
from trainer.engine.event_log import EVENTS_FILE
from trainer.preprocess.manifest import Manifest
from trainer.preprocess.steps import Fraction, run_steps

OWN_FOLDER = "synthesis"
"""of a folder of the database: the manifest"""
RUN = "run"
"""the run folder of the training"""
_POLL_S = 2.0
"""Less tells a step sooner, for more reads of a file."""
_TAIL_BYTES = 4096
"""Of the events, in which the last line is found: with less, long lines are not whole and no step
is told; more is read each time."""
_PREPARED = 0.15
"""Share of the time of a training that goes before its first step; only for the bar, which stands
still or jumps there when it is wrong."""


@dataclass(frozen=True)
class AvatarWork:
    """One person's avatar."""

    folder: Path
    subject: Path
    """the folder of the person's capture"""
    options: SynthesisSettings


class AvatarStep:
    """Trains the avatar."""

    name, version, after, cost = "avatar", 1, (), 1.0
    outputs, frames_apart = (f"{RUN}/",), None

    def settings(self, options: SynthesisSettings) -> dict[str, Any]:
        """All of the training but where the data lie."""
        return {"steps": options.steps, "size": options.size, "head": options.head}

    def run(self, work: AvatarWork, report: Fraction) -> list[str]:
        """See `WorkStep`."""
        from trainer.data.dataset import load_capture
        from trainer.engine.resume import load_configured_head
        from trainer.engine.train import train

        config = work.options.training(work.subject)
        capture = load_capture(config.data)
        head = load_configured_head(config)
        run = work.folder / RUN
        with _Follower(run, config.steps, report):
            train(config, capture, head, run, say=lambda _: None)
        return [f"{work.folder.name}: {note}" for note in capture.notes]


def avatar_path(folder: Path, settings: SynthesisSettings) -> Path:
    """The file of a person's avatar."""
    return folder / RUN / f"{settings.training(folder).name}.avatar"


def make_avatar(folder: Path, subject: Path, settings: SynthesisSettings, report: Any) -> list[str]:
    """Train a person's avatar, or go on with it; notes for the user.

    A job of a queue waits while another one trains the same.

    Raises:
        InvalidInput: the person's frames cannot be used, or the folder not be written.
    """
    work = AvatarWork(folder, subject, settings)
    with claimed(folder) as own:
        manifest = Manifest.read(own)
        manifest.source = {"path": str(subject.absolute()), "digest": subject_digest(subject)}
        return run_steps((AvatarStep(),), work, manifest, report)


def load_person(folder: Path, settings: SynthesisSettings, name: str) -> SurfelAvatar:
    """The avatar that was trained there.

    Raises:
        InvalidInput: it is gone, or of the other model.
    """
    path = avatar_path(folder, settings)
    try:
        avatar = load_avatar(path)
    except FileNotFoundError:
        raise InvalidInput(f"{path}: is gone; start the same command again.") from None
    if not isinstance(avatar, SurfelAvatar):
        raise InvalidInput(f"{path}: is an avatar of another model; remove it.")
    avatar.name = name
    return avatar


def avatar_digest(folder: Path) -> str:
    """What a person's avatar was made from; empty without."""
    return Manifest.read(folder / OWN_FOLDER).digest_of(AvatarStep.name)


def subject_digest(subject: Path) -> str:
    """Of a subject's parameters and of names, sizes and times of its pictures.

    Raises:
        InvalidInput: it cannot be read.
    """
    found = hashlib.sha256()
    try:
        for path in sorted(subject.glob("*.json")):
            found.update(path.name.encode() + path.read_bytes())
        for kind in PICTURE_KINDS:
            folder = subject / kind
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                facts = path.stat()
                found.update(f"{kind}/{path.name} {facts.st_size} {facts.st_mtime_ns}".encode())
    except OSError as error:
        raise InvalidInput(f"{subject}: cannot be read ({error.strerror}).") from None
    return found.hexdigest()


@contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """Take a folder of the database, which is made; yields where its manifest is."""
    own = folder / OWN_FOLDER
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"{own}: cannot be made ({error.strerror or error}); choose another folder or free "
            "some space."
        ) from None
    while find_owner(own) is not None:
        time.sleep(_POLL_S)
    with hold(own, "another synthesis"):
        yield own


class _Follower:
    """Reports how far a training is while it goes on, from its own events.

    Whoever is told may raise, to stop it: the training is asked to, saves, and that is raised.
    """

    def __init__(self, run: Path, steps: int, report: Fraction) -> None:
        self._run, self._steps, self._report = run, steps, report
        self._ended = threading.Event()
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> None:
        # That which stopped an earlier try.
        forget_request(self._run)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._raised is not None:
            raise self._raised

    def _follow(self) -> None:
        while not self._ended.wait(_POLL_S):
            try:
                self._report(self._share())
            except BaseException as error:
                self._raised = error
                with suppress(OSError, InvalidInput):
                    ask(self._run, STOP)
                return

    def _share(self) -> float:
        with suppress(OSError, InvalidInput, LookupError, TypeError, ValueError):
            with (self._run / EVENTS_FILE).open("rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(stream.tell() - _TAIL_BYTES, 0))
                line = stream.read().splitlines()[-1]
            step = float(parse_json(line, EVENTS_FILE, dict)["step"])
            return _PREPARED + (1 - _PREPARED) * min(step / self._steps, 1.0)
        return 0.0
