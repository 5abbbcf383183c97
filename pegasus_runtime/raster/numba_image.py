"""Blending the image cell by cell, eight pixels at a time (numba).

A tile is cut into cells of 16 × 16 pixels, and these into columns of eight. What is known of a
cell's pixels lies in planes: what still passes through each of them, the room each has left, and so
on, column after column. The rows of a column that a point reaches are one run of numbers in every
plane, so a point is added to all of them by one loop over full vector registers, whether it covers
all of their pixels or some.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.numba_start import inner, njit, prange
from pegasus_runtime.raster.numba_tiles import Counts, Floats, Numbers, tile_box

_SIDE, _ACROSS, _BITS = 16, 8, 3
"""pixels of a cell, and of the width of a column, 2 ** bits"""
_NUM_RUNS = _SIDE // _ACROSS * _SIDE
"""rows of all columns of a cell"""
_PLANE = _SIDE * _SIDE
_NUM_PLANES = 8
# Where each plane begins; the first is what still passes through a pixel. Unsigned, for an index
# that might be negative is one that might count from the end, and that is tested for every number.
_ROOM, _X, _Y, _RED, _GREEN, _BLUE, _ALPHA = (
    np.uint64(_PLANE * plane) for plane in range(1, _NUM_PLANES)
)
_ROW = np.uint64(_ACROSS)
_ONE, _NONE = np.float32(1.0), np.float32(0.0)
_ALMOST_ONE = np.float32(0.99)
_MARGIN = np.float32(0.01)
"""of a pixel, added around a disc, since the test that decides is d² < r²"""
_BETWEEN_LOOKS = 32

Flags = NDArray[np.bool_]
# A float32 number, in the types of which sums do not mix with Python's own.
Scalar = Any


@njit(cache=True, nogil=True, inline="always")
def _pixel(row: int, column: int) -> int:
    """Place in a plane of a pixel of a cell."""
    return (column // _ACROSS * _SIDE + row) * _ACROSS + column % _ACROSS


@inner()
def _clear(planes: Floats, x: Floats, y: Floats, box: tuple[int, int, int, int], room: int) -> None:
    """Make a cell's pixels let everything through; what lies beyond the image has no room."""
    top, bottom, left, right = box
    planes[:] = _NONE
    for row in range(bottom - top):
        for column in range(right - left):
            pixel = _pixel(row, column)
            planes[pixel] = _ONE
            planes[pixel + _PLANE] = room
            planes[pixel + 2 * _PLANE] = x[left + column]
            planes[pixel + 3 * _PLANE] = y[top + row]


@inner()
def _look_for_room(planes: Floats, is_full: Flags) -> bool:
    """Note which rows of a cell's columns have no room left, and say whether any has."""
    some = False
    for run in range(_NUM_RUNS):
        if not is_full[run]:
            most = _NONE
            start = _PLANE + run * _ACROSS
            for room in planes[start : start + _ACROSS]:
                most = max(most, room)
            is_full[run] = most <= _NONE
            if most > _NONE:
                some = True
    return some


@njit(cache=True, nogil=True, inline="always")
def _reached(middle: Scalar, reach: Scalar, count: int) -> tuple[int, int]:
    """First and end row (or column) of a cell's that a disc may cover.

    Clamped as floats, so that the conversions neither overflow nor see a negative number.
    """
    last = np.float32(count - 1)
    first = int(max(middle - reach, _NONE) + _ALMOST_ONE)
    end = int(max(min(middle + reach, last) + _ONE, _NONE))
    return first, end


