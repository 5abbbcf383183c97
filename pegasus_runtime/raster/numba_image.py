"""Blending the image tile by tile, eight pixels at a time (numba).

A tile's rows are cut into blocks of eight pixels. What is known of a block's pixels lies together,
first what still passes through each of them, then the room each has left, and so on: eight numbers
of a kind fill a vector register, and a point is added to a whole block by a few instructions,
whether it covers all of the block's pixels or some.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from pegasus_runtime.raster.numba_tiles import Counts, Floats, Numbers, pixel_range, tile_box

_LANES = 8
_KINDS = 8
_BLOCK = _LANES * _KINDS
# Where each kind begins in a block. Unsigned, for an index that might be negative is one that
# might count from the end, and that is tested for every number.
_ROOM, _X, _RED, _GREEN, _BLUE, _ALPHA = (np.uint64(_LANES * kind) for kind in range(1, 7))
_ONE, _NONE = np.float32(1.0), np.float32(0.0)
_BETWEEN_LOOKS = 32
Flags = NDArray[np.bool_]

NUM_LANES = np.uint64(_LANES)
"""Handed to `draw_image` as a number that the compiler does not know, or it would write the eight
turns of the loop out one by one instead of making them one."""


@njit(cache=True, nogil=True)
def _clear_blocks(blocks: Floats, x: Floats, box: tuple[int, int, int, int], room: int) -> None:
    """Make a tile's blocks let everything through; columns beyond the tile have no room."""
    top, bottom, left, right = box
    blocks_across = (right - left + _LANES - 1) // _LANES
    for number in range((bottom - top) * blocks_across):
        first = left + number % blocks_across * _LANES
        block = blocks[number * _BLOCK : (number + 1) * _BLOCK]
        block[:] = _NONE
        for lane in range(min(_LANES, right - first)):
            block[lane] = _ONE
            block[_LANES + lane] = room
            block[2 * _LANES + lane] = x[first + lane]


@njit(cache=True, nogil=True)
def _look_for_room(blocks: Floats, is_full: Flags) -> bool:
    """Note which blocks have no room left, and say whether any has."""
    some = False
    for number in range(len(is_full)):
        if not is_full[number]:
            most = _NONE
            start = number * _BLOCK + _LANES
            for room in blocks[start : start + _LANES]:
                most = max(most, room)
            is_full[number] = most <= _NONE
            if most > _NONE:
                some = True
    return some


@njit(cache=True, nogil=True, error_model="numpy")
def _blend_tile(
    points: Floats, features: Floats, first_channel: int, entries: Numbers, y: Floats,
    box: tuple[int, int, int, int], size: tuple[int, int], radius: np.float32, lanes: np.uint64,
    blocks: Floats,
) -> None:  # fmt: skip
    """Add a tile's entries to its cleared blocks, front to back, until no pixel has room.

    No list is kept: what a pixel still lets through and how much room it has are all it needs. A
    pixel that is not covered is added nothing, which is cheaper than a branch.

    Args as `draw_image`, and: first_channel of the four to blend, entries (E,) of this tile, box as
    `tile_box` returns it, size height and width of the image, blocks (B · 64,) in and out.
    """
    top, bottom, left, right = box
    height, width = size
    blocks_across = (right - left + _LANES - 1) // _LANES
    num_blocks = (bottom - top) * blocks_across
    last = features.shape[1] - 1
    second, third = min(first_channel + 1, last), min(first_channel + 2, last)
    fourth = min(first_channel + 3, last)
    radius2 = radius * radius
    is_full = np.zeros(num_blocks, np.bool_)
    for turn in range(len(entries)):
        if turn % _BETWEEN_LOOKS == _BETWEEN_LOOKS - 1 and not _look_for_room(blocks, is_full):
            break
        point = entries[turn]
        point_x, point_y = points[point, 0], points[point, 1]
        # Where there are fewer than four channels, the last is blended again and never read.
        red, green = features[point, first_channel], features[point, second]
        blue, alpha = features[point, third], features[point, fourth]
        first_row, last_row = pixel_range(point_y, radius, height, width)
        first_column, last_column = pixel_range(point_x, radius, width, height)
        first_block = (max(first_column, left) - left) // _LANES
        last_block = (min(last_column, right - 1) - left) // _LANES
        for row in range(max(first_row, top), min(last_row + 1, bottom)):
            delta_y = y[row] - point_y
            delta_y2 = delta_y * delta_y
            row_start = (row - top) * blocks_across
            for number in range(row_start + first_block, row_start + last_block + 1):
                if is_full[number]:
                    continue
                block = blocks[number * _BLOCK : (number + 1) * _BLOCK]
                for lane in range(lanes):
                    passed, room = block[lane], block[lane + _ROOM]
                    delta_x = block[lane + _X] - point_x
                    squared = delta_x * delta_x + delta_y2
                    covers = (squared < radius2) & (room > _NONE)
                    beyond = squared / radius2 if covers else _ONE
                    weight = (_ONE - beyond) * passed
                    block[lane] = passed * beyond
                    block[lane + _ROOM] = room - (_ONE if covers else _NONE)
                    block[lane + _RED] += weight * red
                    block[lane + _GREEN] += weight * green
                    block[lane + _BLUE] += weight * blue
                    block[lane + _ALPHA] += weight * alpha


@njit(cache=True, nogil=True, parallel=True)
def draw_image(
    points: Floats, features: Floats, entries: Numbers, starts: Counts, x: Floats, y: Floats,
    radius: np.float32, tile: int, num_workers: int, num_kept: int, lanes: np.uint64,
    image: Floats,
) -> None:  # fmt: skip
    """Blend every pixel's nearest points front to back.

    Args:
        points: (N, 3) float32.
        features: (N, C) float32, C at least 1.
        entries, starts: as `bin_points` returns them.
        x, y: NDC centres of columns and rows.
        radius: in NDC, float32.
        tile, num_workers: as `bin_points` takes them.
        num_kept: K, how many points are blended in a pixel.
        lanes: `NUM_LANES`.
        image: (H, W, C) out.
    """
    num_channels = features.shape[1]
    size = (len(y), len(x))
    for worker in prange(num_workers):
        blocks = np.empty(tile * ((tile + _LANES - 1) // _LANES) * _BLOCK, np.float32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = tile_box(number, tile, len(y), len(x))
            top, bottom, left, right = box
            here = entries[starts[number] : starts[number + 1]]
            if len(here) == 0:
                image[top:bottom, left:right] = _NONE
                continue
            row_length = (right - left + _LANES - 1) // _LANES * _BLOCK
            for first_channel in range(0, num_channels, 4):
                _clear_blocks(blocks, x, box, num_kept)
                _blend_tile(
                    points, features, first_channel, here, y, box, size, radius, lanes, blocks
                )
                for row in range(top, bottom):
                    for column in range(left, right):
                        block, lane = divmod(column - left, _LANES)
                        start = (row - top) * row_length + block * _BLOCK + lane
                        for channel in range(first_channel, min(first_channel + 4, num_channels)):
                            image[row, column, channel] = blocks[
                                start + (3 + channel - first_channel) * _LANES
                            ]
