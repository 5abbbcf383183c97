"""Drawing surfels, cell by cell, eight pixels at a time (numba).

Equals `torch_surfels.blend` and `torch_surfels.largest_weights`.
"""

from __future__ import annotations

import numpy as np

from pegasus_runtime.cpu.jit import device_function, lowest_bit, parallel_kernel, prange
from pegasus_runtime.cpu.simd import load, splat, store, where_less
from pegasus_runtime.raster.numba.binning import Counts, Floats, Numbers, tile_box
from pegasus_runtime.raster.numba.surfel_cells import (
    AT_ONCE,
    BIT,
    BLUE,
    CELL,
    FIRST,
    FOURTH,
    GREEN,
    LANES,
    NO_RUN,
    NUM_NEAR,
    NUM_RUNS,
    OTHER,
    RED,
    RUN,
    SECOND,
    THIRD,
    Box,
    alpha_in_run,
    bounded,
    cell_box,
    find_runs,
    open_runs,
    place_in_cell,
)

_ONE, _NONE = np.float32(1.0), np.float32(0.0)


@device_function()
def _clear(pixels: Floats, box: Box) -> None:
    """Let everything through a cell's pixels, and nothing through those beyond the image."""
    pixels[:] = _NONE
    for row in range(box[1] - box[0]):
        for column in range(box[3] - box[2]):
            pixels[place_in_cell(row, column)] = _ONE


@device_function(error_model="numpy", fastmath={"contract"})
def _blend_cell(
    ellipses: Floats, features: Floats, first_channel: int, entries: Numbers, box: Box,
    pixels: Floats,
) -> None:  # fmt: skip
    """Add a tile's surfels to a cleared cell, front to back, until no pixel is open.

    Args as `draw_surfels`, and: first_channel of the four to blend, entries (E,) of the tile, box
    of the cell, pixels (NUM_RUNS · RUN,) in and out: what passes, and four channels.
    """
    runs, found = np.empty(AT_ONCE, np.uint32), np.empty(AT_ONCE, np.int32)
    near = np.empty(AT_ONCE * np.int64(NUM_NEAR), np.float32)
    for start in range(0, len(entries), AT_ONCE):
        still_open = open_runs(pixels)
        if still_open == NO_RUN:
            break
        here = entries[start : start + AT_ONCE]
        count = find_runs(
            ellipses, features, first_channel, here, box, still_open, runs, found, near
        )
        for turn in range(np.uint64(count)):
            surfel = turn * NUM_NEAR
            red, green = splat(near[surfel + RED]), splat(near[surfel + GREEN])
            blue, other = splat(near[surfel + BLUE]), splat(near[surfel + OTHER])
            left_over = runs[turn]
            while left_over != NO_RUN:
                run = np.uint64(lowest_bit(left_over))
                left_over &= left_over - BIT
                alpha, _, _, passed = alpha_in_run(near, surfel, box, pixels, run)
                weight = bounded(alpha) * passed
                place = run * RUN
                store(pixels, place, passed - weight)
                store(pixels, place + FIRST, load(pixels, place + FIRST) + weight * red)
                store(pixels, place + SECOND, load(pixels, place + SECOND) + weight * green)
                store(pixels, place + THIRD, load(pixels, place + THIRD) + weight * blue)
                store(pixels, place + FOURTH, load(pixels, place + FOURTH) + weight * other)


@device_function()
def _write_cell(
    pixels: Floats, box: Box, first_channel: int, image: Floats, coverage: Floats
) -> None:
    top, bottom, left, right = box
    num_channels = min(4, image.shape[2] - first_channel)
    for row in range(top, bottom):
        for column in range(left, right):
            place = place_in_cell(row - top, column - left)
            coverage[row, column] = _ONE - pixels[place]
            if num_channels == 3:
                # The usual case, for a loop whose end is known costs half.
                for channel in range(3):
                    value = pixels[place + (1 + channel) * LANES]
                    image[row, column, first_channel + channel] = value
            else:
                for channel in range(num_channels):
                    value = pixels[place + (1 + channel) * LANES]
                    image[row, column, first_channel + channel] = value


