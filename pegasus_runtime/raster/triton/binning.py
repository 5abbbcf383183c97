"""Sorting points front to back into the bins of an image, without the host waiting (Triton).

All sizes follow from the number of points, the image and the radius. So nothing has to be read
back to go on, and a CUDA graph can hold the whole frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from pegasus_runtime.raster.pixel_grid import EDGE_MARGIN
from pegasus_runtime.raster.triton.support import launch

BLOCK_SIDE = 16
"""The side in pixels of the square that one program draws, and of the smallest bin: a larger one
looks at more points in each pixel, a smaller one sorts each point into more bins."""
_POINTS_PER_PROGRAM = 256
"""More leaves a card with fewer programs than it can run, fewer starts programs for little."""
_FAR = 1e30
"""More pixels than this a disc need not reach; float32 holds the sums."""


@dataclass(frozen=True)
class Bins:
    """Every bin's points, front to back, ties by index.

    Attributes:
        order: (N · slots,) int64; a point's row times ``num_slots`` and something below that.
        starts: (bins + 1,) int64, where the bins' shares of ``order`` begin; beyond the last are
            slots that no bin uses.
        side: of a bin in pixels.
        across: how many bins lie side by side.
        num_slots: in how many bins one point may lie.
    """

    order: torch.Tensor
    starts: torch.Tensor
    side: int
    across: int
    num_slots: int


def bin_points(points: torch.Tensor, image_size: tuple[int, int], radius: float) -> Bins:
    """List the points of every bin.

    A bin is at least as wide as a disc, so a disc lies in at most two bins along each axis.

    Args:
        points: (N, 3) float32 NDC x, y and view z, contiguous.
        image_size: (H, W) in pixels.
        radius: in NDC.
    """
    height, width = image_size
    pixels_per_unit = 0.5 * min(image_size)
    reach = min(radius * pixels_per_unit + EDGE_MARGIN, _FAR)
    side = BLOCK_SIDE
    while side < 2.0 * reach + 2.0 and side < max(image_size):
        side *= 2
    down, across = triton.cdiv(height, side), triton.cdiv(width, side)
    slots_down, slots_across = min(down, 2), min(across, 2)
    num_slots = slots_down * slots_across
    keys = torch.empty(len(points) * num_slots, dtype=torch.int64, device=points.device)
    if len(points):
        num_programs = triton.cdiv(len(points), _POINTS_PER_PROGRAM)
        launch(
            write_keys, (num_programs,), points, keys, len(points), height, width,
            pixels_per_unit, reach, side, down, across, SLOTS_DOWN=slots_down,
            SLOTS_ACROSS=slots_across, POINTS=_POINTS_PER_PROGRAM,
        )  # fmt: skip
    # Stable, and a bin holds a point once: equal depths stay in the order of the points.
    ordered, order = torch.sort(keys, stable=True)
    first_keys = torch.arange(down * across + 1, device=points.device) << 32
    return Bins(order, torch.searchsorted(ordered, first_keys), side, across, num_slots)


@triton.jit
def _pixel_range(
    centre: tl.tensor, pixels_per_unit: tl.tensor, reach: tl.tensor, size: tl.tensor
) -> tuple[tl.tensor, tl.tensor]:
    """First and last (inclusive) pixel along one axis that discs may cover; first > last if none.

    Comparisons with what is not a number fail, and such a disc may cover all.
    """
    middle = 0.5 * (size - 1) - centre * pixels_per_unit
    low = tl.where(middle - reach > 0.0, middle - reach, 0.0)
    high = tl.where(middle + reach < size - 1, middle + reach, size - 1)
    # Clamped as floats, so that the conversions do not overflow.
    first = tl.ceil(tl.where(low < size, low, size)).to(tl.int32)
    last = tl.floor(tl.where(high > -1.0, high, -1.0)).to(tl.int32)
    return first, last


@triton.jit
def write_keys(
    points: tl.tensor, keys: tl.tensor, num_points: tl.tensor, height: tl.tensor, width: tl.tensor,
    pixels_per_unit: tl.tensor, reach: tl.tensor, side: tl.tensor, down: tl.tensor,
    across: tl.tensor, SLOTS_DOWN: tl.constexpr, SLOTS_ACROSS: tl.constexpr, POINTS: tl.constexpr,
) -> None:  # fmt: skip
    """Write for every slot of every point what sorts by bin, then by depth.

    The bin is in the upper half, the bits of the depth in the lower: floats ≥ 0 sort as their bits
    do. Slots that are not used, and those of points that are not drawn, come after the last bin.

    Args:
        reach: the radius in pixels, and a little more.
        side: of a bin in pixels.
        down, across: how many bins there are along the axes.
        keys: (N, SLOTS_DOWN · SLOTS_ACROSS) int64 out.
    """
    point = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    given = point < num_points
    x = tl.load(points + 3 * point, mask=given, other=0.0)
    y = tl.load(points + 3 * point + 1, mask=given, other=0.0)
    z = tl.load(points + 3 * point + 2, mask=given, other=-1.0)
    infinity = float("inf")
    drawn = (z >= 0.0) & (z < infinity) & (tl.abs(x) < infinity) & (tl.abs(y) < infinity)
    left, right = _pixel_range(x, pixels_per_unit, reach, width)
    top, bottom = _pixel_range(y, pixels_per_unit, reach, height)
    drawn = drawn & (left <= right) & (top <= bottom)
    # Minus zero is as near as zero, but its bits are not.
    depth_bits = (z.to(tl.int32, bitcast=True) & 0x7FFFFFFF).to(tl.int64)
    first_key = keys + point.to(tl.int64) * (SLOTS_DOWN * SLOTS_ACROSS)
    for slot_down in tl.static_range(SLOTS_DOWN):
        for slot_across in tl.static_range(SLOTS_ACROSS):
            row = top // side + slot_down
            column = left // side + slot_across
            used = drawn & (row <= bottom // side) & (column <= right // side)
            number = tl.where(used, row * across + column, down * across)
            key = (number.to(tl.int64) << 32) | tl.where(used, depth_bits, 0)
            tl.store(first_key + slot_down * SLOTS_ACROSS + slot_across, key, mask=given)
