"""bfloat16 in compiled loops: the upper half of a float32, kept as uint16 (numba).

Numba knows no bfloat16. A loop written with `widen` and `narrow` works on arrays of either type,
and computes in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

Scalar = Any
Numbers = NDArray[Any]
"""float32, or the bits of bfloat16 as uint16"""


def as_numbers(tensor: torch.Tensor) -> Numbers:
    """A tensor's memory as an array: float32, or uint16 where the tensor is bfloat16."""
    if tensor.dtype == torch.bfloat16:
        bits: Numbers = tensor.view(torch.int16).numpy().view(np.uint16)
        return bits
    numbers: Numbers = tensor.numpy()
    return numbers


def widen(_stored: Scalar) -> Scalar:
    """The float32 of a stored number; only for compiled loops."""
    raise NotImplementedError


def narrow(_value: Scalar, _stored: Scalar) -> Scalar:
    """A float32 rounded to the type of a stored number; only for compiled loops."""
    raise NotImplementedError


@overload(widen, inline="always", strict=False)
def _widen(stored: Scalar) -> Any:
    if stored == types.uint16:
        return lambda stored: np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)
    return lambda stored: stored


@overload(narrow, inline="always", strict=False)
def _narrow(value: Scalar, stored: Scalar) -> Any:
    if stored == types.uint16:

        def round_to_even(value: Scalar, stored: Scalar) -> Scalar:
            bits = np.float32(value).view(np.uint32)
            odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
            rounded = np.uint32(bits + np.uint32(0x7FFF) + odd)
            return np.uint16(rounded >> np.uint32(16))

        return round_to_even
    return lambda value, stored: value
