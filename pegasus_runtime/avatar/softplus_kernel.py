"""Softplus and its slope in one pass over memory (numba), for inference on a CPU.

On one core, because points are evaluated in slices side by side. The polynomials need no library
call, so that a whole vector register is worked on at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.avatar.bfloat16_kernel import Numbers, narrow, widen
from pegasus_runtime.numba_start import JOINED, inner, njit

Floats = NDArray[np.float32]
Scalar = Any
_BETA, _PER_BETA = np.float32(100.0), np.float32(0.01)
_LIMIT = np.float32(-40.0)
"""e⁻⁴⁰ is nothing beside one, and its square is still a normal number: arithmetic with denormal
ones takes a hundred times as long on many processors."""
NO_SLOPE = np.float32(1e-9)
"""Below this a slope is 0. A float32 near one cannot tell, and through several layers such slopes
would become denormal numbers, which make matrix products several times slower."""
OFF = np.float32(np.log(NO_SLOPE) / _BETA)
"""of a value: from there down it has no slope"""
_LOG2_E = np.float32(1.4426950408889634)
# ln 2 in two parts, the first with few bits, so that the remainder is exact (Cody and Waite 1980).
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_ONE, _HALF = np.float32(1.0), np.float32(0.5)
_EXP = tuple(np.float32(1 / n) for n in (720, 120, 24, 6, 2))
_LOG = tuple(np.float32(2 / n) for n in (11, 9, 7, 5, 3, 1))


@inner(fastmath=JOINED, error_model="numpy")
def _decay(scaled: Scalar) -> Scalar:
    """exp(-|β x|)"""
    power = max(-abs(scaled), _LIMIT)
    whole = np.floor(power * _LOG2_E + _HALF)
    rest = power - whole * _LN2_HIGH - whole * _LN2_LOW
    series = _EXP[0]
    for term in _EXP[1:]:
        series = series * rest + term
    series = series * rest * rest + rest + _ONE
    return series * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@inner(fastmath=JOINED, error_model="numpy")
def _from_ratio(value: Scalar, s: Scalar) -> Scalar:
    """softplus(β x) / β = max(x, 0) + log1p(e) / β, with log1p(e) = 2 artanh(s), s = e / (2 + e)"""
    square = s * s
    log = _LOG[0]
    for term in _LOG[1:]:
        log = log * square + term
    return max(value, np.float32(0.0)) + log * s * _PER_BETA


@njit(cache=True, nogil=True, fastmath=JOINED, error_model="numpy")
def softplus_and_slope(value: Scalar) -> tuple[Scalar, Scalar]:
    """softplus(β x) / β and its derivative sigmoid(β x), β = 100.

    With e = exp(-|β x|) the derivative is 1 / (1 + e) or e / (1 + e). Divisions are slow, so that
    by 1 + e and by 2 + e are one.
    """
    scaled = value * _BETA
    e = _decay(scaled)
    one_more, two_more = _ONE + e, np.float32(2.0) + e
    inverse = _ONE / (one_more * two_more)
    slope = (_ONE if scaled >= 0 else e) * two_more * inverse
    slope = slope if slope > NO_SLOPE else np.float32(0.0)
    return _from_ratio(value, e * one_more * inverse), slope


@njit(cache=True, nogil=True, fastmath=JOINED, error_model="numpy")
def activate_values(values: Floats, results: Floats) -> None:
    """Write softplus of values (N, D)."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = values[row, column]
            e = _decay(value * _BETA)
            results[row, column] = _from_ratio(value, e / (np.float32(2.0) + e))


@njit(cache=True, nogil=True, fastmath=JOINED)
def activate(values: Floats, results: Floats, slopes: Numbers) -> None:
    """Write softplus of values (N, D) and its derivative, both (N, D)."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            result, slope = softplus_and_slope(values[row, column])
            results[row, column] = result
            slopes[row, column] = narrow(slope, slopes[row, column])


@njit(cache=True, nogil=True, fastmath=JOINED)
def activate_with_tangents(
    values: Floats, tangents: Numbers, results: Floats, scaled: Numbers
) -> None:
    """Write softplus of values (N, D), and tangents times its derivative, both (3, N, D).

    Tangents (3, 1, D) are those of every row.
    """
    several = tangents.shape[1] > 1
    for row in range(values.shape[0]):
        own = row if several else 0
        for column in range(values.shape[1]):
            result, slope = softplus_and_slope(values[row, column])
            results[row, column] = result
            first, second, third = (
                tangents[0, own, column], tangents[1, own, column], tangents[2, own, column]
            )  # fmt: skip
            scaled[0, row, column] = narrow(widen(first) * slope, first)
            scaled[1, row, column] = narrow(widen(second) * slope, second)
            scaled[2, row, column] = narrow(widen(third) * slope, third)
