"""Comparing the avatar with frames that were taken: colour, outline and attributes' regions."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from pegasus_runtime.frame import Frame
from pegasus_runtime.parameters import Parameters
from trainer.data.dataset import TrainingFrame
from trainer.data.images import Pictures
from trainer.engine.evaluation import (
    change_outside,
    frame_parameters,
    overlap,
    score_picture,
)
from trainer.losses.image import composite_target
from trainer.preprocess.estimators import Bytes
from trainer.report.subjects import Subject
from trainer.report.work import Finding, Tools, WorkItem, to_bytes

FRAMES = "frames"
"""section of their keys; the page shows them under rendering, masks and pairs"""
PASSES = ("rgb", "alpha", "segmentation")
_AMPLIFIED = 4
"""Of differences in pictures: more shows what nobody sees, less hides what some do."""
_TRUTH, _DRAWN, _BOTH = (214, 90, 30), (40, 110, 220), (60, 160, 90)
"""colours of a region: in the mask only, in the avatar only, in both"""
_TINT = 0.6
"""Share of such a colour: more hides the picture below, less is hard to see on hair."""


def frame_items(tools: Tools, subjects: list[Subject]) -> list[WorkItem]:
    """One piece of work for each frame."""
    items = []
    for subject in subjects:
        shown = {0, len(subject.frames) // 2}
        for index, frame in enumerate(subject.frames):
            is_shown = index in shown
            facts = (*_stamp(frame), subject.worn, subject.shape.tolist(), is_shown)
            run = partial(_compare, tools, subject, frame, is_shown)
            name = f"{subject.name}/{frame.record.name}"
            items.append(WorkItem(FRAMES, name, subject.name, facts, run))
    return items


def _stamp(frame: TrainingFrame) -> tuple[object, ...]:
    """What tells a frame from another one of its name."""
    record = frame.record
    files = []
    for kind, path in sorted(record.files.items()):
        known = path.stat()
        files.append((kind, known.st_size, known.st_mtime_ns))
    camera = record.camera
    values = (record.expression, record.pose, camera.rotation, camera.translation)
    numbers = b"".join(value.tobytes() for value in (*values, camera.intrinsics))
    return (*files, numbers.hex())


def _compare(tools: Tools, subject: Subject, frame: TrainingFrame, is_shown: bool) -> Finding:
    params = frame_parameters(frame.record, subject.shape, subject.worn)
    pictures = frame.pictures
    drawn = tools.session.render(params, frame.record.camera, PASSES)
    score = score_picture(drawn, pictures, tools.lpips)
    if params.attributes and pictures.part_mask is not None and pictures.has_matte:
        score.outside = change_outside(tools.session, params, frame.record, pictures, drawn)
    found = Finding({**vars(score), **_region(drawn, pictures, params)})
    taken, shown = to_bytes(composite_target(pictures)), to_bytes(drawn["rgb"])
    if tools.identity is not None:
        found.values["identity"] = tools.identity.compare(taken, shown)
    if tools.inception is not None:
        found.features = [tools.inception(taken), tools.inception(shown)]
    if is_shown:
        apart = np.abs(taken.astype(np.int16) - shown) * _AMPLIFIED
        found.pictures = [
            ("taken", taken),
            ("drawn", shown),
            (f"difference × {_AMPLIFIED}", np.asarray(255 - apart.clip(0, 255), np.uint8)),
        ]
        if found.values.get("region_iou") is not None:
            found.pictures.append(("region", _show_region(drawn, pictures, taken)))
    return found


def _region(drawn: Frame, pictures: Pictures, params: Parameters) -> dict[str, float | None]:
    """How well the avatar's region of what is worn lies on the mask of it."""
    if pictures.part_mask is None or not params.attributes:
        return {}
    taken = torch.from_numpy(pictures.part_mask) > 127
    here = torch.from_numpy(drawn["segmentation"])[:, :, 0] > 0.5
    if not taken.any():
        # Seen from a side where it is hidden, it says nothing.
        return {}
    return {"region_iou": overlap(taken, here)}


def _show_region(drawn: Frame, pictures: Pictures, taken: Bytes) -> Bytes:
    assert pictures.part_mask is not None
    wanted, here = pictures.part_mask > 127, drawn["segmentation"][:, :, 0] > 0.5
    shown = taken.astype(np.float32).mean(axis=2, keepdims=True).repeat(3, axis=2)
    for area, colour in (
        (wanted & ~here, _TRUTH),
        (here & ~wanted, _DRAWN),
        (here & wanted, _BOTH),
    ):
        shown[area] = (1 - _TINT) * shown[area] + _TINT * np.array(colour, np.float32)
    return np.asarray(shown, np.uint8)
