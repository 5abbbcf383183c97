"""One video to one subject's folder: claiming the folder, and all steps in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import suggested_name
from pegasus_runtime.run_lock import hold
from trainer.preprocess.crop import CropStep
from trainer.preprocess.face_track import TrackStep
from trainer.preprocess.fit_step import FitStep
from trainer.preprocess.frame_filter import FilterStep, read_reasons
from trainer.preprocess.frames import FrameSource, open_source
from trainer.preprocess.head_fit import fit_head
from trainer.preprocess.layout import LayoutStep
from trainer.preprocess.linked_files import link
from trainer.preprocess.manifest import Manifest
from trainer.preprocess.matte import HairStep, MatteStep
from trainer.preprocess.parts import PartsStep
from trainer.preprocess.scan import ScanStep
from trainer.preprocess.steps import (
    OWN_FOLDER,
    Options,
    Step,
    Workspace,
    digests_of,
    run_steps,
    steps_of_frames,
)

Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Summary:
    """What became of a video."""

    folder: Path
    num_frames: int
    """of the take"""
    num_left_out: int
    notes: tuple[str, ...]


def usual_steps(fit: Callable[..., Any] = fit_head) -> tuple[Step, ...]:
    """All steps in order; ``fit`` as `FitStep` takes it."""
    return (
        ScanStep(), TrackStep(), CropStep(), MatteStep(), HairStep(), FitStep(fit), PartsStep(),
        FilterStep(), LayoutStep(),
    )  # fmt: skip


def subject_name(video: Path) -> str:
    """The folder's name of a video, which every system and every reader of captures takes."""
    stem = video.absolute().name if video.is_dir() else video.stem
    # A plus is a pair of attributes to readers.
    return suggested_name(stem.replace("+", "_")).replace(" ", "_")


def preprocess_video(
    video: Path,
    out: Path,
    options: Options,
    report: Report = lambda _step, _share: None,
    steps: tuple[Step, ...] | None = None,
    elsewhere: Iterable[Path] = (),
) -> Summary:
    """Make a subject of a video in the capture folder ``out``, or go on with it.

    Args:
        video: a video, or a folder of pictures.
        out: the capture, made when missing.
        options: what a user may choose.
        report: called with the name of the step and the share of all work that is done.
        steps: others than the usual ones.
        elsewhere: subjects' folders, of which one may hold something of this video: a new folder
            begins with what is there.

    Raises:
        FileNotFoundError: there is no such video.
        InvalidInput: it cannot be used, or its folder not be written.
    """
    source = open_source(video)
    folder = out / subject_name(video)
    own = folder / OWN_FOLDER
    _check_place(folder)
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"{own}: cannot be made ({error.strerror or error}); choose another folder or free "
            "some space."
        ) from None
    with hold(own, "another preprocess"):
        manifest = Manifest.read(own)
        _identify(source, manifest, folder)
        work, steps = Workspace(source, folder, options), steps or usual_steps()
        notes = [] if manifest.steps else _begin_with(elsewhere, work, manifest, steps)
        notes += run_steps(steps, work, manifest, report)
        count = int(manifest.steps["parts"]["files"]) // 3
        return Summary(folder, count, len(read_reasons(work)), tuple(notes))


def share_to_do(
    video: Path, folder: Path, options: Options, elsewhere: Iterable[Path], count: int
) -> float:
    """Which share of the work on a video is not done yet; nothing is read of it or written.

    Args:
        video: a video.
        folder: of the subject; it need not be there.
        options: what would be chosen.
        elsewhere: as of `preprocess_video`.
        count: frames of the video.
    """
    try:
        facts = _facts(video)
    except OSError:
        return 1.0
    shares = [1.0]
    for place in (folder, *elsewhere):
        manifest = Manifest.read(place / OWN_FOLDER)
        if all(manifest.source.get(key) == value for key, value in facts.items()):
            shares.append(_share_to_do(manifest, options, count))
    return min(shares)


