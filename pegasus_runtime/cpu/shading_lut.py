"""Looking shading up by normal (numba); `shading_lut.interpolate` has the same formulas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import device_function, parallel_kernel, prange

_LANES = 64
"""points that are found on the table together: more no longer fit in a processor's first cache,
fewer begin the loops over them more often"""
_NONE, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)

Floats = NDArray[np.float32]
Corners = NDArray[np.int32]


@device_function(error_model="numpy")
def _find_cells(
    normals: Floats, start: int, count: int, side: int, corner: Corners, right: Floats,
    below: Floats,
) -> None:  # fmt: skip
    """Upper left corner of the cell of each normal, and how far into the cell it lies, 0 to 1.

    All choices are between two values that are both known, so that eight points share a vector.
    """
    last = np.int32(side - 1)
    scale = np.float32(last) * _HALF
    for lane in range(count):
        x, y, z = normals[start + lane, 0], normals[start + lane, 1], normals[start + lane, 2]
        length = abs(x) + abs(y) + abs(z)
        usable = (length > _NONE) & (length < np.inf)
        x, y = x if usable else _NONE, y if usable else _NONE
        z, length = z if usable else _ONE, length if usable else _ONE
        x, y = x / length, y / length
        folded_x, folded_y = np.copysign(_ONE - abs(y), x), np.copysign(_ONE - abs(x), y)
        x, y = folded_x if z < _NONE else x, folded_y if z < _NONE else y
        across, down = (x + _ONE) * scale, (y + _ONE) * scale
        column = min(max(np.int32(across), np.int32(0)), last - np.int32(1))
        row = min(max(np.int32(down), np.int32(0)), last - np.int32(1))
        right[lane], below[lane] = across - np.float32(column), down - np.float32(row)
        corner[lane] = (row * np.int32(side) + column) * np.int32(3)


@parallel_kernel()
def look_up(values: Floats, normals: Floats, num_workers: int, shading: Floats) -> None:
    """Bilinear look-up on the octahedral map.

    Args:
        values: (R, R, 3)
        normals: (N, 3) unit; one that is not finite gets a value of the table all the same.
        num_workers: into how many shares the points are cut.
        shading: (N, 3) out.
    """
    side = len(values)
    flat = values.reshape(-1)
    next_row, next_column = np.uint32(3 * side), np.uint32(3)
    num_blocks = (len(normals) + _LANES - 1) // _LANES
    for worker in prange(num_workers):
        corner = np.empty(_LANES, np.int32)
        right, below = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
        for block in range(worker, num_blocks, num_workers):
            start = block * _LANES
            count = min(_LANES, len(normals) - start)
            _find_cells(normals, start, count, side, corner, right, below)
            for lane in range(count):
                above = np.uint32(corner[lane])
                under = above + next_row
                for channel in range(3):
                    a, b = flat[above + channel], flat[above + next_column + channel]
                    c, d = flat[under + channel], flat[under + next_column + channel]
                    upper, lower = a + right[lane] * (b - a), c + right[lane] * (d - c)
                    shading[start + lane, channel] = upper + below[lane] * (lower - upper)
