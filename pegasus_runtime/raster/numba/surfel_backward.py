"""Gradients of drawn surfels, cell by cell, eight pixels at a time (numba).

Equals the gradients of `torch_surfels.blend`. Surfels are walked through as in the forward pass,
front to back, with the same numbers. What a pixel's colours, times their gradients, add up to
is known from the picture; less what has been walked through it is what lies behind, S:

    dL/d alpha_k = T_k · (f_k · g) − S_k / (1 − alpha_k),    alpha = opacity · exp(−q / 2)

With h = alpha · dL/d alpha all gradients of an ellipse are sums of h, h·dx, h·dy, h·dx², h·dx·dy
and h·dy². The alpha of the picture is one more channel, of which every surfel has one.
"""

from __future__ import annotations

import numpy as np

from pegasus_runtime.cpu.jit import device_function, lowest_bit, parallel_kernel, prange
from pegasus_runtime.cpu.simd import load, splat, store, total
from pegasus_runtime.raster.numba.binning import Counts, Floats, Numbers, tile_box
from pegasus_runtime.raster.numba.surfel_binning import LOG2_OPACITY, NUM_FACTS, TWO_B, A, C
from pegasus_runtime.raster.numba.surfel_cells import (
    AT_ONCE,
    BIT,
    BLUE,
    CELL,
    FIFTH,
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
    Lanes,
    alpha_in_run,
    bounded,
    cell_box,
    find_runs,
    open_runs,
    place_in_cell,
    where_not_bounded,
)

NUM_SUMS = 6
"""of an ellipse's pixels: h, h·dx, h·dy, h·dx², h·dx·dy and h·dy²"""
_ONE, _TWO, _NONE, _HALF = np.float32(1.0), np.float32(2.0), np.float32(0.0), np.float32(0.5)


@device_function()
def _clear(
    pixels: Floats, box: Box, first_channel: int, image: Floats, coverage: Floats,
    grad_image: Floats, grad_coverage: Floats,
) -> None:  # fmt: skip
    """Let everything through a cell's pixels, and set out the gradients of four channels."""
    num_channels = image.shape[2]
    pixels[:] = _NONE
    for row in range(box[0], box[1]):
        for column in range(box[2], box[3]):
            place = place_in_cell(row - box[0], column - box[2])
            pixels[place] = _ONE
            behind = _NONE
            for channel in range(first_channel, min(first_channel + 4, num_channels)):
                upstream = grad_image[row, column, channel]
                behind += image[row, column, channel] * upstream
                pixels[place + (2 + channel - first_channel) * LANES] = upstream
            if num_channels < first_channel + 4:
                upstream = grad_coverage[row, column]
                behind += coverage[row, column] * upstream
                pixels[place + (2 + num_channels - first_channel) * LANES] = upstream
            pixels[place + LANES] = behind


@device_function(error_model="numpy", fastmath={"contract"})
def _add_colours(
    sums: Floats, num_given: int, red: Lanes, green: Lanes, blue: Lanes, other: Lanes
) -> None:
    """Add the pixels' gradients of as many of four channels as there are."""
    if num_given > 0:
        sums[0] += total(red)
    if num_given > 1:
        sums[1] += total(green)
    if num_given > 2:
        sums[2] += total(blue)
    if num_given > 3:
        sums[3] += total(other)


