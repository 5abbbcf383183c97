"""How close an avatar comes to frames it never saw."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.session import Session
from trainer.data.dataset import Capture, TrainingFrame
from trainer.losses.pictures import make_targets


@dataclass
class Score:
    """Agreement with a frame."""

    psnr_frame: float
    """dB over the whole frame"""
    psnr_head: float
    """dB over the pixels of the head's mask"""
    mask_iou: float


def evaluate(
    avatar: Avatar, capture: Capture, device: str, on_frame: Callable[[], None] = lambda: None
) -> dict[str, Score]:
    """Mean scores by subject over the held-out frames."""
    session = Session(avatar, device)
    scores: dict[str, Score] = {}
    for subject, frames in capture.held_out.items():
        found = []
        for frame in frames:
            found.append(score_frame(session, capture, frame))
            on_frame()
        if found:
            scores[subject] = _mean(found)
    return scores


def score_frame(session: Session, capture: Capture, frame: TrainingFrame) -> Score:
    """Render a frame as the editor would and compare."""
    picture = session.render(
        frame_parameters(capture, frame), frame.record.camera, ("rgb", "alpha")
    )
    targets = make_targets(frame, (), {}, torch.device("cpu"))
    rgb, alpha = torch.from_numpy(picture["rgb"]), torch.from_numpy(picture["alpha"])
    error = (rgb - targets.rgb).square()
    inside = targets.mask[:, :, 0] > 0.5
    covered = alpha[:, :, 0] > 0.5
    union = (inside | covered).sum().clamp_min(1)
    return Score(
        psnr_frame=_psnr(error.mean()),
        psnr_head=_psnr(error[inside].mean()),
        mask_iou=float((inside & covered).sum() / union),
    )


def frame_parameters(capture: Capture, frame: TrainingFrame) -> Parameters:
    """The parameters with which a frame was taken."""
    name = frame.record.subject
    return Parameters(
        expression=frame.record.expression,
        pose=frame.record.pose,
        shape=capture.shape.numpy(),
        attributes={} if name == capture.source else {name.partition("_")[0]: name},
    )


def _psnr(mean_squared_error: Tensor) -> float:
    return -10 * math.log10(max(float(mean_squared_error), 1e-10))


def _mean(scores: list[Score]) -> Score:
    rows = np.array([[s.psnr_frame, s.psnr_head, s.mask_iou] for s in scores])
    return Score(*(float(value) for value in rows.mean(axis=0)))


def average(scores: dict[str, Score]) -> Score:
    """The mean over subjects."""
    return _mean(list(scores.values()))
