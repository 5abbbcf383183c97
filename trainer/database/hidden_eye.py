"""Does something hide one of a person's eyes? Hair that hangs before it, mostly.

Part pictures do not tell: those of videos have both eyes where their landmarks are thought to be.
But two eyes that are seen look like mirror images of one another, and an eye and hair do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, FloatArray, Region

_PATCH, _LARGER, _SHIFT = 48, 1.6, 6
"""Pixels of an eye's square, its side over the eye's width, and how far off the other may lie:
smaller ones show lids only, larger ones cheeks and nose, which are alike with a hidden eye too."""
_ALIKE = 0.25
"""Correlation from which on two eyes are a pair. Of eleven people, filmed and drawn, lit from the
side, blinking and looking aside, the lowest had 0.37, and one with hair before an eye 0.13."""
_FLAT = 1.0
"""deviation of the luminance, of 255, below which there is nothing to compare"""
_LEAST_PIXELS = 12
"""that an eye has; fewer are a sliver at the nose's side"""


def one_eye_is_hidden(
    pictures: Iterable[Bytes], labels: Sequence[Bytes], names: Sequence[str]
) -> bool:
    """Whether a person's eyes are no pair, in the half of the frames that shows most of them.

    Args:
        pictures: (S, S, 3) of some frames.
        labels: (S, S) index of the part that each of their pixels shows.
        names: of the parts.
    """
    if "eyes" not in names or "nose" not in names:
        return False
    found = [_likeness(*frame, names) for frame in zip(pictures, labels, strict=True)]
    seen = sorted((pair for pair in found if pair), reverse=True)
    half = [alike for _, alike in seen[: (len(seen) + 1) // 2]]
    return bool(half) and float(np.median(half)) < _ALIKE


def _likeness(picture: Bytes, labels: Bytes, names: Sequence[str]) -> tuple[int, float] | None:
    """Pixels of the eyes, and their correlation with one another; 0 where there is only one."""
    lids = [names.index(name) for name in ("eyes", "eyelids") if name in names]
    eyes, nose = np.isin(labels, lids), labels == names.index("nose")
    if not eyes.any() or not nose.any():
        return None
    is_left = np.arange(labels.shape[1]) < np.nonzero(nose)[1].mean()
    first, second = (_patch(picture, eyes & side) for side in (is_left, ~is_left))
    if first is None or second is None:
        return int(eyes.sum()), 0.0
    if min(first.std(), second.std()) < _FLAT:
        return None
    return int(eyes.sum()), _correlation(first, second[:, ::-1])


def _patch(picture: Bytes, eye: Array) -> FloatArray | None:
    """(P, P) luminance around an eye; None without one."""
    rows, columns = np.nonzero(eye)
    if len(rows) < _LEAST_PIXELS:
        return None
    x, y = ((values.min() + values.max() + 1) / 2 for values in (columns, rows))
    side = _LARGER * (np.ptp(columns) + 1)
    cut = Region(float(x), float(y), float(side), 0.0).cut_out(picture, _PATCH)
    return np.asarray(cut.astype(np.float32).mean(axis=2))


def _correlation(first: FloatArray, second: FloatArray) -> float:
    """The best of those with the second moved against the first by some pixels."""
    import cv2

    inner = np.ascontiguousarray(second[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT])
    return float(cv2.matchTemplate(first, inner, cv2.TM_CCOEFF_NORMED).max())
