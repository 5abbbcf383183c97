"""Hats and glasses in a few frames of a video, where the asset folder has a network for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, FloatArray, Region
from trainer.preprocess.model_files import PARSING_NAMES, find_asset
from trainer.preprocess.onnx_networks import PARSING_CLASSES, FaceParser

_MOST_FRAMES = 8
"""that are looked at: more are surer, and each takes the network half a second"""
_LARGER, _HIGHER = 1.4, 0.15
"""Of the face's region: how large the square is that the network sees, and how far above it lies.
A smaller one cuts hats off, a larger one leaves glasses few pixels."""
_SIDE = 512
_NOT_SHOWN = ("background", "clothes")


def worn_shares(frames: Sequence[tuple[Bytes, FloatArray]]) -> dict[str, Array] | None:
    """Share (K,) of hat and of glasses in what some frames, evenly spread, show of the person.

    Args:
        frames: (H, W, 3) RGB, and the landmarks (478, 2 or 3) in it.

    Returns:
        By name of the part as in part pictures; None without the network.

    Raises:
        InvalidInput: the network cannot be used.
    """
    path = find_asset(PARSING_NAMES)
    if path is None:
        return None
    parser = FaceParser(path)
    chosen = frames[:: max(len(frames) // _MOST_FRAMES, 1)][:_MOST_FRAMES]
    shares = [_shares(parser.parse(_around(*frame))) for frame in chosen]
    return {name: np.array([each[name] for each in shares]) for name in ("hat", "glasses")}


def _around(pixels: Bytes, landmarks: FloatArray) -> Bytes:
    face = Region.of_landmarks(landmarks)
    wider = replace(face, y=face.y - _HIGHER * face.side, side=_LARGER * face.side, angle=0.0)
    return wider.cut_out(pixels, _SIDE)


def _shares(parsed: Bytes) -> dict[str, float]:
    counts = np.bincount(parsed.ravel(), minlength=len(PARSING_CLASSES))
    by_name = dict(zip(PARSING_CLASSES, counts, strict=True))
    shown = max(sum(n for name, n in by_name.items() if name not in _NOT_SHOWN), 1)
    return {name: by_name[name] / shown for name in ("hat", "glasses")}
