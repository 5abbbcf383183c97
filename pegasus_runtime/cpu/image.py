"""Finishing pictures in one pass (numba).

Torch does each of the few steps with a pass of its own, and rows of three or four numbers keep it
from working on many at once. `passes` and the viewer have the same formulas for other devices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import parallel_kernel, prange

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
_NONE, _HALF, _ONE, _TOP = (np.float32(value) for value in (0.0, 0.5, 1.0, 255.0))


@parallel_kernel()
def over(image: Floats, alpha: Floats, colour: Floats, out: Floats) -> None:
    """The over operator: a premultiplied picture (H, W, 3), alpha (H, W, 1), before a colour."""
    red, green, blue = colour
    for row in prange(len(image)):
        for column in range(image.shape[1]):
            behind = _ONE - alpha[row, column, 0]
            out[row, column, 0] = image[row, column, 0] + behind * red
            out[row, column, 1] = image[row, column, 1] + behind * green
            out[row, column, 2] = image[row, column, 2] + behind * blue


@parallel_kernel()
def light_up(albedo: Floats, shading: Floats, out: Floats) -> None:
    """As `drawing.point_colours`, all numbers in a row (N,)."""
    for i in prange(len(out)):
        value = np.float32(2.0) * shading[i] * albedo[i]
        # Written so that NaN stays NaN.
        out[i] = _NONE if value < _NONE else _ONE if value > _ONE else value


@parallel_kernel()
def to_bytes(values: Floats, out: Bytes) -> None:
    """Values 0 to 1 of a picture's rows (H, C) as bytes; what is no number is 0."""
    for row in prange(len(values)):
        for place in range(values.shape[1]):
            value = values[row, place]
            # NaN is not above zero.
            scaled = min(value if value > _NONE else _NONE, _ONE) * _TOP + _HALF
            out[row, place] = np.uint8(np.int32(scaled))
