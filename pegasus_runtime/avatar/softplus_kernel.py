"""Softplus and its slope in one pass over memory (numba), for inference on a CPU.

The polynomials need no library call, so that a whole vector register is worked on at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Scalar = Any
_JOINED = {"contract", "nsz"}
_BETA, _LIMIT = np.float32(100.0), np.float32(-87.0)
_LOG2_E = np.float32(1.4426950408889634)
# ln 2 in two parts, the first with few bits, so that the remainder is exact (Cody and Waite 1980).
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_ONE, _HALF = np.float32(1.0), np.float32(0.5)
_EXP = tuple(np.float32(1 / n) for n in (720, 120, 24, 6, 2))
_LOG = tuple(np.float32(2 / n) for n in (11, 9, 7, 5, 3, 1))


@njit(cache=True, nogil=True, fastmath=_JOINED, error_model="numpy")
def _softplus(value: Scalar) -> tuple[Scalar, Scalar]:
    """softplus(β x) / β and its derivative sigmoid(β x), β = 100.

    With e = exp(-|β x|) they are max(x, 0) + log1p(e) / β and 1 / (1 + e) or e / (1 + e); and
    log1p(e) = 2 artanh(e / (2 + e)).
    """
    scaled = value * _BETA
    power = max(-abs(scaled), _LIMIT)
    whole = np.floor(power * _LOG2_E + _HALF)
    rest = power - whole * _LN2_HIGH - whole * _LN2_LOW
    series = _EXP[0]
    for term in _EXP[1:]:
        series = series * rest + term
    series = series * rest * rest + rest + _ONE
    e = series * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    s = e / (e + np.float32(2.0))
    square = s * s
    log = _LOG[0]
    for term in _LOG[1:]:
        log = log * square + term
    inverse = _ONE / (_ONE + e)
    slope = inverse if scaled >= 0 else e * inverse
    return max(value, np.float32(0.0)) + log * s / _BETA, slope


@njit(cache=True, nogil=True, parallel=True, fastmath=_JOINED)
def activate(values: Floats, results: Floats, slopes: Floats) -> None:
    """Write softplus of values (N, D) and its derivative, both (N, D)."""
    for row in prange(values.shape[0]):
        for column in range(values.shape[1]):
            result, slope = _softplus(values[row, column])
            results[row, column] = result
            slopes[row, column] = slope


@njit(cache=True, nogil=True, parallel=True, fastmath=_JOINED)
def activate_with_tangents(
    values: Floats, tangents: Floats, results: Floats, scaled: Floats
) -> None:
    """Write softplus of values (N, D), and tangents (3, N, D) times its derivative."""
    for row in prange(values.shape[0]):
        for column in range(values.shape[1]):
            result, slope = _softplus(values[row, column])
            results[row, column] = result
            scaled[0, row, column] = tangents[0, row, column] * slope
            scaled[1, row, column] = tangents[1, row, column] * slope
            scaled[2, row, column] = tangents[2, row, column] * slope