@parallel_kernel()
def draw_surfels(
    ellipses: Floats, entries: Numbers, starts: Counts, tile: int,
    features: Floats, num_workers: int, image: Floats, coverage: Floats,
) -> None:  # fmt: skip
    """Blend every pixel's surfels front to back until it is opaque.

    Args:
        ellipses, entries, starts, tile: as `surfel_binning.Binned` holds them.
        features: (N, C) float32.
        num_workers: into how many shares the work is cut.
        image: (H, W, C) out.
        coverage: (H, W) out.
    """
    height, width, num_channels = image.shape
    for worker in prange(num_workers):
        pixels = np.empty(NUM_RUNS * np.int64(RUN), np.float32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = tile_box(number, tile, height, width)
            here = entries[starts[number] : starts[number + 1]]
            if len(here) == 0:
                image[box[0] : box[1], box[2] : box[3]] = _NONE
                coverage[box[0] : box[1], box[2] : box[3]] = _NONE
                continue
            for first_row in range(box[0], box[1], CELL):
                for first_column in range(box[2], box[3], CELL):
                    cell = cell_box(box, first_row, first_column)
                    for first_channel in range(0, max(num_channels, 1), 4):
                        _clear(pixels, cell)
                        _blend_cell(ellipses, features, first_channel, here, cell, pixels)
                        _write_cell(pixels, cell, first_channel, image, coverage)


@device_function(error_model="numpy", fastmath={"contract"})
def _weigh_cell(
    ellipses: Floats, entries: Numbers, box: Box, pixels: Floats, weights: Floats
) -> None:
    """Raise what the entries of a tile weigh at most, (E,), to what they weigh in a cell."""
    runs, found = np.empty(AT_ONCE, np.uint32), np.empty(AT_ONCE, np.int32)
    near = np.empty(AT_ONCE * np.int64(NUM_NEAR), np.float32)
    no_features = np.empty((0, 0), np.float32)
    lanes = np.empty(LANES, np.float32)
    for start in range(0, len(entries), AT_ONCE):
        still_open = open_runs(pixels)
        if still_open == NO_RUN:
            break
        here = entries[start : start + AT_ONCE]
        count = find_runs(ellipses, no_features, 0, here, box, still_open, runs, found, near)
        for turn in range(np.uint64(count)):
            surfel = turn * NUM_NEAR
            largest = splat(_NONE)
            left_over = runs[turn]
            while left_over != NO_RUN:
                run = np.uint64(lowest_bit(left_over))
                left_over &= left_over - BIT
                alpha, _, _, passed = alpha_in_run(near, surfel, box, pixels, run)
                weight = bounded(alpha) * passed
                store(pixels, run * RUN, passed - weight)
                largest = where_less(largest, weight, weight, largest)
            store(lanes, np.uint64(0), largest)
            entry = start + found[turn]
            weights[entry] = max(weights[entry], lanes.max())


@parallel_kernel()
def weigh_surfels(
    ellipses: Floats, entries: Numbers, starts: Counts, tile: int, num_workers: int,
    height: int, width: int, weights: Floats,
) -> None:  # fmt: skip
    """What every entry weighs in the pixel of its tile where it weighs most.

    Args as `draw_surfels`, and: height and width of the image; weights (E,) out.
    """
    for worker in prange(num_workers):
        pixels = np.empty(NUM_RUNS * np.int64(RUN), np.float32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = tile_box(number, tile, height, width)
            here = entries[starts[number] : starts[number + 1]]
            mine = weights[starts[number] : starts[number + 1]]
            mine[:] = _NONE
            for first_row in range(box[0], box[1], CELL):
                for first_column in range(box[2], box[3], CELL):
                    cell = cell_box(box, first_row, first_column)
                    _clear(pixels, cell)
                    _weigh_cell(ellipses, here, cell, pixels, mine)


@parallel_kernel()
def gather_weights(
    entries: Numbers, entry_weights: Floats, num_workers: int, weights: Floats
) -> None:
    """The largest weight of every surfel's entries.

    Args: entries (E,), entry_weights (E,); weights (N,) out.
    """
    num_surfels = len(weights)
    share = (num_surfels + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        first, end = worker * share, min((worker + 1) * share, num_surfels)
        weights[first:end] = _NONE
        for entry in range(len(entries)):
            surfel = entries[entry]
            if first <= surfel < end:
                weights[surfel] = max(weights[surfel], entry_weights[entry])
