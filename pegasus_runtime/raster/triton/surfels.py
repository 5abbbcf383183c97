"""The CUDA engine's surfels: forward and backward, float32.

Surfels are binned with torch's own operations, which have to tell the host once how long the lists
are. Gradients that several blocks of pixels send to one surfel are added by atomic operations, in
whatever order they arrive: two runs agree up to the rounding of such a sum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
from torch.autograd.function import once_differentiable

from pegasus_runtime.raster.pixel_grid import EDGE_MARGIN
from pegasus_runtime.raster.torch_surfels import ENTRIES_PER_SURFEL, centres_in_pixels, find_drawn
from pegasus_runtime.raster.triton import surfel_kernels
from pegasus_runtime.raster.triton.binning import BLOCK_SIDE
from pegasus_runtime.raster.triton.launch import channels_at_once
from pegasus_runtime.raster.triton.support import launch, to_device
from pegasus_runtime.raster.triton.surfel_kernels import NUM_SUMS

_AT_ONCE = 16
"""surfels between two looks whether a pixel is still open: more draw behind what is opaque, fewer
look oftener"""


class _Binned(NamedTuple):
    facts: torch.Tensor  # (N, NUM_FACTS) as the kernels take them
    order: torch.Tensor  # (E,) int64 rows of surfels, bin after bin, front to back
    starts: torch.Tensor  # (num_bins + 1,) int64
    bin_side: int
    bins_across: int


def blend(
    points: torch.Tensor,  # (N, 3)
    features: torch.Tensor,  # (N, C)
    conics: torch.Tensor,  # (N, 3)
    opacities: torch.Tensor,  # (N,)
    image_size: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image (H, W, C) and alpha (H, W); see `engine.Engine`."""
    given = [to_device(tensor) for tensor in (points, features, conics, opacities)]
    function: Any = _Blend
    image, coverage = function.apply(*given, image_size)
    return image.to(features.device), coverage.to(features.device)


def largest_weights(
    points: torch.Tensor,  # (N, 3)
    conics: torch.Tensor,  # (N, 3)
    opacities: torch.Tensor,  # (N,)
    image_size: tuple[int, int],
) -> torch.Tensor:
    """What every surfel weighs in the pixel where it weighs most, (N,); see `engine.Engine`."""
    binned = _bin(to_device(points), to_device(conics), to_device(opacities), image_size)
    bits = torch.zeros(len(points), dtype=torch.int32, device=binned.facts.device)
    launch(
        surfel_kernels.weigh, (_num_blocks(image_size),), binned.facts, binned.order,
        binned.starts, bits, *image_size, binned.bin_side, binned.bins_across, SIDE=BLOCK_SIDE,
        AT_ONCE=_AT_ONCE,
    )  # fmt: skip
    return bits.view(torch.float32).to(opacities.device)


class _Blend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        points: torch.Tensor,
        features: torch.Tensor,
        conics: torch.Tensor,
        opacities: torch.Tensor,
        image_size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        binned = _bin(points, conics, opacities, image_size)
        image = features.new_empty(*image_size, features.shape[1])
        coverage = features.new_empty(image_size)
        at_once, num_programs = _channel_chunks(features)
        launch(
            surfel_kernels.draw, (_num_blocks(image_size), num_programs), binned.facts, features,
            binned.order, binned.starts, image, coverage, *image_size, binned.bin_side,
            binned.bins_across, NUM_CHANNELS=features.shape[1], CHANNELS=at_once, SIDE=BLOCK_SIDE,
            AT_ONCE=_AT_ONCE,
        )  # fmt: skip
        ctx.save_for_backward(features, conics, opacities, image, coverage)
        ctx.binned = binned
        return image, coverage

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        features, conics, opacities, image, coverage = ctx.saved_tensors
        binned: _Binned = ctx.binned
        image_size: tuple[int, int] = tuple(coverage.shape)
        sums = features.new_zeros(len(features), NUM_SUMS)
        grad_features = torch.zeros_like(features)
        at_once, num_programs = _channel_chunks(features)
        launch(
            surfel_kernels.draw_gradients, (_num_blocks(image_size), num_programs), binned.facts,
            features, binned.order, binned.starts, image, coverage, gradients[0].contiguous(),
            gradients[1].contiguous(), sums, grad_features, *image_size, binned.bin_side,
            binned.bins_across, NUM_CHANNELS=features.shape[1], CHANNELS=at_once, SIDE=BLOCK_SIDE,
            AT_ONCE=_AT_ONCE,
        )  # fmt: skip
        h, h_x, h_y, h_xx, h_xy, h_yy = sums.unbind(dim=1)
        a, b, c = binned.facts[:, 2], 0.5 * binned.facts[:, 3], binned.facts[:, 4]
        pixels_per_unit = 0.5 * min(image_size)
        grad_x = -pixels_per_unit * (a * h_x + b * h_y)
        grad_y = -pixels_per_unit * (b * h_x + c * h_y)
        grad_points = torch.stack([grad_x, grad_y, torch.zeros_like(grad_x)], dim=1)
        grad_conics = torch.stack([-0.5 * h_xx, -h_xy, -0.5 * h_yy], dim=1)
        # Of a surfel that is not drawn h is zero, and the opacity may be anything.
        grad_opacities = torch.where(h == 0.0, 0.0, h / binned.facts[:, 5])
        return grad_points, grad_features, grad_conics, grad_opacities, None


