"""Sorting each tile's points front to back (numba).

A tile has hundreds of points, not a hundred thousand: they fit a core's cache, tiles are sorted on
all cores at once, and nothing waits for a sort of all points. Depths of a tile are spread over many
more buckets than there are points, so few share one; what is left is put right by insertion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import device_function, parallel_kernel, prange
from pegasus_runtime.raster.numba.binning import Counts, Numbers

Keys = NDArray[np.uint32]
Pairs = NDArray[np.uint64]
# Whole numbers without sign: in a loop they cost no test for counting from the end.
Whole = Any

_BUCKETS_PER_POINT, _MOST_BUCKETS = 8, 1 << 15
"""More buckets hold fewer points each, until they no longer fit in a processor's cache."""
_SHARED = np.uint64(128)
"""points in one bucket up to which insertion alone puts them right: with more of them it takes the
square of that, with fewer the passes before it come for nothing"""
_NO_SIGN = np.uint32(0x7FFFFFFF)
# Of one type with keys and with places, for a sum of two types becomes signed or a float.
_ZERO, _ONE = np.uint32(0), np.uint32(1)
_LONG_ZERO, _LONG_ONE, _LONG_THREE = np.uint64(0), np.uint64(1), np.uint64(3)
_HALF, _LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)


@device_function()
def _spread(
    keys: Keys, rows: Numbers, ends: Keys, nearest: Whole, farthest: Whole, pairs: Pairs
) -> Whole:
    """Put points into buckets by depth, in their order, and return what the fullest one holds.

    Args:
        keys: (E,) uint32, bits of the depths.
        rows: (E,) int32, of the points.
        ends: to work in.
        nearest, farthest: of the keys.
        pairs: (E,) uint64 out, the key above the row: as numbers they are in the order wanted.
    """
    most_buckets = np.uint32(min(_BUCKETS_PER_POINT * len(keys), _MOST_BUCKETS))
    shift = _ZERO
    while ((farthest - nearest) >> shift) >= most_buckets:
        shift += _ONE
    num_buckets = np.uint64((farthest - nearest) >> shift) + _LONG_ONE
    ends[: num_buckets + _LONG_ONE] = _ZERO
    # A bucket's count is kept one place on, so that the sum up to it is where it begins.
    for key in keys:
        ends[((key - nearest) >> shift) + _ONE] += _ONE
    filled, fullest = _ZERO, _ZERO
    for bucket in range(num_buckets + _LONG_ONE):
        fullest = max(fullest, ends[bucket])
        filled += ends[bucket]
        ends[bucket] = filled
    for i in range(np.uint64(len(keys))):
        bucket = (keys[i] - nearest) >> shift
        place = ends[bucket]
        ends[bucket] = place + _ONE
        pairs[place] = np.uint64(keys[i]) << _HALF | np.uint64(rows[i])
    return fullest


@device_function()
def _put_right(pairs: Pairs, fullest: Whole) -> None:
    """Sort pairs that lie in the right bucket; ``fullest`` is how many the fullest holds.

    A sort by insertion, which where many share a bucket begins with pairs far apart (Shell 1959,
    with the gaps of Knuth, The Art of Computer Programming 3, 5.2.1): a hundred thousand points at
    almost one depth then still take milliseconds.
    """
    gap: Whole = _LONG_ONE
    while gap * _SHARED < np.uint64(fullest):
        gap = _LONG_THREE * gap + _LONG_ONE
    while gap > _LONG_ZERO:
        for i in range(gap, np.uint64(len(pairs))):
            pair = pairs[i]
            if pairs[i - gap] > pair:
                place = i
                while place >= gap and pairs[place - gap] > pair:
                    pairs[place] = pairs[place - gap]
                    place -= gap
                pairs[place] = pair
        gap //= _LONG_THREE


@parallel_kernel()
def sort_tiles(
    point_bits: Keys, starts: Counts, unsorted: Numbers, num_workers: int, keys: Keys,
    pairs: Pairs, entries: Numbers,
) -> None:  # fmt: skip
    """Sort every tile's entries front to back, ties by row.

    Args:
        point_bits: (N, 3) uint32, the bits of the points; those of floats ≥ 0 sort as floats do.
        starts: (num_tiles + 1,) int64, where each tile's entries begin.
        unsorted: (at least E,) int32, points' rows, tile after tile, rising.
        num_workers: into how many shares the work is cut.
        keys: (at least E,) to work in.
        pairs: (at least E,) to work in.
        entries: (E,) int32 out.
    """
    for worker in prange(num_workers):
        ends = np.empty(_MOST_BUCKETS + 1, np.uint32)
        for number in range(worker, len(starts) - 1, num_workers):
            first, end = np.uint64(starts[number]), np.uint64(starts[number + 1])
            if first == end:
                continue
            nearest, farthest = _NO_SIGN, _ZERO
            for i in range(first, end):
                # Minus zero is as near as zero, but its bits are not.
                key = point_bits[np.uint64(unsorted[i]), 2] & _NO_SIGN
                keys[i] = key
                nearest, farthest = min(nearest, key), max(farthest, key)
            here = pairs[first:end]
            fullest = _spread(keys[first:end], unsorted[first:end], ends, nearest, farthest, here)
            _put_right(here, fullest)
            for i in range(first, end):
                entries[i] = np.int32(pairs[i] & _LOWER)
