"""Mattes of a film, freed of what one frame alone says of an outline."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.preprocess.face_track import Track

FloatArray = npt.NDArray[np.floating[Any]]
_STILL = (10, 109, 338, 168, 6, 33, 133, 263, 362, 127, 356, 234, 454)
"""landmarks that no expression moves much: forehead, bridge of the nose, eye corners, temples"""
SAME_FPS = 10.0
"""below which neighbouring frames tell nothing of one another; less mixes other poses into an
outline, more leaves flicker in slower videos"""


def follow_head(coarse: FloatArray, before: FloatArray, now: FloatArray) -> FloatArray:
    """A matte (R, R) moved, turned and scaled as a head, by its landmarks (478, 2) in 0..1."""
    import cv2

    side, still = coarse.shape[0], list(_STILL)
    start, end = before[still] * side, now[still] * side
    matrix, _ = cv2.estimateAffinePartial2D(start, end, method=cv2.LMEDS)
    if matrix is None:
        return coarse
    moved = cv2.warpAffine(
        coarse.astype(np.float32), matrix, (side, side), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved)


class OutlineInTime:
    """Mattes no farther from those around, as they would be if the head were where it is, than
    most of these are from one another."""

    def __init__(
        self,
        matte: Callable[[int], FloatArray],
        reach: int,
        spared: int,
        track: Track,
        places: FloatArray,
    ) -> None:
        """How mattes are asked for and taken.

        Args:
            matte: gives one by its number.
            reach: so many on either side have a say.
            spared: so many of them with the least values have none, nor of those with the most;
                one less than the reach makes it the median of all.
            track: in which frames there is a face.
            places: (N, 478, 2) its landmarks in 0..1.
        """
        self._matte, self._reach, self._spared = matte, reach, spared
        self._present, self._places = track.present, places
        self._is_far = track.fps < SAME_FPS
        self._kept = OrderedDict[int, FloatArray]()

    def __call__(self, number: int) -> FloatArray:
        own, count = self._of(number), len(self._places)
        reach = min(self._reach, number - 1, count - number)
        near = [number + way * step for step in range(1, reach + 1) for way in (-1, 1)]
        if self._is_far or not near or not self._present[[n - 1 for n in (number, *near)]].all():
            return own
        now, side = self._places[number - 1], own.shape[0]
        beside = [follow_head(_resized(self._of(n), side), self._places[n - 1], now) for n in near]
        spared = min(self._spared, reach - 1)
        values = np.sort(beside, axis=0)
        return np.clip(own, values[spared], values[-1 - spared])

    def _of(self, number: int) -> FloatArray:
        if number not in self._kept:
            self._kept[number] = self._matte(number)
            if len(self._kept) > 2 * self._reach + 1:
                self._kept.popitem(last=False)
        return self._kept[number]


def _resized(matte: FloatArray, side: int) -> FloatArray:
    import cv2

    resized = cv2.resize(matte.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(resized)
