"""Steps of a video's way to a capture: each done once, and again when what it depends on changes.

1. A step names the steps whose results it reads, its settings and what it writes.
2. Its digest is made of these, of the digests before it and of the video's content.
3. The manifest beside the results says which digest each of them has. What has another one is
   removed before anything starts; what has begun goes on where it was; what is done stays.
4. What was made of other frames of the same video is set aside first: steps take from it what they
   find of the frames that are wanted now (`Workspace.earlier`), until all is done.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pegasus_runtime.errors import InvalidInput
from trainer.preprocess.frames import FrameSource, Selection
from trainer.preprocess.linked_files import link
from trainer.preprocess.manifest import Manifest

OWN_FOLDER = "preprocess"
"""of a subject's folder: what steps leave for one another, and the manifest"""
EARLIER_FOLDER = f"{OWN_FOLDER}/earlier"
"""of a subject's folder, laid out like it: what was made of other frames of the same video"""
Fraction = Callable[[float], None]


@dataclass(frozen=True)
class Options:
    """What a user may choose."""

    every: int = 1
    """use one frame in so many"""
    limit: int = 0
    """look at so many frames at most, 0 for all"""
    take: int = 0
    """which take, from 1 in order of time; 0 for the one that shows a face longest and largest"""
    face: int = 0
    """whose face, from 1 at the left; 0 for the largest"""
    size: int = 512
    """side of the pictures that are made"""
    focal: float = 1.5
    """focal length over the longer side of the frame"""

    @property
    def selection(self) -> Selection:
        """The frames that are looked at."""
        return Selection(self.every, self.limit)


@dataclass(frozen=True, eq=False)
class Workspace:
    """What steps work on."""

    source: FrameSource
    folder: Path
    """of the subject"""
    options: Options

    @property
    def own(self) -> Path:
        """The folder of intermediate results."""
        return self.folder / OWN_FOLDER

    @property
    def earlier(self) -> Workspace | None:
        """With what was made of other frames, if there is something."""
        folder = self.folder / EARLIER_FOLDER
        return replace(self, folder=folder) if folder.is_dir() else None


class Work(Protocol):
    """What steps work on, whatever it is made of."""

    @property
    def folder(self) -> Path:
        """Where results are written."""

    @property
    def options(self) -> Any:
        """What a user may choose."""


WorkT = TypeVar("WorkT", bound=Work)
_Given = TypeVar("_Given", bound=Work, contravariant=True)


class WorkStep(Protocol[_Given]):
    """One part of the way."""

    @property
    def name(self) -> str:
        """Unique among the steps."""

    @property
    def version(self) -> int:
        """Raised when the same settings give another result than before."""

    @property
    def after(self) -> tuple[str, ...]:
        """The steps whose results it reads; without any it reads the source."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """What it writes in the subject's folder; folders of pictures end in a slash."""

    @property
    def cost(self) -> float:
        """Milliseconds of a processor for one frame, roughly, to tell the time that is left."""

    @property
    def frames_apart(self) -> tuple[str, ...] | None:
        """Settings without which its result for one frame is the same; None where no frame's is."""

    def settings(self, options: Any) -> dict[str, Any]:
        """Of the options and the machine, what its result depends on."""

    def run(self, work: _Given, report: Fraction) -> list[str]:
        """Do it, going on with what is there of an earlier try; notes for the user.

        Raises:
            InvalidInput: it cannot be done with this video.
        """


Step = WorkStep[Workspace]
"""of a video's way to a capture"""


def run_steps(
    steps: Sequence[WorkStep[WorkT]],
    work: WorkT,
    manifest: Manifest,
    report: Callable[[str, float], None],
) -> list[str]:
    """Do what is not done yet, in order.

    Args:
        steps: each after those it depends on.
        work: the subject.
        manifest: of its folder, with the source's digest.
        report: called with a step's name and the share of all steps' work that is done.

    Returns:
        What the steps have to say to the user.
    """
    digests = digests_of(steps, work.options, manifest)
    _set_aside(steps, work, manifest, digests)
    _remove_outdated(steps, work.folder, manifest, digests)
    total, done = sum(step.cost for step in steps), 0.0
    for step in steps:
        if not _is_done(step, work.folder, manifest):
            told = partial(_tell, report, step, done, total)
            _run(step, work, manifest, digests[step.name], told)
        done += step.cost
        report(step.name, done / total)
    _remove(work.folder / EARLIER_FOLDER)
    return [note for step in steps for note in manifest.steps[step.name].get("notes", ())]