@torch.no_grad()
def _bin(
    points: torch.Tensor,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    image_size: tuple[int, int],
) -> _Binned:
    is_drawn, cut = find_drawn(points, conics, opacities)
    column, row = centres_in_pixels(points, image_size)
    a, b, c = conics.unbind(dim=1)
    facts = torch.stack([column, row, a, 2.0 * b, c, opacities, cut, cut], dim=1)
    # What is not drawn is never looked at by a kernel, but multiplied with zeros afterwards.
    facts = torch.where(is_drawn[:, None], facts, 0.0).contiguous()
    # In float64, for of a thin ellipse's a · c − b² float32 leaves little.
    a, b, c = conics.double().unbind(dim=1)
    spread = cut / (a * c - b * b)
    reach_x, reach_y = (spread * c).sqrt() + EDGE_MARGIN, (spread * a).sqrt() + EDGE_MARGIN
    left, right = _pixel_range(column, reach_x, image_size[1])
    top, bottom = _pixel_range(row, reach_y, image_size[0])
    is_drawn &= (left <= right) & (top <= bottom)
    rows = torch.nonzero(is_drawn)[:, 0]
    boxes = torch.stack([top, bottom, left, right])[:, rows]
    side = _bin_side(boxes, image_size)
    return _sort(points, facts, rows, boxes // side, side, image_size)


def _pixel_range(
    middle: torch.Tensor, reach: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """First and last (inclusive) pixel along one axis that ellipses may cover."""
    first = torch.nan_to_num((middle - reach).clamp(0, size)).ceil()
    last = torch.nan_to_num((middle + reach).clamp(-1, size - 1)).floor()
    return first.long(), last.long()


def _count(spans: torch.Tensor) -> torch.Tensor:
    """How many bins each surfel reaches, from first and last row and column of bins (4, M)."""
    return (spans[1] - spans[0] + 1) * (spans[3] - spans[2] + 1)


def _bin_side(boxes: torch.Tensor, image_size: tuple[int, int]) -> int:
    """The smallest bin of which surfels reach no more than a few on average: memory is bounded."""
    side = BLOCK_SIDE
    while side < max(image_size):
        if int(_count(boxes // side).sum()) <= ENTRIES_PER_SURFEL * boxes.shape[1]:
            break
        side *= 2
    return side


def _sort(
    points: torch.Tensor,
    facts: torch.Tensor,
    rows: torch.Tensor,
    spans: torch.Tensor,
    side: int,
    image_size: tuple[int, int],
) -> _Binned:
    """List every bin's surfels front to back, ties by row."""
    down, across = triton.cdiv(image_size[0], side), triton.cdiv(image_size[1], side)
    counts = _count(spans)
    total = int(counts.sum())
    entry = torch.repeat_interleave(counts, output_size=total)
    within = torch.arange(total, device=rows.device) - (counts.cumsum(0) - counts)[entry]
    top, _, left, right = spans[:, entry]
    wide = right - left + 1
    number = (top + within // wide) * across + left + within % wide
    # The bin is in the upper half, the bits of the depth below: floats > 0 sort as their bits do.
    surfels = rows[entry]
    depth_bits = points[surfels, 2].contiguous().view(torch.int32).long()
    ordered, order = torch.sort((number << 32) | depth_bits, stable=True)
    first_keys = torch.arange(down * across + 1, device=rows.device) << 32
    starts = torch.searchsorted(ordered, first_keys)
    return _Binned(facts, surfels[order].contiguous(), starts, side, across)


def _num_blocks(image_size: tuple[int, int]) -> int:
    return int(triton.cdiv(image_size[0], BLOCK_SIDE) * triton.cdiv(image_size[1], BLOCK_SIDE))


def _channel_chunks(features: torch.Tensor) -> tuple[int, int]:
    """How many channels a program has, and how many programs that takes; one even without any."""
    num_channels = max(1, features.shape[1])
    at_once = channels_at_once(num_channels)
    return at_once, int(triton.cdiv(num_channels, at_once))
