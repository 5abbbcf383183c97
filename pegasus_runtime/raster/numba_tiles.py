"""Sorting points front to back into the image's tiles (numba).

Every drawing step works tile by tile: a tile's points are read front to back, so a pixel's list is
complete once it holds K of them, and no two threads ever write to the same place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.numba_start import inner, njit, prange

Floats = NDArray[np.float32]
Numbers = NDArray[np.int32]
Counts = NDArray[np.int64]
Keys = NDArray[np.uint32]
Spans = NDArray[np.int16]
# A float32 number; in the types of max and min it does not mix with Python's own.
Scalar = Any

_DIGIT_BITS = 11
_DIGITS = 1 << _DIGIT_BITS
_NUM_DIGITS = 3
_NOT_DRAWN = np.uint32(0xFFFFFFFF)


@njit(cache=True, nogil=True, inline="always")
def pixel_range(centre: Scalar, radius: Scalar, size: int, other: int) -> tuple[int, int]:
    """First and last (inclusive) pixel along one axis a disc may cover; empty if first > last.

    A hundredth of a pixel is added on both sides, since the test that decides is d² < r².

    Args:
        centre: of the disc along the axis, NDC.
        radius: NDC.
        size: of the image along this axis, in pixels.
        other: of the image along the other axis, in pixels.
    """
    pixels_per_unit = 0.5 * min(size, other)
    middle = 0.5 * (size - 1) - centre * pixels_per_unit
    reach = radius * pixels_per_unit + 0.01
    # Clamped as floats, so that the conversions neither overflow nor see a negative number.
    low = min(max(middle - reach, 0.0), float(size))
    high = min(max(middle + reach, -1.0), size - 1.0) + 1.0
    first = int(low)
    if first < low:
        first += 1
    return first, int(high) - 1


@njit(cache=True, nogil=True, parallel=True)
def _depth_keys(
    points: Floats, depth_bits: Keys, height: int, width: int, radius: np.float32, bits: int,
    num_workers: int, keys: Keys, spans: Spans,
) -> int:  # fmt: skip
    """Fill ``keys`` with what sorts by depth, and return how many points are drawn at all.

    ``spans`` (N, 4) receives first and last tile row and column of every point that is drawn.
    """
    share = (len(points) + num_workers - 1) // num_workers
    drawn = np.zeros(num_workers, np.int64)
    for worker in prange(num_workers):
        count = 0
        for point in range(worker * share, min((worker + 1) * share, len(points))):
            keys[point] = _NOT_DRAWN
            x, y, z = points[point, 0], points[point, 1], points[point, 2]
            if z >= 0.0 and z < np.inf and abs(x) < np.inf and abs(y) < np.inf:
                left, right = pixel_range(x, radius, width, height)
                top, bottom = pixel_range(y, radius, height, width)
                if left <= right and top <= bottom:
                    # Minus zero is as near as zero, but its bits are not.
                    keys[point] = depth_bits[point] & np.uint32(0x7FFFFFFF)
                    spans[point, 0], spans[point, 1] = top >> bits, bottom >> bits
                    spans[point, 2], spans[point, 3] = left >> bits, right >> bits
                    count += 1
        drawn[worker] = count
    return int(drawn.sum())


@inner()
def _sort_by_depth(keys: Keys, num_drawn: int, orders: Numbers, sorted_keys: Keys) -> Numbers:
    """Stable radix sort of the drawn points by key; the bits of floats ≥ 0 sort as floats do.

    ``orders`` and ``sorted_keys`` (2, N) are worked in; the result lies in one of the orders.
    """
    counts = np.zeros((_NUM_DIGITS, _DIGITS), np.int64)
    order, spare_order = orders[0, :num_drawn], orders[1, :num_drawn]
    drawn_keys, spare_keys = sorted_keys[0], sorted_keys[1]
    filled = 0
    for point in range(len(keys)):
        key = keys[point]
        if key != _NOT_DRAWN:
            order[filled] = point
            drawn_keys[filled] = key
            filled += 1
            for digit in range(_NUM_DIGITS):
                counts[digit, (key >> np.uint32(_DIGIT_BITS * digit)) & np.uint32(_DIGITS - 1)] += 1
    for digit in range(_NUM_DIGITS):
        start = 0
        for value in range(_DIGITS):
            count = counts[digit, value]
            counts[digit, value] = start
            start += count
        for i in range(num_drawn):
            key = drawn_keys[i]
            value = (key >> np.uint32(_DIGIT_BITS * digit)) & np.uint32(_DIGITS - 1)
            place = counts[digit, value]
            counts[digit, value] = place + 1
            spare_keys[place] = key
            spare_order[place] = order[i]
        order, spare_order = spare_order, order
        drawn_keys, spare_keys = spare_keys, drawn_keys
    return order


@njit(cache=True, nogil=True, parallel=True)
def _count_entries(order: Numbers, spans: Spans, tiles_across: int, places: Counts) -> None:
    """Fill ``places`` (workers, tiles) with how many points of a worker's share each tile has."""
    num_workers = len(places)
    share = (len(order) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        places[worker] = 0
        for i in range(worker * share, min((worker + 1) * share, len(order))):
            top, bottom, left, right = spans[order[i]]
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    places[worker, row * tiles_across + column] += 1


@inner()
def _reserve(places: Counts, starts: Counts) -> None:
    """Turn counts into the place of each worker's first entry in each tile; fill ``starts``."""
    total = 0
    for number in range(places.shape[1]):
        starts[number] = total
        for worker in range(len(places)):
            count = places[worker, number]
            places[worker, number] = total
            total += count
    starts[-1] = total


@njit(cache=True, nogil=True, parallel=True)
def _fill_entries(
    order: Numbers, spans: Spans, tiles_across: int, places: Counts, entries: Numbers
) -> None:
    """Write every sorted point into its tiles; a worker's share follows that of the one before."""
    num_workers = len(places)
    share = (len(order) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        for i in range(worker * share, min((worker + 1) * share, len(order))):
            top, bottom, left, right = spans[order[i]]
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    number = row * tiles_across + column
                    place = places[worker, number]
                    places[worker, number] = place + 1
                    entries[place] = order[i]


@njit(cache=True, nogil=True)
def bin_points(
    points: Floats, depth_bits: Keys, height: int, width: int, radius: np.float32, bits: int,
    num_workers: int, keys: Keys, orders: Numbers, spans: Spans,
) -> tuple[Numbers, Counts]:  # fmt: skip
    """List every tile's points front to back (ties by index).

    Args:
        points: (N, 3) float32 NDC x, y and view z.
        depth_bits: (N,) uint32, the bits of z.
        height: of the image in pixels.
        width: of the image in pixels.
        radius: in NDC, float32.
        bits: the side of a tile is 2 ** bits pixels.
        num_workers: into how many shares the work is cut; the result does not depend on it.
        keys: (3, N) to work in, so that a frame costs no new memory but its result.
        orders: (2, N) to work in.
        spans: (N, 4) to work in.

    Returns:
        entries (E,) int32, points' rows, tile after tile; starts (num_tiles + 1,) int64.
    """
    tiles_across = ((width - 1) >> bits) + 1
    num_tiles = tiles_across * (((height - 1) >> bits) + 1)
    num_drawn = _depth_keys(
        points, depth_bits, height, width, radius, bits, num_workers, keys[0], spans
    )
    order = _sort_by_depth(keys[0], num_drawn, orders, keys[1:])
    places = np.empty((num_workers, num_tiles), np.int64)
    _count_entries(order, spans, tiles_across, places)
    starts = np.empty(num_tiles + 1, np.int64)
    _reserve(places, starts)
    entries = np.empty(starts[-1], np.int32)
    _fill_entries(order, spans, tiles_across, places, entries)
    return entries, starts


@njit(cache=True, nogil=True, inline="always")
def tile_box(number: int, tile: int, height: int, width: int) -> tuple[int, int, int, int]:
    """First row, end row, first column and end column of a tile in the image."""
    tiles_across = (width + tile - 1) // tile
    top = (number // tiles_across) * tile
    left = (number % tiles_across) * tile
    return top, min(top + tile, height), left, min(left + tile, width)


@inner()
def collect_tile(
    points: Floats, entries: Numbers, first_entry: int, last_entry: int, x: Floats, y: Floats,
    box: tuple[int, int, int, int], radius: np.float32, kept: Numbers, distance2: Floats,
    counts: Numbers,
) -> None:  # fmt: skip
    """Fill every pixel's list with the first entries that cover it.

    Args:
        points: (N, 3) float32.
        entries: all tiles' points.
        first_entry: of this tile.
        last_entry: of this tile, exclusive.
        x: NDC centres of the image's columns.
        y: NDC centres of its rows.
        box: as `tile_box` returns it.
        radius: in NDC, float32.
        kept: (pixels, K) int32 out, numbers of entries.
        distance2: (pixels, K) float32 out.
        counts: (pixels,) int32 out, how many of K are filled.
    """
    top, bottom, left, right = box
    across = right - left
    num_pixels = (bottom - top) * across
    num_kept = kept.shape[1]
    radius2 = radius * radius
    num_full = 0
    counts[:num_pixels] = 0
    for entry in range(first_entry, last_entry):
        point_x = points[entries[entry], 0]
        point_y = points[entries[entry], 1]
        first_row, last_row = pixel_range(point_y, radius, len(y), len(x))
        first_column, last_column = pixel_range(point_x, radius, len(x), len(y))
        for row in range(max(first_row, top), min(last_row + 1, bottom)):
            delta_y = y[row] - point_y
            delta_y2 = delta_y * delta_y
            for column in range(max(first_column, left), min(last_column + 1, right)):
                pixel = (row - top) * across + column - left
                count = counts[pixel]
                if count < num_kept:
                    # Written in any case and counted if it covers: cheaper than a branch that
                    # is wrong a quarter of the time.
                    delta_x = x[column] - point_x
                    squared = delta_x * delta_x + delta_y2
                    covers = np.int32(squared < radius2)
                    kept[pixel, count] = entry
                    distance2[pixel, count] = squared
                    counts[pixel] = count + covers
                    num_full += int(covers) & int(count + 1 == num_kept)
        if num_full == num_pixels:
            break
