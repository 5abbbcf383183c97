"""The numbers of a report: means of subjects and sections, and columns that have no weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from pegasus_runtime.avatar.avatar import Avatar
from trainer.engine.evaluation import Score, above_singles
from trainer.environment import made_with
from trainer.report.frame_items import FRAMES
from trainer.report.frechet import frechet_distance
from trainer.report.request import EvaluationRequest
from trainer.report.results import Record
from trainer.report.subjects import Data
from trainer.report.work import unpack_features

Values = dict[str, float | None]


@dataclass(frozen=True)
class Column:
    """One measure."""

    title: str
    digits: int
    help: str
    """one line"""
    better: str
    """up, down, or nothing where neither is"""
    section: str = ""
    """that it belongs to, where it is not of all frames"""


COLUMNS: dict[str, Column] = {
    "psnr_frame": Column("PSNR frame", 2, "dB over the whole frame", "up"),
    "psnr_head": Column("PSNR mask", 2, "dB over the pixels of the mask", "up"),
    "mask_iou": Column("mask IoU", 4, "overlap of the outline and the mask", "up"),
    "ssim": Column("SSIM", 4, "structural similarity over the whole frame", "up"),
    "l1": Column("L1", 4, "mean absolute difference over the whole frame", "down"),
    "lpips": Column("LPIPS", 4, "difference to people's eyes", "down"),
    "identity": Column("identity", 3, "cosine of the two faces' embeddings", "up"),
    "fid": Column("FID", 2, "distance of all drawn pictures from all taken ones", "down"),
    "outside": Column(
        "outside", 2, "255ths by which the attribute changes the head outside its region", "down"
    ),
    "region_iou": Column(
        "region IoU", 4, "overlap of the avatar's region with the attribute's mask", "up", "masks"
    ),
}


@dataclass
class Report:
    """All that the page, the tables and the JSON show."""

    facts: dict[str, Any]
    notes: list[str]
    missing: dict[str, str]
    """column → file it needs"""
    subjects: dict[str, Values]
    """means by subject; those of pairs are apart"""
    pairs: dict[str, Values]
    above: dict[str, dict[str, float]]
    """pair → how far above the mean of its attributes alone"""
    mean: Values
    """over subjects"""
    records: list[Record]
    sections: tuple[str, ...]

    def of(self, section: str) -> list[Record]:
        """The records of a section."""
        return [record for record in self.records if record["section"] == section]


def summarise(
    request: EvaluationRequest,
    avatar: Avatar,
    data: Data,
    records: list[Record],
    notes: list[str],
    missing: dict[str, str],
) -> Report:
    """The means of all that was found."""
    frames: dict[str, list[Record]] = {}
    for record in records:
        if record["section"] == FRAMES:
            frames.setdefault(record["group"], []).append(record)
    means = {name: _mean_of(found) for name, found in frames.items()}
    pair_names = {subject.name for subject in data.subjects if subject.is_pair}
    singles = {name: values for name, values in means.items() if name not in pair_names}
    pairs = {name: values for name, values in means.items() if name in pair_names}
    scores = {name: _score(values) for name, values in singles.items()}
    mean = average(singles.values())
    mean["fid"] = _fid(r for name in singles for r in frames[name])
    return Report(
        facts=_facts(request, avatar, sum(map(len, frames.values()))),
        notes=notes,
        missing=missing,
        subjects=singles,
        pairs=pairs,
        above={name: above_singles(name, _score(v), scores) for name, v in pairs.items()},
        mean=mean,
        records=records,
        sections=request.sections,
    )


def average(rows: Iterable[Values]) -> Values:
    """The mean of each column over the rows that have a number there."""
    listed = list(rows)
    means: Values = {}
    for name in COLUMNS:
        column = [row[name] for row in listed if row.get(name) is not None]
        means[name] = float(np.mean(column)) if column else None  # type: ignore[arg-type]
    return means


def _mean_of(records: list[Record]) -> Values:
    means = average(record["values"] for record in records)
    means["fid"] = _fid(records)
    return means


def _fid(records: Iterable[Record]) -> float | None:
    pairs = [unpack_features(record["features"]) for record in records if record["features"]]
    return frechet_distance(*zip(*pairs, strict=True)) if pairs else None


def _score(values: Values) -> Score:
    known: dict[str, Any] = {name: values.get(name) for name in Score.__dataclass_fields__}
    return Score(**known)


def _facts(request: EvaluationRequest, avatar: Avatar, num_frames: int) -> dict[str, Any]:
    return {
        "avatar": avatar.name,
        "avatar_file": request.avatar.name,
        "num_points": avatar.num_points,
        "attributes": list(avatar.attribute_names),
        "head": avatar.head.name,
        "data": request.data.resolve().name,
        "frames": num_frames,
        "size": request.size,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "made_with": made_with(),
    }
