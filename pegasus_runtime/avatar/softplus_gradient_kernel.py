"""The way back through softplus in one pass over memory (numba), for training on a CPU.

On one core, as `softplus_kernel`. With s the slope, that of s itself is β s (1 − s).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.avatar.bfloat16_kernel import Numbers, narrow, widen
from pegasus_runtime.numba_start import JOINED, njit

Floats = NDArray[np.float32]
_BETA, _ONE = np.float32(100.0), np.float32(1.0)


@njit(cache=True, nogil=True, fastmath=JOINED)
def pull_back(of_results: Floats, of_slopes: Numbers, slopes: Numbers, found: Floats) -> None:
    """Write gradients (N, D) of values, given those of their softplus and of its slope."""
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            slope = widen(slopes[row, column])
            bent = widen(of_slopes[row, column]) * (_ONE - slope) * _BETA
            found[row, column] = slope * (of_results[row, column] + bent)


@njit(cache=True, nogil=True, fastmath=JOINED)
def pull_back_with_tangents(
    of_results: Floats,
    of_tangents: Numbers,
    slopes: Numbers,
    tangents: Numbers,
    found: Floats,
    carried: Numbers,
) -> None:
    """Write gradients of values (N, D) and of tangents (3, N, D) before a softplus.

    Args:
        of_results: (N, D) gradients of values after it.
        of_tangents: (3, N, D) of tangents after it.
        slopes: (N, D)
        tangents: (3, N, D) before it.
        found: (N, D) written.
        carried: (3, N, D) written.
    """
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            slope = widen(slopes[row, column])
            first, second, third = (
                of_tangents[0, row, column], of_tangents[1, row, column],
                of_tangents[2, row, column],
            )  # fmt: skip
            along = (
                widen(first) * widen(tangents[0, row, column])
                + widen(second) * widen(tangents[1, row, column])
                + widen(third) * widen(tangents[2, row, column])
            )
            found[row, column] = slope * (of_results[row, column] + along * (_ONE - slope) * _BETA)
            carried[0, row, column] = narrow(widen(first) * slope, first)
            carried[1, row, column] = narrow(widen(second) * slope, second)
            carried[2, row, column] = narrow(widen(third) * slope, third)
