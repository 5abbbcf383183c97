"""Tile binning of surfels: where each lies in the picture, and each tile's list front to back.

1. `place_surfels` brings centres to pixels and finds the box of pixels of every ellipse.
2. The side of a tile is chosen so that few surfels lie in many tiles.
3. `count_entries` finds each surfel's tiles and where each tile's list begins.
4. The lists are filled and sorted as those of discs are.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch

from pegasus_runtime.cpu.jit import njit, parallel_kernel, prange
from pegasus_runtime.raster.numba.binning import (
    Counts,
    Floats,
    Numbers,
    Spans,
    fill_tiles,
    reserve_entries,
)
from pegasus_runtime.raster.numba.sorting import sort_tiles
from pegasus_runtime.raster.numba.workspace import workspace
from pegasus_runtime.raster.pixel_grid import EDGE_MARGIN
from pegasus_runtime.raster.torch_surfels import (
    ENTRIES_PER_SURFEL,
    FARTHEST_Q,
    SMALLEST_ALPHA,
    THINNEST,
)

CELL_BITS = 4
"""The side of a cell, and of the smallest tile, is two to the power of that in pixels: one more
asks every surfel for four times the runs, one less makes more entries to sort. A cell's runs are
the bits of a uint32."""
NUM_FACTS = 12
# Of an ellipse: centre in pixels, a, 2b and c, log2 of the opacity, and what q has to be below;
# then, dy rows from the centre it reaches √(GIRTH2 − NARROWING · dy²) columns to both sides of
# SLANT · dy. Two more are not used.
(
    COLUMN, ROW, A, TWO_B, C, LOG2_OPACITY, END_Q, SLANT, GIRTH2, NARROWING,
) = (np.uint64(fact) for fact in range(10))  # fmt: skip
_FAR = 1e9
"""Pixels: less cuts large ellipses off, and the square of more is no float32."""
_LARGEST_LOG2 = 16.0
"""of an opacity; what is larger draws the same, and with much more of it the product is no
float32"""
_SMALLEST_LOG2 = np.log2(SMALLEST_ALPHA)
_Q_PER_LOG2 = 2.0 * np.log(2.0)
"""how much further an ellipse is seen for every doubling of its opacity"""


class Binned(NamedTuple):
    """Surfels in pixels and every tile's list of them, front to back."""

    ellipses: Floats  # (N · NUM_FACTS,); zeros of surfels that are not drawn
    entries: Numbers  # (E,) rows of surfels
    starts: Counts  # (num_tiles + 1,) where each tile's entries begin
    tile: int  # side in pixels


def bin_surfels(
    points: torch.Tensor, conics: torch.Tensor, opacities: torch.Tensor, image_size: tuple[int, int]
) -> Binned:
    """Place, bin and sort surfels; all contiguous float32 on the CPU."""
    rows = points.numpy()
    height, width = image_size
    workers = numba.get_num_threads()
    ellipses = np.empty((len(rows), NUM_FACTS), np.float32)
    boxes = np.empty((len(rows), 4), np.int32)
    place_surfels(rows, conics.numpy(), opacities.numpy(), height, width, workers, ellipses, boxes)
    bits = _tile_bits(boxes, image_size)
    tiles_down, tiles_across = ((size - 1 >> bits) + 1 for size in image_size)
    places = np.empty((workers, tiles_down * tiles_across), np.int64)
    starts = np.empty(tiles_down * tiles_across + 1, np.int64)
    with workspace.lock:
        spans = workspace.spans(len(rows))
        count_entries(boxes, bits, tiles_across, spans, places)
        reserve_entries(places, starts)
        unsorted, keys, pairs = workspace.entries(int(starts[-1]))
        fill_tiles(spans, tiles_across, places, unsorted)
        entries = np.empty(starts[-1], np.int32)
        sort_tiles(rows.view(np.uint32), starts, unsorted, workers, keys, pairs, entries)
    return Binned(ellipses.reshape(-1), entries, starts, 1 << bits)


def _tile_bits(boxes: Numbers, image_size: tuple[int, int]) -> int:
    """The smallest tile of which surfels reach no more than a few on average.

    So memory is bounded however large ellipses are: a tile may be as large as the picture.
    """
    bits = CELL_BITS
    while 1 << bits < max(image_size) and _count_tiles(boxes, bits) > ENTRIES_PER_SURFEL * len(
        boxes
    ):
        bits += 1
    return bits


