"""How often colours are seen: histograms in L*a*b*, in which equal distances look alike."""

from __future__ import annotations

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, FloatArray

_LOWEST, _STEP, _BINS = (0.0, -64.0, -64.0), 4.0, (26, 32, 32)
"""finer steps need more samples, coarser ones mix brown hair with shaded skin"""
_BLUR = 0.8
"""steps that a colour counts for its neighbours: less leaves gaps between samples, more mixes"""


def lab(picture: Bytes) -> FloatArray:
    """(S, S, 3) L* 0..100, a* and b*."""
    import cv2

    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def colour_bins(colours: FloatArray) -> tuple[Array, ...]:
    """Where L*a*b* colours (…, 3) lie in a histogram: three times (…,)."""
    places = ((colours - np.array(_LOWEST, np.float32)) / np.float32(_STEP)).astype(np.int32)
    return tuple(places[..., k].clip(0, count - 1) for k, count in enumerate(_BINS))


def colour_shares(samples: Array) -> Array:
    """A histogram of samples (N, 3) in L*a*b* that adds up to 1, a little smoothed; 0 of none."""
    from scipy.ndimage import gaussian_filter

    counts = np.zeros(_BINS)
    np.add.at(counts, colour_bins(samples), 1.0)
    return np.asarray(gaussian_filter(counts, _BLUR, mode="constant") / max(len(samples), 1))
