"""All subjects of a capture, and which frames of them are learned from."""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.avatar.latent import CATEGORIES, category_of
from pegasus_runtime.errors import Refused
from trainer.config.schema import DataConfig
from trainer.data.capture_folder import (
    PARAMETERS_FILE,
    FrameRecord,
    SubjectRecord,
    check_bad_share,
    learned_folders,
    read_subject,
)
from trainer.data.pictures import PictureCache, Pictures, frame_side


@dataclass(eq=False)
class TrainingFrame:
    """One frame; its pictures are there when they are asked for."""

    record: FrameRecord
    folder: Path
    """of its subject"""
    cache: PictureCache

    @property
    def pictures(self) -> Pictures:
        """Its decoded pictures.

        Raises:
            Refused: they cannot be read, although their first and last bytes were in order.
        """
        try:
            return self.prefetch().result()
        except ValueError as error:
            raise Refused(
                f"{self.folder}: {error}; repair it or list frame {self.record.name} in skip.json, "
                "then go on with the same command."
            ) from None

    def prefetch(self) -> Future[Pictures]:
        """Let them be decoded in the background."""
        return self.cache.ask(self.folder, self.record.name)


@dataclass(eq=False)
class Capture:
    """A capture: training and held-out frames, and what they have in common."""

    training: dict[str, list[TrainingFrame]]
    """by subject"""
    held_out: dict[str, list[TrainingFrame]]
    attribute_names: tuple[str, ...]
    source: str
    shape: Tensor
    """(100,) of the source person"""
    mean_expression: Tensor
    """(50,)"""
    variance_expression: Tensor
    """(50,)"""
    part_names: tuple[str, ...]
    num_bad: int
    num_skipped: int

    @property
    def num_training(self) -> int:
        return sum(len(frames) for frames in self.training.values())


def load_capture(config: DataConfig) -> Capture:
    """Read a capture; its pictures are kept in memory where they fit.

    Raises:
        FileNotFoundError: the folder does not exist.
        Refused: there is no subject in it, the source is missing, or too many frames are bad.
    """
    folder = Path(config.folder)
    if not config.folder or not folder.is_dir():
        raise FileNotFoundError(f"{config.folder or 'data.folder'}: no such capture folder.")
    subjects = [
        read_subject(path, config.image_size, config.max_bad_share)
        for path in learned_folders(config)
    ]
    _check_names(folder, subjects, config.source)
    training: dict[str, list[TrainingFrame]] = {}
    held_out: dict[str, list[TrainingFrame]] = {}
    cache = PictureCache(config.image_size, config.memory_gb)
    all_fit = sum(len(subject.frames) for subject in subjects) <= cache.max_frames
    for subject in subjects:
        _sift(subject, cache, config, decode=all_fit)
        frames = [TrainingFrame(record, subject.folder, cache) for record in subject.frames]
        every = config.held_out_every
        kept = [f for i, f in enumerate(frames) if every and i % every == every - 1]
        learned = [f for i, f in enumerate(frames) if not (every and i % every == every - 1)]
        training[subject.name], held_out[subject.name] = learned, kept
    return _summarise(folder, config, subjects, training, held_out)


def _check_names(folder: Path, subjects: list[SubjectRecord], source: str) -> None:
    names = [subject.name for subject in subjects]
    if not names:
        raise Refused(f"{folder}: holds no subject (a folder with {PARAMETERS_FILE}).")
    if source not in names:
        raise Refused(f"{folder}: has no subject {source!r}; it has {', '.join(names)}.")
    for name in names:
        if name != source and (category_of(name) not in CATEGORIES or "_" not in name):
            raise Refused(
                f"{folder / name}: the name must be CATEGORY_NAME with one of the categories "
                f"{', '.join(CATEGORIES)}."
            )


def _summarise(
    folder: Path,
    config: DataConfig,
    subjects: list[SubjectRecord],
    training: dict[str, list[TrainingFrame]],
    held_out: dict[str, list[TrainingFrame]],
) -> Capture:
    records = [frame.record for frames in training.values() for frame in frames]
    expressions = torch.from_numpy(np.stack([record.expression for record in records]))
    source = next(subject for subject in subjects if subject.name == config.source)
    return Capture(
        training=training,
        held_out=held_out,
        attribute_names=tuple(s.name for s in subjects if s.name != config.source),
        source=config.source,
        shape=torch.from_numpy(source.shape),
        mean_expression=expressions.mean(dim=0),
        variance_expression=expressions.var(dim=0, unbiased=False),
        part_names=_part_names(source.folder),
        num_bad=sum(len(subject.bad) for subject in subjects),
        num_skipped=sum(subject.skipped for subject in subjects),
    )


def _part_names(folder: Path) -> tuple[str, ...]:
    path = folder / "semantic_names.json"
    if not path.is_file():
        return ()
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        return tuple(str(name) for name in names)
    except (ValueError, TypeError):
        raise Refused(f"{path}: expected a list of part names.") from None


def _sift(subject: SubjectRecord, cache: PictureCache, config: DataConfig, decode: bool) -> None:
    """Count frames that cannot be read, and leave them out.

    Args:
        subject: loses its bad frames.
        cache: decodes.
        config: says how many may be bad.
        decode: decode them all; otherwise their first and last bytes are looked at.
    """

    def reason(name: str) -> str | None:
        try:
            if decode:
                cache.ask(subject.folder, name).result()
            else:
                frame_side(subject.folder, name)
        except (ValueError, OSError) as error:
            return str(error)
        return None

    if decode:
        for record in subject.frames:
            cache.ask(subject.folder, record.name)
    reasons = {record.name: reason(record.name) for record in subject.frames}
    subject.bad |= {name: text for name, text in reasons.items() if text is not None}
    subject.frames = [frame for frame in subject.frames if reasons[frame.name] is None]
    check_bad_share(subject, config.max_bad_share)
