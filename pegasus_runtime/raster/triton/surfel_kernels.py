"""Drawing surfels on a CUDA device, and the gradients (Triton).

One program draws SIDE × SIDE pixels. It walks through its bin's list, which is sorted front to
back, one surfel after another, and looks now and then whether a pixel is still open.

In all kernels ``facts`` are (N, 8) float32 rows: column and row of the centre, a, 2b, c, opacity
and the largest q that is drawn; ``order`` rows of surfels and ``starts`` where each bin's begin,
both int64; features (N, C) and images (H, W, C) float32 rows, of which a program has CHANNELS.
Equals `torch_surfels`, operation by operation: no multiplication is fused with an addition.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pegasus_runtime.raster import torch_surfels

NUM_FACTS = 8
NUM_SUMS = 6
"""of an ellipse's pixels: h, h·dx, h·dy, h·dx², h·dx·dy and h·dy²; see `draw_gradients`"""
_FACTS = tl.constexpr(NUM_FACTS)
_SUMS = tl.constexpr(NUM_SUMS)
_OPAQUE = tl.constexpr(torch_surfels.OPAQUE)
_LARGEST_ALPHA = tl.constexpr(torch_surfels.LARGEST_ALPHA)


@triton.jit
def _block(
    starts: tl.tensor, height: tl.tensor, width: tl.tensor, bin_side: tl.tensor,
    bins_across: tl.tensor, SIDE: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor, tl.tensor]:  # fmt: skip
    """Rows and columns of a program's pixels, which are inside, and its share of the list."""
    blocks_across = tl.cdiv(width, SIDE)
    top = tl.program_id(0) // blocks_across * SIDE
    left = tl.program_id(0) % blocks_across * SIDE
    pixel = tl.arange(0, SIDE * SIDE)
    row = top + pixel // SIDE
    column = left + pixel % SIDE
    bin_number = top // bin_side * bins_across + left // bin_side
    first = tl.load(starts + bin_number)
    last = tl.load(starts + bin_number + 1)
    return row, column, (row < height) & (column < width), first, last