def _tell(
    report: Callable[[str, float], None],
    step: WorkStep[Any],
    done: float,
    total: float,
    share: float,
) -> None:
    report(step.name, (done + step.cost * share) / total)


def digests_of(steps: Sequence[WorkStep[Any]], options: Any, manifest: Manifest) -> dict[str, str]:
    """By name of the step, the digest of the result that these options ask for."""
    digests: dict[str, str] = {}
    for step in steps:
        before = [digests[name] for name in step.after] or [manifest.source_digest]
        facts = [step.name, step.version, step.settings(options), *before]
        text = json.dumps(facts, sort_keys=True)
        digests[step.name] = hashlib.sha256(text.encode()).hexdigest()
    return digests


def _set_aside(
    steps: Sequence[WorkStep[Any]], work: Work, manifest: Manifest, digests: dict[str, str]
) -> None:
    """Keep what was made of other frames of this video, before it is removed as outdated."""
    usable = steps_of_frames(steps, work.options, manifest)
    if all(manifest.digest_of(step.name) == digests[step.name] for step in usable):
        return
    place = work.folder / EARLIER_FOLDER
    _remove(place)
    for step in usable:
        for name in step.outputs:
            if (work.folder / name).exists():
                link(work.folder / name, place / name)


def steps_of_frames(
    steps: Sequence[WorkStep[Any]], options: Any, manifest: Manifest
) -> list[WorkStep[Any]]:
    """Those of which something is there that holds for a frame, whichever frames are wanted."""
    usable: list[WorkStep[Any]] = []
    for step in steps:
        is_known = all(name in [one.name for one in usable] for name in step.after)
        if step.frames_apart is not None and is_known and _is_of_frames(step, options, manifest):
            usable.append(step)
    return usable


def _is_of_frames(step: WorkStep[Any], options: Any, manifest: Manifest) -> bool:
    """Whether what is there was made of the same video with the same settings, frames apart."""
    entry = manifest.steps.get(step.name, {})
    apart = step.frames_apart or ()
    before, now = entry.get("settings"), step.settings(options)
    return (
        isinstance(before, dict)
        and manifest.is_done(step.name)
        and entry.get("version") == step.version
        and entry.get("source") == manifest.source_digest
        and {k: v for k, v in before.items() if k not in apart}
        == {k: v for k, v in now.items() if k not in apart}
    )


def _remove_outdated(
    steps: Sequence[WorkStep[Any]], folder: Path, manifest: Manifest, digests: dict[str, str]
) -> None:
    outdated = [s for s in steps if manifest.digest_of(s.name) != digests[s.name]]
    # Last first: a capture is whole as long as what its last step has written is there.
    for step in reversed(outdated):
        manifest.steps.pop(step.name, None)
        for name in step.outputs:
            _remove(folder / name)
    manifest.save()


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be removed ({error.strerror}).") from None


def _is_done(step: WorkStep[Any], folder: Path, manifest: Manifest) -> bool:
    entry = manifest.steps.get(step.name, {})
    return manifest.is_done(step.name) and _count(step, folder) == entry.get("files")


def _count(step: WorkStep[Any], folder: Path) -> int:
    """How many files of its results are there, so that a deleted one is made again."""
    count = 0
    for name in step.outputs:
        path = folder / name
        if name.endswith("/"):
            count += sum(not p.name.startswith(".") for p in path.iterdir()) if path.is_dir() else 0
        else:
            count += path.is_file()
    return count


def _run(
    step: WorkStep[WorkT], work: WorkT, manifest: Manifest, digest: str, report: Fraction
) -> None:
    made_with = {
        "digest": digest,
        "version": step.version,
        "settings": step.settings(work.options),
        "source": manifest.source_digest,
    }
    manifest.steps[step.name] = {**made_with, "done": False}
    manifest.save()
    started = time.monotonic()
    for name in step.outputs:
        if name.endswith("/"):
            (work.folder / name).mkdir(parents=True, exist_ok=True)
    notes = step.run(work, report)
    manifest.steps[step.name] = {
        **made_with,
        "done": True,
        "files": _count(step, work.folder),
        "seconds": round(time.monotonic() - started, 2),
        "notes": notes,
    }
    manifest.save()
