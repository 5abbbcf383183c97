"""Sorting points into the image's tiles, and a tile's into its pixels (numba).

Every drawing step works tile by tile: a tile's points are read front to back, so a pixel's list is
complete once it holds K of them, and no two threads ever write to the same place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import device_function, njit, parallel_kernel, prange
from pegasus_runtime.raster.pixel_grid import EDGE_MARGIN

Floats = NDArray[np.float32]
Numbers = NDArray[np.int32]
Counts = NDArray[np.int64]
Spans = NDArray[np.int16]
# A float32 number; in the types of max and min it does not mix with Python's own.
Scalar = Any


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
    reach = radius * pixels_per_unit + EDGE_MARGIN
    # Clamped as floats, so that the conversions neither overflow nor see a negative number.
    low = min(max(middle - reach, 0.0), float(size))
    high = min(max(middle + reach, -1.0), size - 1.0) + 1.0
    first = int(low)
    if first < low:
        first += 1
    return first, int(high) - 1


@parallel_kernel()
def _mark_tiles(
    points: Floats, height: int, width: int, radius: np.float32, bits: int, tiles_across: int,
    spans: Spans, places: Counts,
) -> None:  # fmt: skip
    """Find the tiles of every point, and count how many points of a worker's share each tile has.

    ``spans`` (N, 4) receives first and last tile row and column, none for a point that is not
    drawn; ``places`` (workers, tiles) the counts.
    """
    num_workers = len(places)
    share = (len(points) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        mine = places[worker]
        mine[:] = 0
        for point in range(worker * share, min((worker + 1) * share, len(points))):
            x, y, z = points[point, 0], points[point, 1], points[point, 2]
            spans[point, 0], spans[point, 1] = 0, -1
            if z >= 0.0 and z < np.inf and abs(x) < np.inf and abs(y) < np.inf:
                left, right = pixel_range(x, radius, width, height)
                top, bottom = pixel_range(y, radius, height, width)
                if left <= right and top <= bottom:
                    spans[point, 0], spans[point, 1] = top >> bits, bottom >> bits
                    spans[point, 2], spans[point, 3] = left >> bits, right >> bits
                    for row in range(top >> bits, (bottom >> bits) + 1):
                        for column in range(left >> bits, (right >> bits) + 1):
                            mine[row * tiles_across + column] += 1


@njit(cache=True, nogil=True)
def reserve_entries(places: Counts, starts: Counts) -> None:
    """Turn counts into the place of each worker's first entry in each tile; fill ``starts``."""
    total = 0
    for number in range(places.shape[1]):
        starts[number] = total
        for worker in range(len(places)):
            count = places[worker, number]
            places[worker, number] = total
            total += count
    starts[-1] = total


@parallel_kernel()
def fill_tiles(spans: Spans, tiles_across: int, places: Counts, unsorted: Numbers) -> None:
    """Write every point's row into its tiles; a worker's share follows that of the one before.

    Args:
        spans, places: as `count_entries` left them; places is used up.
        tiles_across: of the image.
        unsorted: (at least E,) int32 out, points' rows, tile after tile, rising.
    """
    num_workers = len(places)
    share = (len(spans) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        mine = places[worker]
        for point in range(worker * share, min((worker + 1) * share, len(spans))):
            top, bottom, left, right = spans[point]
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    number = row * tiles_across + column
                    place = mine[number]
                    mine[number] = place + 1
                    unsorted[np.uint64(place)] = point


def count_entries(
    points: Floats, height: int, width: int, radius: np.float32, bits: int, spans: Spans,
    places: Counts,
) -> Counts:  # fmt: skip
    """Where the entries of each tile will begin, an entry being a point in a tile it may cover.

    Args:
        points: (N, 3) float32 NDC x, y and view z.
        height: of the image in pixels.
        width: of the image in pixels.
        radius: in NDC, float32.
        bits: the side of a tile is 2 ** bits pixels.
        spans: (N, 4) int16 out, tiles of each point, for `fill_tiles`.
        places: (workers, tiles) int64 out, where each worker's first entry in each tile goes.

    Returns:
        starts (num_tiles + 1,) int64; the last is the number of all entries.
    """
    tiles_across = ((width - 1) >> bits) + 1
    _mark_tiles(points, height, width, radius, bits, tiles_across, spans, places)
    starts = np.empty(places.shape[1] + 1, np.int64)
    reserve_entries(places, starts)
    return starts


@njit(cache=True, nogil=True, inline="always")
def tile_box(number: int, tile: int, height: int, width: int) -> tuple[int, int, int, int]:
    """First row, end row, first column and end column of a tile in the image."""
    tiles_across = (width + tile - 1) // tile
    top = (number // tiles_across) * tile
    left = (number % tiles_across) * tile
    return top, min(top + tile, height), left, min(left + tile, width)


@device_function()
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
