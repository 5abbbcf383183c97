"""Looking shading up by normal (numba); `shading_table.interpolate` has the same formulas."""

from __future__ import annotations

import numpy as np

from pegasus_runtime.deform.folding_kernel import Floats
from pegasus_runtime.numba_start import njit, prange

_ONE, _HALF = np.float32(1.0), np.float32(0.5)


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def look_up(values: Floats, normals: Floats, num_workers: int, shading: Floats) -> None:
    """Bilinear look-up on the octahedral map.

    Args:
        values: (R, R, 3)
        normals: (N, 3) unit; one that is not finite gets a value of the table all the same.
        num_workers: into how many shares the points are cut.
        shading: (N, 3) out.
    """
    last = len(values) - 1
    scale = np.float32(last) * _HALF
    share = (len(normals) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        for n in range(worker * share, min((worker + 1) * share, len(normals))):
            x, y, z = normals[n, 0], normals[n, 1], normals[n, 2]
            length = abs(x) + abs(y) + abs(z)
            if not 0.0 < length < np.inf:
                x, y, z, length = np.float32(0.0), np.float32(0.0), _ONE, _ONE
            x, y = x / length, y / length
            if z < 0:
                x, y = np.copysign(_ONE - abs(y), x), np.copysign(_ONE - abs(x), y)
            across, down = (x + _ONE) * scale, (y + _ONE) * scale
            column, row = min(max(int(across), 0), last - 1), min(max(int(down), 0), last - 1)
            right, below = across - np.float32(column), down - np.float32(row)
            for channel in range(3):
                a, b = values[row, column, channel], values[row, column + 1, channel]
                c, d = values[row + 1, column, channel], values[row + 1, column + 1, channel]
                upper, lower = a + right * (b - a), c + right * (d - c)
                shading[n, channel] = upper + below * (lower - upper)
