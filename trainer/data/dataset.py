"""All subjects of a capture, their pictures decoded once and kept in memory."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.avatar.latent import CATEGORIES, category_of
from pegasus_runtime.errors import Refused
from trainer.config.training import DataConfig
from trainer.data.capture_folder import (
    PARAMETERS_FILE,
    FrameRecord,
    SubjectRecord,
    check_bad_share,
    read_subject,
)

Bytes = npt.NDArray[np.uint8]


@dataclass(eq=False)
class TrainingFrame:
    """One frame with its pictures as bytes."""

    record: FrameRecord
    image: Bytes
    """(H, W, 3) RGB"""
    mask: Bytes
    """(H, W)"""
    part_mask: Bytes | None
    """(H, W) where the subject's attribute is seen"""
    normals: Bytes | None
    """(H, W, 3) world normals as n · 0.5 + 0.5"""
    parts: Bytes | None
    """(H, W) class of each pixel"""


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
    """Read a capture into memory.

    Raises:
        FileNotFoundError: the folder does not exist.
        Refused: there is no subject in it, the source is missing, or too many frames are bad.
    """
    folder = Path(config.folder)
    if not config.folder or not folder.is_dir():
        raise FileNotFoundError(f"{config.folder or 'data.folder'}: no such capture folder.")
    subjects = [
        read_subject(path, config.image_size, config.max_bad_share)
        for path in sorted(folder.iterdir())
        if (path / PARAMETERS_FILE).is_file()
    ]
    _check_names(folder, subjects, config.source)
    training: dict[str, list[TrainingFrame]] = {}
    held_out: dict[str, list[TrainingFrame]] = {}
    for subject in subjects:
        frames = _decode(subject, config)
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


def _decode(subject: SubjectRecord, config: DataConfig) -> list[TrainingFrame]:
    """Decode all pictures of a subject; a frame that cannot be read is counted, not fatal."""

    def attempt(record: FrameRecord) -> TrainingFrame | str:
        try:
            return _decode_frame(subject.folder, record, config.image_size)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(attempt, subject.frames))
    for record, result in zip(subject.frames, results, strict=True):
        if isinstance(result, str):
            subject.bad[record.name] = result
    frames = [result for result in results if isinstance(result, TrainingFrame)]
    subject.frames = [frame.record for frame in frames]
    check_bad_share(subject, config.max_bad_share)
    return frames


def _decode_frame(folder: Path, record: FrameRecord, size: int) -> TrainingFrame:
    def read(kind: str, colour: bool, required: bool = False) -> Bytes | None:
        path = folder / kind / f"{record.name}.png"
        if not required and not path.is_file():
            return None
        return _read_picture(path, colour, size, nearest=kind == "semantic")

    image, mask = read("image", True, True), read("mask", False, True)
    assert image is not None and mask is not None
    return TrainingFrame(
        record,
        image,
        mask,
        part_mask=read("mask_object", False),
        normals=read("normal_rendering", True),
        parts=read("semantic", False),
    )


def _read_picture(path: Path, colour: bool, size: int, nearest: bool = False) -> Bytes:
    import cv2

    raw = np.fromfile(path, np.uint8)
    flag = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    picture: Any = cv2.imdecode(raw, flag) if raw.size else None
    if picture is None:
        raise ValueError(f"{path.parent.name}/{path.name} cannot be decoded")
    if picture.shape[0] != picture.shape[1]:
        height, width = picture.shape[:2]
        raise ValueError(f"{path.parent.name}/{path.name} is {width}×{height}, not square")
    if picture.shape[0] != size:
        method = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA
        picture = cv2.resize(picture, (size, size), interpolation=method)
    return np.ascontiguousarray(picture[:, :, ::-1] if colour else picture)


def choose_frame(capture: Capture, config: DataConfig, seed: int, step: int) -> TrainingFrame:
    """The frame of a step: the same for the same seed and step, whatever happened before.

    The source person comes up with the configured share; attributes share the rest evenly,
    however many frames each has.
    """
    random = np.random.default_rng((seed, step))
    names = capture.attribute_names
    subject = capture.source
    if names and random.random() >= config.source_share:
        subject = names[int(random.integers(len(names)))]
    frames = capture.training[subject]
    return frames[int(random.integers(len(frames)))]