def _share_to_do(manifest: Manifest, options: Options, count: int) -> float:
    steps = usual_steps()
    wanted, left = digests_of(steps, options, manifest), 0.0
    # What was made of some frames is taken for them, see `run_steps`.
    of_frames = steps_of_frames(steps, options, manifest)
    known = _share_known(manifest, options, count)
    for step in steps:
        is_same = manifest.digest_of(step.name) == wanted[step.name]
        if not (manifest.is_done(step.name) and is_same):
            left += step.cost * (1 - known * (step in of_frames))
    return left / sum(step.cost for step in steps)


def _share_known(manifest: Manifest, options: Options, count: int) -> float:
    """Of the frames that are wanted, how many were looked at before."""
    found = manifest.steps.get(ScanStep.name, {}).get("settings", {})
    every, limit = (found.get(key) for key in ("every", "limit"))
    if not isinstance(every, int) or not isinstance(limit, int) or every < 1:
        return 0.0
    before = Options(every=every, limit=limit)
    wanted = _numbers(options, count)
    return len(wanted & _numbers(before, count)) / max(len(wanted), 1)


def _numbers(options: Options, count: int) -> set[int]:
    numbers = range(0, count, options.every)
    return set(numbers[: options.limit] if options.limit else numbers)


def _facts(video: Path) -> dict[str, str | int]:
    """By which a video is known without reading it."""
    path = video.absolute()
    facts = path.stat()
    return {"path": str(path), "bytes": facts.st_size, "changed_ns": facts.st_mtime_ns}


def _begin_with(
    elsewhere: Iterable[Path], work: Workspace, manifest: Manifest, steps: tuple[Step, ...]
) -> list[str]:
    """Share what another folder holds of the same video; notes for the user."""
    wanted = digests_of(steps, work.options, manifest)
    found = [
        (folder, other)
        for folder in elsewhere
        if (other := Manifest.read(folder / OWN_FOLDER)).source_digest == manifest.source_digest
    ]
    if not found:
        return []

    def worth(one: tuple[Path, Manifest]) -> tuple[int, int]:
        entries = one[1].steps
        alike = sum(one[1].digest_of(name) == digest for name, digest in wanted.items())
        return alike, max((int(entry.get("files", 0)) for entry in entries.values()), default=0)

    folder, other = max(found, key=worth)
    for step in (step for step in steps if other.is_done(step.name)):
        # What vanishes meanwhile is made anew; a full disk is told by whoever writes next.
        with suppress(InvalidInput):
            for name in step.outputs:
                if (folder / name).exists():
                    link(folder / name, work.folder / name)
            manifest.steps[step.name] = other.steps[step.name]
    manifest.save()
    return [f"{work.source.path.name}: what was made of it in {folder} is used."]


def _check_place(folder: Path) -> None:
    for place in (folder.parent, folder):
        if place.exists() and not place.is_dir():
            raise InvalidInput(f"{place}: is a file; choose another folder for the capture.")
    if folder.is_dir() and not (folder / OWN_FOLDER).is_dir() and any(folder.iterdir()):
        raise InvalidInput(
            f"{folder}: holds something else than what preprocess writes; choose another folder."
        )


def _identify(source: FrameSource, manifest: Manifest, folder: Path) -> None:
    """Write the video's digest into the manifest; it is read anew when the file has changed."""
    path, known = source.path.absolute(), _facts(source.path)
    before = manifest.source
    is_same = path.is_file() and all(before.get(key) == value for key, value in known.items())
    digest = before["digest"] if is_same and "digest" in before else source.digest()
    if before and str(path) != before.get("path") and digest != before.get("digest"):
        raise InvalidInput(
            f"{folder}: holds the capture of another video ({before.get('path')}); choose another "
            "folder, or rename the video."
        )
    manifest.source = {**known, "digest": digest}
