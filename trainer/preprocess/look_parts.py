"""What a few frames of a video show of each attribute.

Hats and glasses are found only where the asset folder has a network for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, FloatArray, Region
from trainer.preprocess.landmark_groups import (
    CHIN,
    FOREHEAD,
    LEFT_BROW,
    LEFT_EYE,
    LID_PAIRS,
    NOSE_RIDGE,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
)
from trainer.preprocess.model_files import PARSING_NAMES, find_asset
from trainer.preprocess.onnx_networks import PARSING_CLASSES, FaceParser

_MOST_FRAMES = 8
"""that are looked at: more are surer, and each takes the network half a second"""
_LARGER, _HIGHER = 1.4, 0.15
"""Of the face's region: how large the square around a head is, and how far above it lies.
A smaller one cuts hats off, a larger one leaves glasses few pixels."""
_SIDE = 512
_NOT_SHOWN = ("background", "clothes")
NOT_ALWAYS_WORN = ("hat", "glasses")
"""parts that not everybody has, and that the network finds"""
TILE = 96
"""Pixels of a part's picture: more are sharper, and longer to send."""
_NOSE = (*NOSE_RIDGE, 98, 327)
"""with the wings"""
_BROWS, _EYES = (*RIGHT_BROW, *LEFT_BROW), (*RIGHT_EYE, *LEFT_EYE)
_CLOSE_UP: dict[str, tuple[tuple[int, ...], float]] = {
    "eyebrows": ((*_BROWS, *_EYES), 1.15),
    "eyes": (_EYES, 1.2),
    "nose": (_NOSE, 1.7),
    "mouth": (OUTER_LIPS, 1.6),
    "ears": (OVAL, 1.3),
    "eyeglasses": ((*_BROWS, *_EYES), 1.4),
}
"""Category → the landmarks that its picture lies around, and its side over their extent: more shows
more of the face, less only the part. Of hair and hats all is shown."""


def worn_shares(frames: Sequence[tuple[Bytes, FloatArray]]) -> dict[str, Array] | None:
    """Share (K,) of each of `NOT_ALWAYS_WORN` in what some frames show of the person.

    Args:
        frames: evenly spread; (H, W, 3) RGB, and the landmarks (478, 2 or 3) in it.

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
    return {name: np.array([each[name] for each in shares]) for name in NOT_ALWAYS_WORN}


def part_pictures(frames: Sequence[tuple[Bytes, FloatArray]]) -> dict[str, Bytes]:
    """Picture (96, 96, 3) of each category, from the frame that faces the camera with open eyes.

    Args:
        frames: (H, W, 3) RGB, and the landmarks (478, 2 or 3) in it; at least one.
    """
    pixels, landmarks = max(frames, key=lambda frame: _facing(frame[1]))
    whole = _head(landmarks).cut_out(pixels, TILE)
    close = {name: _close_up(landmarks, *how) for name, how in _CLOSE_UP.items()}
    return {name: region.cut_out(pixels, TILE) for name, region in close.items()} | {
        "hair": whole,
        "hat": whole,
    }


def _facing(landmarks: FloatArray) -> float:
    """How far the eyes are open less how far the head is turned, over the height of the face."""
    places = landmarks[:, :2]
    upper, lower = np.array(LID_PAIRS).T
    opening = float(np.linalg.norm(places[upper] - places[lower], axis=1).mean())
    nose, sides = places[list(NOSE_RIDGE)].mean(axis=0), places[list(OVAL)]
    off = float(np.linalg.norm(nose - (sides.min(axis=0) + sides.max(axis=0)) / 2))
    return (opening - off) / float(np.linalg.norm(places[FOREHEAD] - places[CHIN]))


def _close_up(landmarks: FloatArray, around: tuple[int, ...], larger: float) -> Region:
    places = landmarks[list(around), :2]
    low, high = places.min(axis=0), places.max(axis=0)
    x, y = (low + high) / 2
    return Region(float(x), float(y), larger * float((high - low).max()), 0.0)


def _head(landmarks: FloatArray) -> Region:
    face = Region.of_landmarks(landmarks)
    return replace(face, y=face.y - _HIGHER * face.side, side=_LARGER * face.side, angle=0.0)


def _around(pixels: Bytes, landmarks: FloatArray) -> Bytes:
    return _head(landmarks).cut_out(pixels, _SIDE)


def _shares(parsed: Bytes) -> dict[str, float]:
    counts = np.bincount(parsed.ravel(), minlength=len(PARSING_CLASSES))
    by_name = dict(zip(PARSING_CLASSES, counts, strict=True))
    shown = max(sum(n for name, n in by_name.items() if name not in _NOT_SHOWN), 1)
    return {name: by_name[name] / shown for name in NOT_ALWAYS_WORN}