@inner(error_model="numpy", fastmath={"contract"})
def _blend_cell(
    points: Floats, features: Floats, first_channel: int, entries: Numbers, x: Floats, y: Floats,
    box: tuple[int, int, int, int], radius: Scalar, planes: Floats,
) -> None:  # fmt: skip
    """Add a tile's entries to a cleared cell, front to back, until no pixel has room.

    No list is kept: what a pixel still lets through and how much room it has are all it needs. A
    pixel that is not covered is added nothing, which is cheaper than a branch, and nothing is
    written on a condition, which is slow on some processors.

    Args as `draw_image`, and: first_channel of the four to blend, entries (E,) of the tile, box of
    the cell, planes (8 · 256,) in and out.
    """
    top, bottom, left, right = box
    last = features.shape[1] - 1
    second, third = min(first_channel + 1, last), min(first_channel + 2, last)
    fourth = min(first_channel + 3, last)
    pixels_per_unit = np.float32(0.5 * min(len(y), len(x)))
    radius2 = radius * radius
    per_radius2 = _ONE / radius2
    reach = radius * pixels_per_unit + _MARGIN
    is_full = np.zeros(_NUM_RUNS, np.bool_)
    for turn in range(len(entries)):
        if turn % _BETWEEN_LOOKS == _BETWEEN_LOOKS - 1 and not _look_for_room(planes, is_full):
            break
        point = entries[turn]
        point_x, point_y = points[point, 0], points[point, 1]
        first_row, end_row = _reached((y[top] - point_y) * pixels_per_unit, reach, bottom - top)
        first_column, end_column = _reached(
            (x[left] - point_x) * pixels_per_unit, reach, right - left
        )
        # Where there are fewer than four channels, the last is blended again and never read.
        red, green = features[point, first_channel], features[point, second]
        blue, alpha = features[point, third], features[point, fourth]
        for column in range(first_column >> _BITS, (end_column + _ACROSS - 1) >> _BITS):
            first, end = column * _SIDE + first_row, column * _SIDE + end_row
            while first < end and is_full[first]:
                first += 1
            while first < end and is_full[end - 1]:
                end -= 1
            for pixel in range(np.uint64(first) * _ROW, np.uint64(end) * _ROW):
                passed, room = planes[pixel], planes[pixel + _ROOM]
                delta_x, delta_y = planes[pixel + _X] - point_x, planes[pixel + _Y] - point_y
                squared = delta_x * delta_x + delta_y * delta_y
                covers = (squared < radius2) & (room > _NONE)
                weight = (_ONE - squared * per_radius2 if covers else _NONE) * passed
                planes[pixel] = passed - weight
                planes[pixel + _ROOM] = room - (_ONE if covers else _NONE)
                planes[pixel + _RED] += weight * red
                planes[pixel + _GREEN] += weight * green
                planes[pixel + _BLUE] += weight * blue
                planes[pixel + _ALPHA] += weight * alpha


@inner()
def _write_cell(
    planes: Floats, box: tuple[int, int, int, int], first_channel: int, image: Floats
) -> None:
    top, bottom, left, right = box
    for row in range(top, bottom):
        for column in range(left, right):
            pixel = _pixel(row - top, column - left)
            for channel in range(first_channel, min(first_channel + 4, image.shape[2])):
                image[row, column, channel] = planes[pixel + (4 + channel - first_channel) * _PLANE]


@njit(cache=True, nogil=True, parallel=True)
def draw_image(
    points: Floats, features: Floats, entries: Numbers, starts: Counts, x: Floats, y: Floats,
    radius: np.float32, tile: int, num_workers: int, num_kept: int, image: Floats,
) -> None:  # fmt: skip
    """Blend every pixel's nearest points front to back.

    Args:
        points: (N, 3) float32.
        features: (N, C) float32, C at least 1.
        entries, starts: as `bin_points` returns them.
        x, y: NDC centres of columns and rows.
        radius: in NDC, float32.
        tile, num_workers: as `bin_points` takes them; a tile's side is a multiple of a cell's.
        num_kept: K, how many points are blended in a pixel.
        image: (H, W, C) out.
    """
    num_channels = features.shape[1]
    for worker in prange(num_workers):
        planes = np.empty(_NUM_PLANES * _PLANE, np.float32)
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
                        _clear(planes, x, y, box, num_kept)
                        _blend_cell(
                            points, features, first_channel, here, x, y, box, radius, planes
                        )
                        _write_cell(planes, box, first_channel, image)
