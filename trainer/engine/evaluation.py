"""How close an avatar comes to frames it never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.frame import Frame
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.session import Session
from trainer.config.training import LossConfig
from trainer.data.capture_folder import FrameRecord
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.images import Pictures
from trainer.data.pairs import worn_by
from trainer.engine.lpips import (
    MIN_SIDE,
    PerceptualDistance,
    find_perceptual_distance,
)
from trainer.losses.image import make_targets

_WINDOW, _SIGMA = 11, 1.5
"""Of SSIM, as published; with others its numbers compare with nobody's."""
_C1, _C2 = 0.01**2, 0.03**2
"""of SSIM, for values in 0..1"""
_BORDER = 0.015
"""of the picture's side, around an attribute's region: points are no sharper; less counts an
attribute's soft edge as a change beside it, more hides real ones"""


@dataclass
class Score:
    """Agreement with a frame."""

    psnr_frame: float
    """dB over the whole frame"""
    psnr_head: float | None
    """dB over the pixels of the head's mask, where there is one"""
    mask_iou: float | None
    ssim: float
    """structural similarity over the whole frame, 1 for the same picture"""
    l1: float
    """mean absolute difference over the whole frame"""
    lpips: float | None = None
    """perceptual distance over the whole frame, where its weights are there"""
    outside: float | None = None
    """how much the attribute changes the picture of the person without it, in 1/255 on average over
    the head's pixels outside the attribute's region; where the capture says what that is"""


def evaluate(
    avatar: Avatar, capture: Capture, device: str, on_frame: Callable[[], None] = lambda: None
) -> dict[str, Score]:
    """Mean scores by subject over the held-out frames."""
    return _evaluate(avatar, capture, capture.held_out, device, on_frame)


def evaluate_pairs(
    avatar: Avatar, capture: Capture, device: str, on_frame: Callable[[], None] = lambda: None
) -> dict[str, Score]:
    """Mean scores by pair of attributes, both worn, over all frames of `Capture.pairs`."""
    return _evaluate(avatar, capture, capture.pairs, device, on_frame)


def above_singles(pair: str, score: Score, scores: dict[str, Score]) -> dict[str, float]:
    """How far a pair's score lies above the mean of its attributes' scores alone.

    By what all of them measure; empty where an attribute has no score.
    """
    names = worn_by(pair)
    if any(name not in scores for name in names):
        return {}
    singles = vars(_mean([scores[name] for name in names]))
    return {
        name: value - singles[name]
        for name, value in vars(score).items()
        if value is not None and singles[name] is not None
    }


def _evaluate(
    avatar: Avatar,
    capture: Capture,
    frames_of: dict[str, list[TrainingFrame]],
    device: str,
    on_frame: Callable[[], None],
) -> dict[str, Score]:
    session, distance = Session(avatar, device), find_perceptual_distance()
    scores: dict[str, Score] = {}
    for subject, frames in frames_of.items():
        found = []
        for frame in frames:
            found.append(score_frame(session, capture, frame, distance))
            on_frame()
        if found:
            scores[subject] = _mean(found)
    return scores


def score_frame(
    session: Session,
    capture: Capture,
    frame: TrainingFrame,
    distance: PerceptualDistance | None = None,
) -> Score:
    """Render a frame as the editor would and compare."""
    name = frame.record.subject
    worn = () if name == capture.source else worn_by(name)
    params = frame_parameters(frame.record, capture.shape.numpy(), worn)
    pictures = frame.pictures
    drawn = session.render(params, frame.record.camera, ("rgb", "alpha"))
    score = score_picture(drawn, pictures, distance)
    if params.attributes and pictures.part_mask is not None:
        score.outside = change_outside(session, params, frame.record, pictures, drawn)
    return score


def score_picture(
    drawn: Frame, pictures: Pictures, distance: PerceptualDistance | None = None
) -> Score:
    """Compare a rendered frame's colour and alpha with the pictures that were taken.

    What looks at the mask stays empty where there is none.
    """
    targets = make_targets(pictures, (), LossConfig(), torch.device("cpu"))
    rgb, alpha = torch.from_numpy(drawn["rgb"]), torch.from_numpy(drawn["alpha"])
    error = (rgb - targets.rgb).square()
    inside = targets.mask[:, :, 0] > 0.5
    masked = pictures.has_matte
    return Score(
        psnr_frame=_psnr(error.mean()),
        psnr_head=_psnr(error[inside].mean()) if masked else None,
        mask_iou=overlap(inside, alpha[:, :, 0] > 0.5) if masked else None,
        ssim=float(structural_similarity(rgb, targets.rgb)),
        l1=float((rgb - targets.rgb).abs().mean()),
        lpips=distance(rgb, targets.rgb) if distance and min(rgb.shape[:2]) >= MIN_SIDE else None,
    )


def overlap(first: Tensor, second: Tensor) -> float:
    """Intersection over union of two areas (H, W); 1 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


def change_outside(
    session: Session, params: Parameters, record: FrameRecord, pictures: Pictures, drawn: Frame
) -> float | None:
    """`Score.outside` of a frame that was drawn with these parameters; None where no pixel of the
    head lies outside of the attribute's region."""
    import cv2

    region = pictures.part_mask
    assert region is not None
    side = 2 * round(_BORDER * region.shape[0]) + 1
    near = cv2.dilate(region, np.ones((side, side), np.uint8)) > 0
    outside = (pictures.mask > 127) & ~near
    plain = session.render(replace(params, attributes={}), record.camera, ("rgb",))["rgb"]
    change = np.abs(drawn["rgb"] - plain).mean(axis=2)[outside]
    return float(change.mean() * 255) if len(change) else None


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """SSIM of two pictures (H, W, C) in 0..1 (Wang et al. 2004, with its Gaussian window)."""
    reach = torch.arange(_WINDOW, dtype=first.dtype) - _WINDOW // 2
    kernel = torch.exp(-0.5 * (reach / _SIGMA).square())
    kernel = kernel / kernel.sum()

    def blur(values: Tensor) -> Tensor:
        columns = values.permute(2, 0, 1)[:, None]
        rows = torch.nn.functional.conv2d(columns, kernel.view(1, 1, -1, 1))
        return torch.nn.functional.conv2d(rows, kernel.view(1, 1, 1, -1))

    mean_a, mean_b = blur(first), blur(second)
    spread_a = blur(first * first) - mean_a * mean_a
    spread_b = blur(second * second) - mean_b * mean_b
    common = blur(first * second) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    structure = (2 * common + _C2) / (spread_a + spread_b + _C2)
    return (light * structure).mean()


def frame_parameters(
    record: FrameRecord, shape: npt.NDArray[np.float32], worn: Sequence[str]
) -> Parameters:
    """The parameters with which a frame was taken, of a person of that shape (100,)."""
    return Parameters(
        expression=record.expression,
        pose=record.pose,
        shape=shape,
        attributes={category_of(name): name for name in worn},
    )


def _psnr(mean_squared_error: Tensor) -> float:
    return -10 * math.log10(max(float(mean_squared_error), 1e-10))


def _mean(scores: list[Score]) -> Score:
    means: dict[str, Any] = {}
    for name in vars(scores[0]):
        column = [getattr(score, name) for score in scores if getattr(score, name) is not None]
        means[name] = float(np.mean(column)) if column else None
    return Score(**means)


def average(scores: dict[str, Score]) -> Score:
    """The mean over subjects."""
    return _mean(list(scores.values()))
