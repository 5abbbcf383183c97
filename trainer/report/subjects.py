"""Which frames of a capture an avatar is compared with, and what it wears in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.model.latent import category_of
from trainer.config.data import DataConfig
from trainer.data.capture_folder import (
    PARAMETERS_FILE,
    SubjectRecord,
    check_bad_share,
    pair_folders,
    read_subject,
    subject_folders,
)
from trainer.data.dataset import TrainingFrame
from trainer.data.flame_parameters import FloatArray
from trainer.data.frame_checks import check_pictures
from trainer.data.images import PictureCache
from trainer.data.pairs import worn_by
from trainer.report.request import EvaluationRequest

_MAX_BAD_SHARE = DataConfig().max_bad_share
_MOST_NAMED = 8
"""In a complaint: more make it longer than a line."""
_KINDS = ("image", "mask", "mask_object")
"""of pictures that are compared"""


@dataclass(frozen=True, eq=False)
class Subject:
    """A folder of frames."""

    name: str
    worn: tuple[str, ...]
    """attributes, by their full names; none for the person as they are"""
    shape: FloatArray
    """(100,) of the head while they were tracked"""
    frames: tuple[TrainingFrame, ...]

    @property
    def is_pair(self) -> bool:
        return len(self.worn) > 1


@dataclass
class Data:
    """What a capture has for an avatar."""

    subjects: list[Subject]
    notes: list[str] = field(default_factory=list)


def find_data(request: EvaluationRequest, avatar: Avatar) -> Data:
    """Read the subjects whose attributes the avatar has.

    Raises:
        FileNotFoundError: there is no such folder.
        InvalidInput: nothing in it can be compared with this avatar.
    """
    folders, notes = _matching(request.data, avatar)
    cache = PictureCache(request.size, needs_matte=False)
    subjects = [read_subject(path, request.size, _MAX_BAD_SHARE) for path in folders]
    shape = _common_shape(subjects, avatar)
    found = []
    for subject in subjects:
        worn = _worn(subject.name, avatar)
        # Pairs are never learned from.
        if len(worn) < 2:
            _hold_out(subject, request, avatar, notes)
        subject.frames = [
            replace(record, files={k: p for k, p in record.files.items() if k in _KINDS})
            for record in spread(subject.frames, request.limit)
        ]
        check_pictures(subject, cache)
        check_bad_share(subject, _MAX_BAD_SHARE)
        notes += subject.notes
        notes += [f"{subject.name}/{name}: left out, {why}" for name, why in subject.bad.items()]
        frames = tuple(TrainingFrame(r, subject.folder, cache) for r in subject.frames)
        found.append(Subject(subject.name, worn, shape, frames))
    sides = {side for subject in subjects for side in subject.sides}
    if sides - {request.size}:
        listed = ", ".join(f"{side}²" for side in sorted(sides))
        notes.append(f"Pictures of {listed} are compared at {request.size}² (--size).")
    counts = sorted({len(subject.frames) for subject in found})
    if len(counts) > 1:
        notes.append(
            f"Subjects have {counts[0]} to {counts[-1]} frames; the mean over subjects counts each "
            "subject once."
        )
    return Data(found, notes + _missing_masks(found))


def spread(frames: Sequence[Any], limit: int) -> list[Any]:
    """So many of the frames at most, evenly spread."""
    if not limit or len(frames) <= limit:
        return list(frames)
    return [frames[int(i)] for i in np.linspace(0, len(frames) - 1, limit).round()]


def trained_data(avatar: Avatar) -> dict[str, Any]:
    """The data settings of the training that made an avatar, as far as it says."""
    config = avatar.provenance.get("config")
    data = config.get("data") if isinstance(config, dict) else None
    return data if isinstance(data, dict) else {}


def _matching(folder: Path, avatar: Avatar) -> tuple[list[Path], list[str]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of a capture.")
    if (folder / PARAMETERS_FILE).is_file():
        return [folder], []
    listed = [*subject_folders(folder), *pair_folders(folder)]
    if not listed:
        raise InvalidInput(f"{folder}: holds no subject (a folder with {PARAMETERS_FILE}).")
    worn = [path for path in listed if _worn(path.name, avatar)]
    people = [path for path in listed if not _is_attribute(path.name, avatar)]
    source = trained_data(avatar).get("source", DataConfig().source)
    own = [path for path in people if path.name == source]
    used = {*worn, *(own or people)}
    others = [path.name for path in listed if path not in used]
    if not used:
        raise InvalidInput(
            f"{folder}: no subject matches the avatar's attributes; it holds "
            f"{_some(others)}, the avatar has {_some(list(avatar.attribute_names))}."
        )
    notes = [f"Left out, for the avatar does not have them: {_some(others)}."] if others else []
    return [path for path in listed if path in used], notes


def _worn(name: str, avatar: Avatar) -> tuple[str, ...]:
    names = worn_by(name)
    return names if set(names) <= set(avatar.attribute_names) else ()


def _is_attribute(name: str, avatar: Avatar) -> bool:
    """Whether a folder's name says attributes, the avatar's or others."""
    parts = worn_by(name)
    return all("_" in part and category_of(part) in avatar.categories for part in parts)


def _common_shape(subjects: list[SubjectRecord], avatar: Avatar) -> FloatArray:
    """The source person's shape: attributes are worn by the same head."""
    for subject in subjects:
        if not _worn(subject.name, avatar):
            return subject.shape
    own: FloatArray = avatar.shape.numpy()
    return own if own.any() else subjects[0].shape


def _hold_out(
    subject: SubjectRecord, request: EvaluationRequest, avatar: Avatar, notes: list[str]
) -> None:
    """Keep the frames that the training did not see, where it can be told."""
    every = trained_data(avatar).get("held_out_every", DataConfig().held_out_every)
    if request.all_frames or type(every) is not int or every < 2:
        return
    kept = subject.frames[every - 1 :: every]
    if not kept:
        notes.append(f"{subject.name}: has fewer than {every} frames, all are compared.")
    subject.frames = kept or subject.frames


def _missing_masks(subjects: list[Subject]) -> list[str]:
    without = [
        subject.name
        for subject in subjects
        if any(not frame.pictures.has_matte for frame in subject.frames)
    ]
    if not without:
        return []
    return [f"Without masks, so that what looks at them stays empty: {_some(without)}."]


def _some(names: list[str]) -> str:
    shown = ", ".join(quoted(name).strip("'\"") for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return (shown + (f" and {more} more" if more > 0 else "")) or "none"
