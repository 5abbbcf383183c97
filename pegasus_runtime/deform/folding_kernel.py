"""Folding a map into the deformer's hidden layer, many points to a vector register (numba).

What is known of 64 points lies together, one number after another with the points side by side:
products of a tall matrix with three columns are bound by memory, and so are read once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.avatar.bfloat16_kernel import Numbers, widen
from pegasus_runtime.numba_start import JOINED, inner, njit, on_all_cores, prange

LANES = 64
"""points that lie side by side"""

Floats = NDArray[np.float32]


@njit(cache=True, nogil=True)
def pack_rows(source: Numbers, first_point: int, first_row: int, packed: Numbers) -> None:
    """Lay numbers (n, C) of points side by side: row ``first_row`` onwards of ``packed``.

    Args:
        source: (n, C)
        first_point: of the source among all, a multiple of `LANES`.
        first_row: where column 0 goes.
        packed: (blocks, rows, LANES) out.
    """
    num_points, num_columns = source.shape
    for block in range((num_points + LANES - 1) // LANES):
        start = block * LANES
        count = min(LANES, num_points - start)
        target = packed[first_point // LANES + block]
        for column in range(num_columns):
            for lane in range(count):
                target[first_row + column, lane] = source[start + lane, column]


@inner(fastmath=JOINED)
def _fold(block: Numbers, first: int, weight: Floats, folded: Floats) -> None:
    """Add rows first… of a block, times weight (3, D), to folded (3, LANES).

    Four rows at a time, for it is the writing of sums that takes longest.
    """
    width = weight.shape[1]
    fours = width // 4 * 4
    for row in range(0, fours, 4):
        for axis in range(3):
            u, v = weight[axis, row], weight[axis, row + 1]
            w, x = weight[axis, row + 2], weight[axis, row + 3]
            for lane in range(LANES):
                folded[axis, lane] += (
                    u * widen(block[first + row, lane])
                    + v * widen(block[first + row + 1, lane])
                    + w * widen(block[first + row + 2, lane])
                    + x * widen(block[first + row + 3, lane])
                )
    for row in range(fours, width):
        for axis in range(3):
            u = weight[axis, row]
            for lane in range(LANES):
                folded[axis, lane] += u * widen(block[first + row, lane])


@on_all_cores()
def fold_rows(
    packed: Floats, slopes: Numbers, weight: Floats, num_workers: int, folded: Floats
) -> None:
    """What a map makes of the hidden layer, and of its tangents, of every point.

    Args:
        packed: (blocks, at least D, LANES), the hidden layer in its first rows.
        slopes: (blocks, 3 D, LANES) tangents of the hidden layer, direction after direction.
        weight: (3, D) the map.
        num_workers: into how many shares the blocks are cut.
        folded: (blocks, 12, LANES) out: three rows of the layer itself, then three a direction.
    """
    width = weight.shape[1]
    for worker in prange(num_workers):
        for number in range(worker, len(packed), num_workers):
            folded[number] = np.float32(0.0)
            _fold(packed[number], 0, weight, folded[number, :3])
            for i in range(3):
                _fold(slopes[number], i * width, weight, folded[number, 3 + 3 * i : 6 + 3 * i])
