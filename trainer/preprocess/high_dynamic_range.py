"""Frames of HDR videos, as phones make them, in the colours of a usual screen.

Codes become light by ITU-R BT.2100 (PQ or HLG), where 203 candelas a square metre are the white of
paper (BT.2408); the primaries of BT.2020 become those of BT.709; what is brighter than a screen
rolls off; sRGB at last. Numpy and OpenCV alone: not every ffmpeg has the filters for it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.floating[Any]]
PQ, HLG = "smpte2084", "arib-std-b67"
"""as ffmpeg names the two ways of coding"""
_WHITE_NITS, _PQ_NITS, _HLG_NITS, _HLG_GAMMA = 203.0, 10_000.0, 1000.0, 1.2
_KNEE = 0.7
"""Of white, below which light stays as it is: less keeps more of highlights and dulls faces, more
cuts highlights off."""
_BRIGHTEST, _STEPS = 16.0, 16384
"""Of white, up to which highlights are told apart, and in how many steps of light."""
_BT709_FROM_BT2020 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def to_usual_range(pixels: Bytes, transfer: str) -> Bytes:
    """A frame (H, W, 3) of codes of ``PQ`` or ``HLG`` with BT.2020's primaries, as sRGB."""
    import cv2

    light: FloatArray = np.take(_light_of_codes(transfer), pixels)
    light = np.asarray(cv2.transform(light, _BT709_FROM_BT2020), np.float32)
    # Steps of the root are finer where it is dark.
    steps = np.sqrt(light.clip(0, _BRIGHTEST) / _BRIGHTEST) * (_STEPS - 1)
    return np.take(_codes_of_light(), steps.astype(np.uint16))


@cache
def _light_of_codes(transfer: str) -> FloatArray:
    """(256,) light, 1 for white."""
    codes = np.arange(256) / 255
    nits = _pq_nits(codes) if transfer == PQ else _hlg_nits(codes)
    return (nits / _WHITE_NITS).astype(np.float32)


def _pq_nits(codes: FloatArray) -> FloatArray:
    """SMPTE ST 2084."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = codes ** (1 / m2)
    return np.asarray(_PQ_NITS * ((root - c1).clip(0) / (c2 - c3 * root)) ** (1 / m1))


def _hlg_nits(codes: FloatArray) -> FloatArray:
    """ARIB STD-B67 on a screen of 1,000 candelas, each colour for itself."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    return np.asarray(_HLG_NITS * scene**_HLG_GAMMA)


@cache
def _codes_of_light() -> Bytes:
    """(steps,) sRGB of light in steps of its root."""
    light = _BRIGHTEST * (np.arange(_STEPS) / (_STEPS - 1)) ** 2
    room = 1 - _KNEE
    bright = _KNEE + room * (1 - np.exp((_KNEE - light) / room))
    shown = np.where(light > _KNEE, bright, light)
    codes = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return (255 * codes).round().astype(np.uint8)