@device_function(error_model="numpy", fastmath={"contract"})
def _walk_cell(
    ellipses: Floats, features: Floats, first_channel: int, entries: Numbers, box: Box,
    pixels: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Add what a cell says to the sums of a tile's entries (E, NUM_SUMS + C).

    Args as `draw_gradients`, and: first_channel of four, entries (E,) of the tile, box of the cell,
    pixels (NUM_RUNS · RUN,) in and out: what passes, what lies behind, and four gradients.
    """
    num_given = min(features.shape[1] - first_channel, 4)
    runs, found = np.empty(AT_ONCE, np.uint32), np.empty(AT_ONCE, np.int32)
    near = np.empty(AT_ONCE * np.int64(NUM_NEAR), np.float32)
    one, nothing = splat(_ONE), splat(_NONE)
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
            to_red, to_green, to_blue, to_other = nothing, nothing, nothing, nothing
            h, h_x, h_y, h_xx, h_xy, h_yy = nothing, nothing, nothing, nothing, nothing, nothing
            left_over = runs[turn]
            while left_over != NO_RUN:
                run = np.uint64(lowest_bit(left_over))
                left_over &= left_over - BIT
                unbounded, dx, dy, passed = alpha_in_run(near, surfel, box, pixels, run)
                alpha = bounded(unbounded)
                weight = alpha * passed
                place = run * RUN
                up_red, up_green = load(pixels, place + SECOND), load(pixels, place + THIRD)
                up_blue, up_other = load(pixels, place + FOURTH), load(pixels, place + FIFTH)
                own = weight * (red * up_red + green * up_green + blue * up_blue + other * up_other)
                behind = load(pixels, place + FIRST) - own
                store(pixels, place, passed - weight)
                store(pixels, place + FIRST, behind)
                to_red, to_green = to_red + weight * up_red, to_green + weight * up_green
                to_blue, to_other = to_blue + weight * up_blue, to_other + weight * up_other
                here_h = where_not_bounded(unbounded, own - behind * (alpha / (one - alpha)))
                here_x, here_y = here_h * dx, here_h * dy
                h, h_x, h_y = h + here_h, h_x + here_x, h_y + here_y
                h_xx, h_xy, h_yy = h_xx + here_x * dx, h_xy + here_x * dy, h_yy + here_y * dy
            mine = sums[start + found[turn]]
            mine[0] += total(h)
            mine[1] += total(h_x)
            mine[2] += total(h_y)
            mine[3] += total(h_xx)
            mine[4] += total(h_xy)
            mine[5] += total(h_yy)
            colours = mine[NUM_SUMS + first_channel :]
            _add_colours(colours, num_given, to_red, to_green, to_blue, to_other)


@parallel_kernel()
def draw_gradients(
    ellipses: Floats, entries: Numbers, starts: Counts, tile: int,
    features: Floats, num_workers: int, image: Floats, coverage: Floats, grad_image: Floats,
    grad_coverage: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Sums of every entry; a tile owns its entries, so no two threads add to one number.

    Args:
        ellipses, entries, starts, tile, features, num_workers: as `draw_surfels` takes them.
        image: (H, W, C) that it has drawn.
        coverage: (H, W) that it has drawn.
        grad_image: (H, W, C).
        grad_coverage: (H, W).
        sums: (E, NUM_SUMS + C) out.
    """
    height, width, num_channels = image.shape
    for worker in prange(num_workers):
        pixels = np.empty(NUM_RUNS * np.int64(RUN), np.float32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = tile_box(number, tile, height, width)
            here = entries[starts[number] : starts[number + 1]]
            mine = sums[starts[number] : starts[number + 1]]
            mine[:] = _NONE
            for first_row in range(box[0], box[1], CELL):
                for first_column in range(box[2], box[3], CELL):
                    cell = cell_box(box, first_row, first_column)
                    for first_channel in range(0, num_channels + 1, 4):
                        _clear(
                            pixels, cell, first_channel, image, coverage, grad_image, grad_coverage
                        )
                        _walk_cell(ellipses, features, first_channel, here, cell, pixels, mine)


@parallel_kernel()
def gather_gradients(
    ellipses: Floats, entries: Numbers, sums: Floats, pixels_per_unit: np.float32,
    num_workers: int, grad_points: Floats, grad_features: Floats, grad_conics: Floats,
    grad_opacities: Floats,
) -> None:  # fmt: skip
    """Add up the entries of every surfel, in the order of the tiles whatever the thread count.

    Args:
        ellipses, entries: as `surfel_binning.Binned` holds them.
        sums: (E, NUM_SUMS + C) as `draw_gradients` fills them.
        pixels_per_unit: of NDC.
        num_workers: into how many shares the work is cut.
        grad_points: (N, 3) out.
        grad_features: (N, C) out.
        grad_conics: (N, 3) out.
        grad_opacities: (N,) out.
    """
    num_surfels, num_channels = grad_features.shape
    share = (num_surfels + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        first, end = worker * share, min((worker + 1) * share, num_surfels)
        # The sums of an ellipse are kept where its gradients will be.
        grad_points[first:end] = _NONE
        grad_features[first:end] = _NONE
        grad_conics[first:end] = _NONE
        grad_opacities[first:end] = _NONE
        for entry in range(np.uint64(len(entries))):
            surfel = entries[entry]
            if first <= surfel < end:
                i = np.uint64(surfel)
                grad_opacities[i] += sums[entry, 0]
                grad_points[i, 0] += sums[entry, 1]
                grad_points[i, 1] += sums[entry, 2]
                grad_conics[i, 0] += sums[entry, 3]
                grad_conics[i, 1] += sums[entry, 4]
                grad_conics[i, 2] += sums[entry, 5]
                for channel in range(num_channels):
                    grad_features[i, channel] += sums[entry, NUM_SUMS + channel]
        for row in range(first, end):
            facts = np.uint64(row) * np.uint64(NUM_FACTS)
            h_x, h_y = grad_points[row, 0], grad_points[row, 1]
            a, c = ellipses[facts + A], ellipses[facts + C]
            b = _HALF * ellipses[facts + TWO_B]
            grad_points[row, 0] = -pixels_per_unit * (a * h_x + b * h_y)
            grad_points[row, 1] = -pixels_per_unit * (b * h_x + c * h_y)
            grad_conics[row, 0] *= -_HALF
            grad_conics[row, 1] *= -_ONE
            grad_conics[row, 2] *= -_HALF
            grad_opacities[row] *= _TWO ** (-ellipses[facts + LOG2_OPACITY])
