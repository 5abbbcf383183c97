"""Blending the image cell by cell, eight pixels at a time (numba).

A tile is cut into cells of 16 × 16 pixels, and these into runs: eight pixels of a row, what fills a
vector register. What is known of a run's pixels lies side by side: what still passes through each
of them, the room each has left, and so on, eight numbers each. A cell has 32 runs, so those a point
reaches, and those that have room, are the bits of one number. Points are first asked for their
runs, many at a time, and those that reach none with room are left out; the rest are added to one
run after another, in a loop with one branch that a processor can guess wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import device_function, lowest_bit, njit, parallel_kernel, prange
from pegasus_runtime.cpu.simd import NUM_LANES, any_less, load, splat, store, where_less
from pegasus_runtime.raster.numba.binning import Counts, Floats, Numbers, tile_box
from pegasus_runtime.raster.pixel_grid import EDGE_MARGIN

_SIDE, _LANES = 16, NUM_LANES
"""pixels of a cell and of a run"""
_NUM_RUNS = _SIDE * _SIDE // _LANES
_NUM_FACTS = 8
_RUN = np.uint64(_NUM_FACTS * _LANES)
"""numbers that are known of a run"""
# Where in a run each of them begins; the first is what still passes through a pixel. Unsigned, for
# an index that might be negative might count from the end, and that is tested for every number.
_ROOM, _X, _Y, _RED, _GREEN, _BLUE, _ALPHA = (
    np.uint64(_LANES * fact) for fact in range(1, _NUM_FACTS)
)
_ONE, _NONE = np.float32(1.0), np.float32(0.0)
_ALMOST_ONE = np.float32(0.99)
"""Rounds up: with more of it whole numbers that rounding has raised are skipped, with less a row in
vain is looked at more often."""
_MARGIN = np.float32(EDGE_MARGIN)
_AT_ONCE = 32
"""points that are asked for their runs before any of them is blended: more asks in vain for those
behind what is opaque by then, fewer waits for memory more often"""
_BIT, _NO_RUN = np.uint32(1), np.uint32(0)
_RIGHT_HALF = np.uint32(_SIDE)
"""bits of the runs of a cell's left half; those of its right half follow"""

# A float32 number, in the types of which sums do not mix with Python's own.
Scalar = Any
# A uint32 number, a bit for each run of a cell.
Runs = Any


