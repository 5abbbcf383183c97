"""Finishing pictures in one pass over their pixels (numba).

Torch does each of the few steps with a pass of its own, and pixels of three or four numbers keep
it from working on many at once. `passes` and the viewer have the same formulas for other devices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.numba_start import njit, prange

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
_NONE, _HALF, _ONE, _TOP = (np.float32(value) for value in (0.0, 0.5, 1.0, 255.0))


@njit(cache=True, nogil=True, parallel=True)
def put_before(image: Floats, alpha: Floats, colour: Floats, out: Floats) -> None:
    """A premultiplied picture (H, W, C) of coverage alpha (H, W, 1) before a colour (C,)."""
    for row in prange(len(image)):
        for column in range(image.shape[1]):
            behind = _ONE - alpha[row, column, 0]
            for channel in range(image.shape[2]):
                out[row, column, channel] = image[row, column, channel] + behind * colour[channel]


@njit(cache=True, nogil=True, parallel=True)
def to_bytes(image: Floats, alpha: Floats, out: Bytes) -> None:
    """A picture (H, W, 3) and its alpha (H, W, 1), both 0 to 1, as RGBA (H, W, 4)."""
    for row in prange(len(image)):
        for column in range(image.shape[1]):
            for channel in range(4):
                value = image[row, column, channel] if channel < 3 else alpha[row, column, 0]
                scaled = min(max(value, _NONE), _ONE) * _TOP + _HALF
                out[row, column, channel] = np.uint8(scaled)
