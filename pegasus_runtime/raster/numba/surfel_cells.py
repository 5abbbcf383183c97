"""Cells of 16 × 16 pixels, cut into runs of eight, and which of them a surfel reaches.

As in `forward`: a cell's 32 runs are the bits of one number, those of its left half first.
What is known of a run's pixels lies side by side, eight numbers each: what still passes through
each of them, then as many facts as the loop that uses them has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import device_function, njit
from pegasus_runtime.cpu.simd import (
    NUM_LANES,
    any_less,
    load,
    power_of_two,
    root,
    splat,
    store,
    where_less,
    which_less,
)
from pegasus_runtime.raster.numba.binning import Floats, Numbers
from pegasus_runtime.raster.numba.surfel_binning import (
    CELL_BITS,
    COLUMN,
    END_Q,
    GIRTH2,
    LOG2_OPACITY,
    NARROWING,
    NUM_FACTS,
    ROW,
    SLANT,
    TWO_B,
    A,
    C,
)
from pegasus_runtime.raster.pixel_grid import EDGE_MARGIN
from pegasus_runtime.raster.torch_surfels import LARGEST_ALPHA, OPAQUE

CELL, LANES = 1 << CELL_BITS, NUM_LANES
"""pixels along a cell's side, and of a run"""
NUM_RUNS = CELL * CELL // LANES
_NUM_FACTS = 6
RUN = np.uint64(_NUM_FACTS * LANES)
"""numbers that are known of a run"""
# Where in a run the facts after the first begin. Unsigned, for an index that might be negative
# might count from the end, and that is tested for every number.
FIRST, SECOND, THIRD, FOURTH, FIFTH = (np.uint64(LANES * fact) for fact in range(1, _NUM_FACTS))
NUM_NEAR = np.uint64(NUM_FACTS + 4)
RED, GREEN, BLUE, OTHER = (np.uint64(NUM_FACTS + channel) for channel in range(4))
_FACTS, _LAST_FACTS = np.uint64(NUM_FACTS), np.uint64(NUM_FACTS - LANES)
AT_ONCE = 32
"""surfels that are asked for their runs before any of them is blended: more asks in vain for those
behind what is opaque by then, fewer waits for memory more often"""
BIT, NO_RUN = np.uint32(1), np.uint32(0)
_RIGHT_HALF = np.uint32(CELL)
"""bits of the runs of a cell's left half; those of its right half follow"""
_MIDDLE_OF_RUN, _ROWS_AT_ONCE = np.float32(0.5 * (LANES - 1)), np.float32(LANES)
_HALF_RUN = np.float32(0.5 * (LANES - 1) + EDGE_MARGIN)
"""columns from the middle of a run to its ends"""
_ROUNDING = np.float32(1e-6)
"""Of an ellipse's girth²: less loses pixels at its edge, more looks at runs in vain."""
_COUNTING = np.arange(LANES, dtype=np.float32)
_START = np.uint64(0)
_NONE, _ONE = np.float32(0.0), np.float32(1.0)
_OPAQUE, _MOST = np.float32(OPAQUE), np.float32(LARGEST_ALPHA)
_FAR = np.float32(np.finfo(np.float32).max)
_HALF_LOG2_E = np.float32(0.5 * np.log2(np.e))

# A uint32 number, a bit for each run of a cell; eight float32 numbers.
Runs = Any
Lanes = Any
Box = tuple[int, int, int, int]


