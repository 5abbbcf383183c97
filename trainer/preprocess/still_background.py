"""What is behind a person before a camera that stands still: other frames of the clip show it.

Networks for mattes see one picture and guess where hair ends before a wall of its colour. Where the
head moves at all, the clip itself shows that wall:

1. Some frames, and their coarse mattes, give each pixel's colour where nobody is, and its variance.
   Where a camera or what is behind moves, that is large, and says little.
2. A pixel near a matte's edge is the person's as far as its colour is likelier among those of the
   person near by than among those of this pixel without the person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.coarse_mattes import (
    COARSE_SIDE,
    coarse_matte,
    coarse_picture,
    dilated,
    eroded,
)
from trainer.preprocess.estimators import Bytes, FloatArray

_BAND, _AWAY = 6, 12
"""pixels of 256: from a matte's edge, how far it may be wrong, and where surely nobody is; less
leaves the networks' mistakes, more takes other things for hair"""
_REACH = 12
"""how far the colours of the person near by are gathered; farther ones are steadier, and less those
of the place"""
_FEW = 4.0
"""Frames that show a pixel without the person, from which it is believed: fewer see a passing
hand."""
_STILL = 0.03
"""Of 0..1, a pixel's standard deviation at which it is half believed: less wants a tripod, more
believes what a moving camera mixes."""
_NOISE, _SPREAD = 0.015, 0.04
"""Of 0..1, standard deviations that are added to those of background and person: less of the first
believes compression, more leaves a veil; the second, more of it takes less for hair."""
_MOST = 12.0
"""The largest logarithm that a pixel's colour says; more overrules a network that is sure."""
_SURELY, _LITTLE = 0.93, 1e-3
"""Of a matte, when it is no edge: less takes soft edges for the person's own colours. And how much
colours count that are four times as far: with more they outvote those of the place."""
_SOFT = 0.03
"""Added to the network's 0 and 1, of which it is too sure; less leaves its mistakes."""


@dataclass(frozen=True, eq=False)
class StillBackground:
    """What each pixel shows without the person."""

    mean: Array
    """(R, R, 3) 0..1"""
    variance: Array
    """(R, R) of a channel"""
    trust: Array
    """(R, R) 0..1"""

    @classmethod
    def of(cls, frames: Iterable[tuple[Bytes, FloatArray]]) -> StillBackground:
        """From pictures (S, S, 3) and their coarse mattes."""
        count = np.zeros((COARSE_SIDE, COARSE_SIDE), np.float32)
        total, squares = np.zeros((COARSE_SIDE, COARSE_SIDE, 3), np.float32), count.copy()
        for picture, matte in frames:
            colours = _colours(picture)
            alone = (dilated(coarse_matte(matte), _AWAY) < 1 - _SURELY).astype(np.float32)
            count += alone
            total += colours * alone[..., None]
            squares += np.square(colours).sum(axis=-1) * alone
        mean = total / np.maximum(count, 1)[..., None]
        spread = squares / np.maximum(count, 1) - np.square(mean).sum(axis=-1)
        variance = spread.clip(0) / 3
        trust = ((count - 1) / (_FEW - 1)).clip(0, 1) / (1 + variance / _STILL**2)
        return cls(mean, variance, trust)

    def correct(self, picture: Bytes, matte: FloatArray) -> FloatArray:
        """A coarse matte (R, R) of a picture (S, S, 3), better where the background is known."""
        coarse, colours = coarse_matte(matte), _colours(picture)
        own = (eroded(coarse, _BAND) > _SURELY).astype(np.float32)
        is_other = dilated(coarse, _BAND) < 1 - _SURELY
        variance = self.variance + _NOISE**2
        behind = -np.square(colours - self.mean).sum(axis=-1) / variance - 3 * np.log(variance)
        said = (_likelihood(colours, own) - behind) / 2
        said = said.clip(-_MOST, _MOST)
        network = np.log((coarse + _SOFT) / (1 + _SOFT - coarse))
        found = 1 / (1 + np.exp(-said - network))
        # Elsewhere the network stays as it is.
        known = self.trust * ~is_other * (1 - own)
        return np.asarray(coarse + known * (found - coarse), np.float32)


def _likelihood(colours: FloatArray, own: FloatArray) -> FloatArray:
    """(R, R) twice the logarithm, of colours among those near by where ``own`` is 1."""
    mean, square = _gathered(colours, own), _gathered(np.square(colours), own)
    variance = (square - np.square(mean)).clip(0) + _SPREAD**2
    away = np.square(colours - mean) / variance + np.log(variance)
    return np.asarray(-away.sum(axis=-1))


def _gathered(values: FloatArray, own: FloatArray) -> FloatArray:
    """(R, R, 3) means of what is near by, or a little farther where nothing is."""
    import cv2

    total, count = np.zeros_like(values), np.zeros_like(own)
    for factor, weight in ((1, 1.0), (4, _LITTLE)):
        side = 2 * _REACH * factor + 1
        total = total + weight * cv2.boxFilter(values * own[..., None], -1, (side, side))
        count = count + weight * cv2.boxFilter(own, -1, (side, side))
    return np.asarray(total / np.maximum(count, 1e-9)[..., None])


def _colours(picture: Bytes) -> FloatArray:
    return np.asarray(coarse_picture(picture).astype(np.float32) / 255, np.float32)