@parallel_kernel(error_model="numpy")
def place_surfels(
    points: Floats, conics: Floats, opacities: Floats, height: int, width: int,
    num_workers: int, ellipses: Floats, boxes: Numbers,
) -> None:  # fmt: skip
    """Bring surfels to pixels and find the pixels they may cover.

    Args:
        points: (N, 3) float32 NDC x, y and view z.
        conics: (N, 3) float32.
        opacities: (N,) float32.
        height: of the image in pixels.
        width: of the image in pixels.
        num_workers: into how many shares the work is cut.
        ellipses: (N, NUM_FACTS) out.
        boxes: (N, 4) out, first and end row, first and end column.
    """
    pixels_per_unit = 0.5 * min(height, width)
    share = (len(points) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        for i in range(worker * share, min((worker + 1) * share, len(points))):
            x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), points[i, 2]
            # In float64, for of a thin ellipse's a · c − b² float32 leaves little.
            a, b, c = np.float64(conics[i, 0]), np.float64(conics[i, 1]), np.float64(conics[i, 2])
            log2_opacity = np.float64(np.log2(opacities[i]))
            boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = 0, 0, 0, 0
            for fact in range(NUM_FACTS):
                ellipses[i, fact] = 0.0
            finite = z < np.inf and abs(x) < np.inf and abs(y) < np.inf and log2_opacity < np.inf
            finite = finite and a < np.inf and abs(b) < np.inf and c < np.inf
            cut = min((log2_opacity - _SMALLEST_LOG2) * _Q_PER_LOG2, FARTHEST_Q)
            determinant = a * c - b * b
            is_ellipse = a > 0.0 and c > 0.0 and determinant > THINNEST * a * c
            if not (finite and z > 0.0 and is_ellipse and cut >= 0.0):
                continue
            spread = cut / determinant
            column = 0.5 * (width - 1) - pixels_per_unit * x
            row = 0.5 * (height - 1) - pixels_per_unit * y
            reach_x = min(np.sqrt(spread * c) + EDGE_MARGIN, _FAR)
            reach_y = min(np.sqrt(spread * a) + EDGE_MARGIN, _FAR)
            # Clamped as floats, so that the conversions do not overflow.
            top = int(np.ceil(min(max(row - reach_y, 0.0), float(height))))
            end_row = int(np.floor(min(max(row + reach_y, -1.0), height - 1.0))) + 1
            left = int(np.ceil(min(max(column - reach_x, 0.0), float(width))))
            end_column = int(np.floor(min(max(column + reach_x, -1.0), width - 1.0))) + 1
            if top >= end_row or left >= end_column:
                continue
            boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = top, end_row, left, end_column
            ellipses[i, COLUMN], ellipses[i, ROW] = column, row
            ellipses[i, A], ellipses[i, TWO_B], ellipses[i, C] = a, 2.0 * b, c
            ellipses[i, LOG2_OPACITY] = min(log2_opacity, _LARGEST_LOG2)
            ellipses[i, SLANT] = -b / a
            ellipses[i, GIRTH2] = min(cut / a, _FAR * _FAR)
            ellipses[i, NARROWING] = min(determinant / (a * a), _FAR * _FAR)
            # The next number: q may be as large as the cut, and is compared with "less".
            ellipses[i, END_Q] = np.nextafter(np.float32(cut), np.float32(np.inf))


@njit(cache=True, nogil=True)
def _count_tiles(boxes: Numbers, bits: int) -> int:
    """In how many tiles of a side surfels lie, all added up."""
    total = 0
    for i in range(len(boxes)):
        down = ((boxes[i, 1] - 1) >> bits) - (boxes[i, 0] >> bits) + 1
        across = ((boxes[i, 3] - 1) >> bits) - (boxes[i, 2] >> bits) + 1
        total += down * across
    return total


@parallel_kernel()
def count_entries(
    boxes: Numbers, bits: int, tiles_across: int, spans: Spans, places: Counts
) -> None:
    """Find the tiles of every surfel, and count those of a worker's share in each tile.

    Args:
        boxes: (N, 4) as `place_surfels` fills them.
        bits: the side of a tile is 2 ** bits pixels.
        tiles_across: of the image.
        spans: (N, 4) int16 out, tiles of each surfel, for `fill_tiles`.
        places: (workers, tiles) int64 out, the counts.
    """
    num_workers = len(places)
    share = (len(boxes) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        mine = places[worker]
        mine[:] = 0
        for i in range(worker * share, min((worker + 1) * share, len(boxes))):
            # Of a box without pixels, 0 to 0, the last tile is the one before the first.
            top, bottom = boxes[i, 0] >> bits, (boxes[i, 1] - 1) >> bits
            left, right = boxes[i, 2] >> bits, (boxes[i, 3] - 1) >> bits
            spans[i, 0], spans[i, 1], spans[i, 2], spans[i, 3] = top, bottom, left, right
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    mine[row * tiles_across + column] += 1