@njit(cache=True, nogil=True, inline="always")
def place_in_cell(row: int, column: int) -> int:
    """Where a cell's pixel's first number is."""
    return (column // LANES * CELL + row) * _NUM_FACTS * LANES + column % LANES


@njit(cache=True, nogil=True, inline="always")
def cell_box(box: Box, first_row: int, first_column: int) -> Box:
    """First row, end row, first column and end column of a cell of a tile."""
    end_row, end_column = min(first_row + CELL, box[1]), min(first_column + CELL, box[3])
    return first_row, end_row, first_column, end_column


@njit(cache=True, nogil=True, inline="always")
def alpha_in_run(
    near: Floats, surfel: Any, box: Box, pixels: Floats, run: Any
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """What a surfel's alpha would be in a run's pixels if nothing bounded it; 0 where it is not.

    Args:
        near: as `find_runs` fills it.
        surfel: where it begins there.
        box: of the cell.
        pixels: what is known of the cell's.
        run: its number.

    Returns:
        That; columns and rows from the centre; and what passes through all surfels in front.
    """
    in_half = np.int32(run) & np.int32(CELL - 1)
    first_column = np.int32(box[2]) + ((np.int32(run) >> np.int32(CELL_BITS)) * np.int32(LANES))
    dy = np.float32(np.int32(box[0]) + in_half) - near[surfel + ROW]
    dx = load(_COUNTING, _START) + splat(np.float32(first_column) - near[surfel + COLUMN])
    slope = splat(near[surfel + A]) * dx + splat(near[surfel + TWO_B] * dy)
    q = slope * dx + splat(near[surfel + C] * dy * dy)
    log2_alpha = splat(near[surfel + LOG2_OPACITY]) - splat(_HALF_LOG2_E) * q
    nothing = splat(_NONE)
    passed = load(pixels, np.uint64(run) * RUN)
    # q may be a little below zero, but never below what closes a pixel.
    end_q = where_less(splat(_OPAQUE), passed, splat(near[surfel + END_Q]), splat(-_FAR))
    alpha = where_less(q, end_q, power_of_two(log2_alpha), nothing)
    return alpha, dx, splat(dy), passed


@njit(cache=True, nogil=True, inline="always")
def bounded(alpha: Lanes) -> Lanes:
    """No alpha is larger than the largest."""
    return where_less(alpha, splat(_MOST), alpha, splat(_MOST))


@njit(cache=True, nogil=True, inline="always")
def where_not_bounded(alpha: Lanes, values: Lanes) -> Lanes:
    """Values where alpha is not bounded, 0 elsewhere: gradients end where it is."""
    return where_less(alpha, splat(_MOST), values, splat(_NONE))


@device_function()
def open_runs(pixels: Floats) -> Runs:
    """The runs with a pixel to which something is still added."""
    runs, opaque = NO_RUN, splat(_OPAQUE)
    for run in range(NUM_RUNS):
        passed = load(pixels, np.uint64(run) * RUN)
        runs |= BIT << np.uint32(run) if any_less(opaque, passed) else NO_RUN
    return runs


@device_function(error_model="numpy", fastmath={"contract"})
def find_runs(
    ellipses: Floats, features: Floats, first_channel: int, entries: Numbers, box: Box,
    wanted: Runs, runs: NDArray[np.uint32], found: Numbers, near: Floats,
) -> int:  # fmt: skip
    """List the entries that reach a run that is wanted, and return their number.

    Nothing is decided by a branch: an entry is written in any case, and counted if it counts. And
    what is asked of surfels, which lie scattered in memory, is brought close together: here it is
    waited for all at once, and not, as while blending, one after another.

    Args:
        ellipses: (N · NUM_FACTS,).
        features: (N, C); where there are no more, ones stand in.
        first_channel: of four.
        entries: (at most `AT_ONCE`,) rows of surfels.
        box: of the cell, first and end row, first and end column.
        wanted: runs.
        runs: (`AT_ONCE`,) out, which of those each reaches.
        found: (`AT_ONCE`,) out, number among the entries.
        near: (`AT_ONCE` · NUM_NEAR,) out, the facts of an ellipse and four channels.
    """
    count = np.uint64(0)
    nothing, half_run = splat(_NONE), splat(_HALF_RUN)
    upper_rows = load(_COUNTING, _START) + splat(np.float32(box[0]))
    lower_rows = upper_rows + splat(_ROWS_AT_ONCE)
    middle = np.float32(box[2]) + _MIDDLE_OF_RUN
    given = np.uint64(min(max(features.shape[1] - first_channel, 0), 4))
    for turn in range(np.uint64(len(entries))):
        surfel = np.uint64(entries[turn])
        fact, here = surfel * _FACTS, count * NUM_NEAR
        store(near, here, load(ellipses, fact))
        store(near, here + _LAST_FACTS, load(ellipses, fact + _LAST_FACTS))
        to_middle = splat(near[here + COLUMN] - middle)
        row, slant = splat(near[here + ROW]), splat(near[here + SLANT])
        girth2, narrowing = splat(near[here + GIRTH2]), splat(near[here + NARROWING])
        # What rounding may have taken where an ellipse ends.
        rounding = girth2 * splat(_ROUNDING)
        reached = NO_RUN
        for rows, shift in ((upper_rows, np.uint32(0)), (lower_rows, np.uint32(LANES))):
            dy = rows - row
            width2 = girth2 + rounding - narrowing * dy * dy
            reach = root(where_less(nothing, width2, width2, nothing) + rounding) + half_run
            reach2 = where_less(nothing, width2, reach * reach, nothing)
            to_left = to_middle + slant * dy
            to_right = to_left - splat(_ROWS_AT_ONCE)
            reached |= which_less(to_left * to_left, reach2) << shift
            reached |= which_less(to_right * to_right, reach2) << (shift + _RIGHT_HALF)
        reached &= wanted
        runs[count] = reached
        found[count] = turn
        for channel in range(given):
            value = features[surfel, np.uint64(first_channel) + channel]
            near[here + RED + channel] = value
        for channel in range(given, np.uint64(4)):
            near[here + RED + channel] = _ONE
        count += np.uint64(reached != NO_RUN)
    return int(count)