@njit(cache=True, nogil=True, inline="always")
def _place(row: int, column: int) -> int:
    """Where a cell's pixel's first number is."""
    return (column // _LANES * _SIDE + row) * _NUM_FACTS * _LANES + column % _LANES


@device_function()
def _clear(pixels: Floats, x: Floats, y: Floats, box: tuple[int, int, int, int], room: int) -> None:
    """Make a cell's pixels let everything through; what lies beyond the image has no room."""
    top, bottom, left, right = box
    pixels[:] = _NONE
    for row in range(bottom - top):
        for column in range(right - left):
            place = _place(row, column)
            pixels[place] = _ONE
            pixels[place + _LANES] = room
            pixels[place + 2 * _LANES] = x[left + column]
            pixels[place + 3 * _LANES] = y[top + row]


@device_function()
def _runs_with_room(pixels: Floats) -> Runs:
    runs, nothing = _NO_RUN, splat(_NONE)
    for run in range(_NUM_RUNS):
        room = load(pixels, np.uint64(run) * _RUN + _ROOM)
        runs |= _BIT << np.uint32(run) if any_less(nothing, room) else _NO_RUN
    return runs


@njit(cache=True, nogil=True, inline="always")
def _reached(middle: Scalar, reach: Scalar) -> tuple[int, int]:
    """First and end row (or column) of a cell's that a disc may cover.

    Clamped as floats where the conversion would see a negative number or overflow; a first row
    cannot be so far away, since the disc lies in the cell's tile.
    """
    last = np.float32(_SIDE - 1)
    first = int(max(middle - reach, _NONE) + _ALMOST_ONE)
    end = int(max(min(middle + reach, last) + _ONE, _NONE))
    return min(first, _SIDE), end


@device_function(error_model="numpy", fastmath={"contract"})
def _find_runs(
    points: Floats, entries: Numbers, corner_x: Scalar, corner_y: Scalar, pixels_per_unit: Scalar,
    reach: Scalar, with_room: Runs, runs: NDArray[np.uint32], found: Numbers,
) -> int:  # fmt: skip
    """List the entries that reach a run with room, and return how many those are.

    Nothing is decided by a branch: an entry is written in any case, and counted if it counts.

    Args:
        points: (N, 3) float32.
        entries: (at most `_AT_ONCE`,) rows of points.
        corner_x, corner_y: centre of the cell's first pixel, NDC.
        pixels_per_unit: of NDC.
        reach: of a disc, in pixels.
        with_room: runs that have room.
        runs: (`_AT_ONCE`,) out, which of them each reaches.
        found: (`_AT_ONCE`,) out, rows of points.
    """
    count = np.uint64(0)
    for turn in range(np.uint64(len(entries))):
        point = np.uint64(entries[turn])
        first_row, end_row = _reached((corner_y - points[point, 1]) * pixels_per_unit, reach)
        first, end = _reached((corner_x - points[point, 0]) * pixels_per_unit, reach)
        before_end = (_BIT << np.uint32(end_row)) - _BIT
        rows = before_end & ~((_BIT << np.uint32(first_row)) - _BIT)
        left = rows if first < min(end, _LANES) else _NO_RUN
        right = rows << _RIGHT_HALF if max(first, _LANES) < end else _NO_RUN
        here = (left | right) & with_room
        runs[count] = here
        found[count] = point
        count += np.uint64(here != _NO_RUN)
    return int(count)


@device_function(error_model="numpy", fastmath={"contract"})
def _blend_cell(
    points: Floats, features: Floats, first_channel: int, entries: Numbers, x: Floats, y: Floats,
    box: tuple[int, int, int, int], radius: Scalar, pixels: Floats,
) -> None:  # fmt: skip
    """Add a tile's entries to a cleared cell, front to back, until no pixel has room.

    No list is kept: what a pixel still lets through and how much room it has are all it needs. A
    pixel that is not covered is added nothing, which is cheaper than a branch, and nothing is
    written on a condition, which is slow on some processors.

    Args as `draw_image`, and: first_channel of the four to blend, entries (E,) of the tile, box of
    the cell, pixels (32 · 64,) in and out.
    """
    last = features.shape[1] - 1
    second, third = min(first_channel + 1, last), min(first_channel + 2, last)
    fourth = min(first_channel + 3, last)
    pixels_per_unit = np.float32(0.5 * min(len(y), len(x)))
    radius2 = splat(radius * radius)
    per_radius2 = splat(_ONE / (radius * radius))
    one, nothing = splat(_ONE), splat(_NONE)
    reach = radius * pixels_per_unit + _MARGIN
    runs, found = np.empty(_AT_ONCE, np.uint32), np.empty(_AT_ONCE, np.int32)
    for start in range(0, len(entries), _AT_ONCE):
        with_room = _runs_with_room(pixels)
        if with_room == _NO_RUN:
            break
        count = _find_runs(
            points, entries[start : start + _AT_ONCE], x[box[2]], y[box[0]], pixels_per_unit,
            reach, with_room, runs, found,
        )  # fmt: skip
        for turn in range(np.uint64(count)):
            point = np.uint64(found[turn])
            point_x, point_y = splat(points[point, 0]), splat(points[point, 1])
            # Where there are fewer than four channels, the last is blended again and never read.
            red, green = splat(features[point, first_channel]), splat(features[point, second])
            blue, alpha = splat(features[point, third]), splat(features[point, fourth])
            left_over = runs[turn]
            while left_over != _NO_RUN:
                run = np.uint64(lowest_bit(left_over)) * _RUN
                left_over &= left_over - _BIT
                passed, room = load(pixels, run), load(pixels, run + _ROOM)
                delta_x = load(pixels, run + _X) - point_x
                delta_y = load(pixels, run + _Y) - point_y
                squared = delta_x * delta_x + delta_y * delta_y
                # A pixel that is full, or that the disc does not cover, is added nothing.
                within = where_less(nothing, room, radius2, nothing)
                coverage = where_less(squared, within, one - squared * per_radius2, nothing)
                weight = coverage * passed
                store(pixels, run, passed - weight)
                store(pixels, run + _ROOM, room - where_less(squared, within, one, nothing))
                store(pixels, run + _RED, load(pixels, run + _RED) + weight * red)
                store(pixels, run + _GREEN, load(pixels, run + _GREEN) + weight * green)
                store(pixels, run + _BLUE, load(pixels, run + _BLUE) + weight * blue)
                store(pixels, run + _ALPHA, load(pixels, run + _ALPHA) + weight * alpha)


@device_function()
def _write_cell(
    pixels: Floats, box: tuple[int, int, int, int], first_channel: int, image: Floats
) -> None:
    top, bottom, left, right = box
    num_channels = min(4, image.shape[2] - first_channel)
    for row in range(top, bottom):
        for column in range(left, right):
            colour = _place(row - top, column - left) + 4 * _LANES
            if num_channels == 4:
                # The usual case, for a loop whose end is known costs half.
                for channel in range(4):
                    image[row, column, first_channel + channel] = pixels[colour + channel * _LANES]
            else:
                for channel in range(num_channels):
                    image[row, column, first_channel + channel] = pixels[colour + channel * _LANES]


@parallel_kernel()
def draw_image(
    points: Floats, features: Floats, entries: Numbers, starts: Counts, x: Floats, y: Floats,
    radius: np.float32, tile: int, num_workers: int, num_kept: int, image: Floats,
) -> None:  # fmt: skip
    """Blend every pixel's nearest points front to back.

    Args:
        points: (N, 3) float32.
        features: (N, C) float32, C at least 1.
        entries, starts: as `sort_tiles` fills and takes them.
        x, y: NDC centres of columns and rows.
        radius: in NDC, float32.
        tile: side of a tile in pixels, a multiple of a cell's.
        num_workers: into how many shares the work is cut.
        num_kept: K, how many points are blended in a pixel.
        image: (H, W, C) out.
    """
    num_channels = features.shape[1]
    for worker in prange(num_workers):
        pixels = np.empty(_NUM_RUNS * _NUM_FACTS * _LANES, np.float32)
        for number in range(worker, len(starts) - 1, num_workers):
            top, bottom, left, right = tile_box(number, tile, len(y), len(x))
            here = entries[starts[number] : starts[number + 1]]
            if len(here) == 0:
                image[top:bottom, left:right] = _NONE
                continue
            for first_row in range(top, bottom, _SIDE):
                for first_column in range(left, right, _SIDE):
                    box = (
                        first_row, min(first_row + _SIDE, bottom),
                        first_column, min(first_column + _SIDE, right),
                    )  # fmt: skip
                    for first_channel in range(0, num_channels, 4):
                        _clear(pixels, x, y, box, num_kept)
                        _blend_cell(
                            points, features, first_channel, here, x, y, box, radius, pixels
                        )
                        _write_cell(pixels, box, first_channel, image)
