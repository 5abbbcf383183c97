"""All subjects of a capture, and which frames of them are learned from."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.model.latent import CATEGORIES, category_of
from trainer.config.training import DataConfig
from trainer.data.capture_folder import (
    PARAMETERS_FILE,
    PART_NAMES_FILE,
    FrameRecord,
    SubjectRecord,
    check_bad_share,
    learned_folders,
    pair_folders,
    read_part_names,
)
from trainer.data.frame_checks import check_frames
from trainer.data.images import PictureCache, Pictures
from trainer.data.pairs import worn_by


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
            InvalidInput: they cannot be read any more.
        """
        try:
            return self.prefetch().result()
        except ValueError as error:
            raise InvalidInput(
                f"{self.folder}: {error}; repair it or list frame {self.record.name} in skip.json, "
                "then go on with the same command."
            ) from None

    def prefetch(self) -> Future[Pictures]:
        """Let them be decoded in the background."""
        return self.cache.ask(self.record)


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
    bad: dict[str, str]
    """frames that are left out, as SUBJECT/NAME, with the reason of each"""
    num_skipped: int
    notes: tuple[str, ...]
    """what was taken otherwise than it is written"""
    pairs: dict[str, list[TrainingFrame]] = field(default_factory=dict)
    """frames of two attributes at once by their folder's name, to evaluate on"""

    @property
    def num_bad(self) -> int:
        return len(self.bad)

    @property
    def num_training(self) -> int:
        return sum(len(frames) for frames in self.training.values())


def load_capture(config: DataConfig) -> Capture:
    """Read a capture; its pictures are kept in memory where they fit.

    Raises:
        FileNotFoundError: the folder does not exist.
        InvalidInput: there is no subject in it, the source is missing, or too many frames are bad.
    """
    folder = Path(config.folder)
    if not config.folder or not folder.is_dir():
        raise FileNotFoundError(f"{config.folder or 'data.folder'}: no such capture folder.")
    folders = learned_folders(config)
    _check_names(folder, [path.name for path in folders], config.source)
    cache = PictureCache(config.image_size, config.memory_gb)
    subjects = [check_frames(path, config.image_size, cache) for path in folders]
    training: dict[str, list[TrainingFrame]] = {}
    held_out: dict[str, list[TrainingFrame]] = {}
    for subject in subjects:
        check_bad_share(subject, config.max_bad_share)
        frames = [TrainingFrame(record, subject.folder, cache) for record in subject.frames]
        every = config.held_out_every
        kept = [f for i, f in enumerate(frames) if every and i % every == every - 1]
        learned = [f for i, f in enumerate(frames) if not (every and i % every == every - 1)]
        if not learned:
            raise InvalidInput(
                f"{subject.folder}: no frame is left to learn from; set data.held_out_every to 0 "
                "or give more frames."
            )
        training[subject.name], held_out[subject.name] = learned, kept
    capture = _summarise(folder, config, subjects, training, held_out)
    ignored = tuple(
        f"{path.name}: shows two attributes and is not learned from; data.pairs evaluates on it."
        for path in pair_folders(folder)
        if path.parent != Path(config.pairs)
    )
    pairs = _load_pairs(config, capture.attribute_names, cache) if config.pairs else {}
    return replace(capture, notes=capture.notes + ignored, pairs=pairs)


def _load_pairs(
    config: DataConfig, attribute_names: tuple[str, ...], cache: PictureCache
) -> dict[str, list[TrainingFrame]]:
    """Frames of pairs of which both attributes are learned."""
    folder = Path(config.pairs)
    if not folder.is_dir():
        raise FileNotFoundError(f"data.pairs = {config.pairs}: no such folder.")
    chosen = [p for p in pair_folders(folder) if set(worn_by(p.name)) <= set(attribute_names)]
    if not chosen:
        raise InvalidInput(
            f"data.pairs = {folder}: holds no folder NAME+NAME of two attributes that are learned "
            f"({', '.join(attribute_names) or 'none is'})."
        )
    pairs = {}
    for path in chosen:
        subject = check_frames(path, config.image_size, cache)
        check_bad_share(subject, config.max_bad_share)
        pairs[path.name] = [TrainingFrame(r, path, cache) for r in subject.frames]
    return pairs


def _check_names(folder: Path, names: list[str], source: str) -> None:
    if not names:
        raise InvalidInput(f"{folder}: holds no subject (a folder with {PARAMETERS_FILE}).")
    if source not in names:
        raise InvalidInput(f"{folder}: has no subject {source!r}; it has {', '.join(names)}.")
    for name in names:
        if name != source and (category_of(name) not in CATEGORIES or "_" not in name):
            raise InvalidInput(
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
        part_names=_common_part_names(source.folder, [s.folder for s in subjects]),
        bad={f"{s.name}/{name}": reason for s in subjects for name, reason in s.bad.items()},
        num_skipped=sum(subject.skipped for subject in subjects),
        notes=tuple(note for subject in subjects for note in subject.notes),
    )


def _common_part_names(source: Path, folders: list[Path]) -> tuple[str, ...]:
    """The longest list of all subjects; a shorter one has to be its beginning."""
    tables = {folder: read_part_names(folder) for folder in (source, *folders)}
    longest = max(tables.values(), key=len)
    for folder, names in tables.items():
        if names != longest[: len(names)]:
            raise InvalidInput(
                f"{folder / PART_NAMES_FILE}: names other parts, or in another order, than the "
                "other subjects of the capture; make their part pictures with one program."
            )
    return longest