@triton.jit
def _alpha(
    facts: tl.tensor, surfel: tl.tensor, row: tl.tensor, column: tl.tensor, passed: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """A surfel's alpha in pixels, not yet bounded, 0 where it adds nothing; dx and dy."""
    fact = facts + surfel * _FACTS
    dx = column.to(tl.float32) - tl.load(fact)
    dy = row.to(tl.float32) - tl.load(fact + 1)
    slope_x = tl.load(fact + 2) * dx
    slope_y = tl.load(fact + 3) * dx
    q = slope_x * dx + slope_y * dy + tl.load(fact + 4) * dy * dy
    adds = (q <= tl.load(fact + 6)) & (passed >= _OPAQUE)
    alpha = tl.load(fact + 5) * tl.exp(-0.5 * tl.where(adds, q, 0.0))
    return tl.where(adds, alpha, 0.0), dx, dy


@triton.jit
def draw(
    facts: tl.tensor, features: tl.tensor, order: tl.tensor, starts: tl.tensor, image: tl.tensor,
    coverage: tl.tensor, height: tl.tensor, width: tl.tensor, bin_side: tl.tensor,
    bins_across: tl.tensor, NUM_CHANNELS: tl.constexpr, CHANNELS: tl.constexpr,
    SIDE: tl.constexpr, AT_ONCE: tl.constexpr,
) -> None:  # fmt: skip
    """Write image and alpha; of the latter every program along the second axis writes the same.

    Args:
        image: (H, W, C) out.
        coverage: (H, W) out.
    """
    row, column, inside, first, last = _block(starts, height, width, bin_side, bins_across, SIDE)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    given = channel < NUM_CHANNELS
    # Pixels beyond the border are closed, so that they do not keep the loop going.
    passed = tl.where(inside, 1.0, 0.0)
    colour = tl.zeros((SIDE * SIDE, CHANNELS), tl.float32)
    while (first < last) & (tl.max(passed, axis=0) >= _OPAQUE):
        end = tl.minimum(first + AT_ONCE, last)
        while first < end:
            surfel = tl.load(order + first)
            alpha, _, _ = _alpha(facts, surfel, row, column, passed)
            weight = tl.minimum(alpha, _LARGEST_ALPHA) * passed
            value = tl.load(features + surfel * NUM_CHANNELS + channel, mask=given, other=0.0)
            colour += weight[:, None] * value[None, :]
            passed -= weight
            first += 1
    pixel = row.to(tl.int64) * width + column
    tl.store(
        image + (pixel * NUM_CHANNELS)[:, None] + channel[None, :],
        colour,
        mask=inside[:, None] & given[None, :],
    )
    tl.store(coverage + pixel, 1.0 - passed, mask=inside)


@triton.jit
def draw_gradients(
    facts: tl.tensor, features: tl.tensor, order: tl.tensor, starts: tl.tensor, image: tl.tensor,
    coverage: tl.tensor, grad_image: tl.tensor, grad_coverage: tl.tensor, sums: tl.tensor,
    grad_features: tl.tensor, height: tl.tensor, width: tl.tensor, bin_side: tl.tensor,
    bins_across: tl.tensor, NUM_CHANNELS: tl.constexpr, CHANNELS: tl.constexpr,
    SIDE: tl.constexpr, AT_ONCE: tl.constexpr,
) -> None:  # fmt: skip
    """Gradients of `draw`, added to what the outputs hold.

    Walks front to back as `draw` did. What colours times their gradients add up to is known from
    the picture; less what has been walked through it is what lies behind, S:
    dL/d alpha_k = T_k · (f_k · g) − S_k / (1 − alpha_k), and h = alpha · dL/d alpha. All is linear
    in g, so programs along the second axis add up; the first takes the gradient of coverage.

    Args:
        image: (H, W, C) that was drawn.
        coverage: (H, W) that was drawn.
        grad_image: (H, W, C).
        grad_coverage: (H, W).
        sums: (N, NUM_SUMS) out.
        grad_features: (N, C) out.
    """
    row, column, inside, first, last = _block(starts, height, width, bin_side, bins_across, SIDE)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    given = channel < NUM_CHANNELS
    pixel = row.to(tl.int64) * width + column
    place = (pixel * NUM_CHANNELS)[:, None] + channel[None, :]
    wanted = inside[:, None] & given[None, :]
    upstream = tl.load(grad_image + place, mask=wanted, other=0.0)
    behind = tl.sum(tl.load(image + place, mask=wanted, other=0.0) * upstream, axis=1)
    takes_coverage = inside & (tl.program_id(1) == 0)
    upstream_coverage = tl.load(grad_coverage + pixel, mask=takes_coverage, other=0.0)
    behind += tl.load(coverage + pixel, mask=takes_coverage, other=0.0) * upstream_coverage
    passed = tl.where(inside, 1.0, 0.0)
    while (first < last) & (tl.max(passed, axis=0) >= _OPAQUE):
        end = tl.minimum(first + AT_ONCE, last)
        while first < end:
            surfel = tl.load(order + first)
            unbounded, dx, dy = _alpha(facts, surfel, row, column, passed)
            alpha = tl.minimum(unbounded, _LARGEST_ALPHA)
            weight = alpha * passed
            feature = surfel * NUM_CHANNELS + channel
            value = tl.load(features + feature, mask=given, other=0.0)
            own = tl.sum(upstream * value[None, :], axis=1) + upstream_coverage
            behind -= weight * own
            passed -= weight
            h = weight * own - behind * (alpha / (1.0 - alpha))
            h = tl.where(unbounded <= _LARGEST_ALPHA, h, 0.0)
            to_features = tl.sum(weight[:, None] * upstream, axis=0)
            tl.atomic_add(grad_features + feature, to_features, mask=given, sem="relaxed")
            mine = sums + surfel * _SUMS
            tl.atomic_add(mine, tl.sum(h, axis=0), sem="relaxed")
            tl.atomic_add(mine + 1, tl.sum(h * dx, axis=0), sem="relaxed")
            tl.atomic_add(mine + 2, tl.sum(h * dy, axis=0), sem="relaxed")
            tl.atomic_add(mine + 3, tl.sum(h * dx * dx, axis=0), sem="relaxed")
            tl.atomic_add(mine + 4, tl.sum(h * dx * dy, axis=0), sem="relaxed")
            tl.atomic_add(mine + 5, tl.sum(h * dy * dy, axis=0), sem="relaxed")
            first += 1


@triton.jit
def weigh(
    facts: tl.tensor, order: tl.tensor, starts: tl.tensor, weight_bits: tl.tensor,
    height: tl.tensor, width: tl.tensor, bin_side: tl.tensor, bins_across: tl.tensor,
    SIDE: tl.constexpr, AT_ONCE: tl.constexpr,
) -> None:  # fmt: skip
    """Raise every surfel's largest weight, (N,) int32: bits of floats ≥ 0 are sorted as those."""
    row, column, inside, first, last = _block(starts, height, width, bin_side, bins_across, SIDE)
    passed = tl.where(inside, 1.0, 0.0)
    while (first < last) & (tl.max(passed, axis=0) >= _OPAQUE):
        end = tl.minimum(first + AT_ONCE, last)
        while first < end:
            surfel = tl.load(order + first)
            alpha, _, _ = _alpha(facts, surfel, row, column, passed)
            weight = tl.minimum(alpha, _LARGEST_ALPHA) * passed
            passed -= weight
            bits = tl.max(weight, axis=0).to(tl.int32, bitcast=True)
            tl.atomic_max(weight_bits + surfel, bits, sem="relaxed")
            first += 1
