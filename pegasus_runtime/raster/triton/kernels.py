"""Drawing points on a CUDA device: finding fragments, blending them, and the gradients (Triton).

Distances are worked out as the CPU engines do, operation by operation: no multiplication is fused
with an addition (the launches say so), divisions that decide round to nearest. So a point on
the edge of its disc falls on the same side everywhere.

In all kernels points are (N, 3) float32 rows; index, depth and distance2 (H, W, K) rows; features
(N, C) and images (H, W, C) float32 rows; ``span_x`` and ``span_y`` the lengths of the axes in NDC
(`pixel_grid.axis_span`), ``radius2`` the squared radius, rounded to float32.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _pixel_centre(pixel: tl.tensor, size: tl.tensor, span: tl.tensor) -> tl.tensor:
    """NDC of pixels along one axis; the operations of `pixel_grid.pixel_centres`, in order."""
    offset = span * 0.5
    number = (size - 1 - pixel).to(tl.float32)
    # The exact division takes floats only.
    return tl.div_rn(span * number + offset, tl.cast(size, tl.float32)) - offset


@triton.jit
def find_nearest(
    points: tl.tensor, order: tl.tensor, starts: tl.tensor, index: tl.tensor, depth: tl.tensor,
    distance2: tl.tensor, height: tl.tensor, width: tl.tensor, span_x: tl.tensor,
    span_y: tl.tensor, radius2: tl.tensor, num_kept: tl.tensor, bin_side: tl.tensor,
    bins_across: tl.tensor, NUM_SLOTS: tl.constexpr, SIDE: tl.constexpr, CHUNK: tl.constexpr,
    INDEX_ONLY: tl.constexpr,
) -> None:  # fmt: skip
    """Write the first K points of a bin's list that cover each pixel; the rest stays as it is.

    One program draws SIDE × SIDE pixels. It reads its bin's list, which is sorted front to back,
    CHUNK points at a time; a pixel's running count says which of its K places a point takes.

    Args:
        order, starts: as `binning.Bins` holds them.
        index, depth, distance2: out, -1 on entry; the last two stay so with INDEX_ONLY.
    """
    blocks_across = tl.cdiv(width, SIDE)
    top = tl.program_id(0) // blocks_across * SIDE
    left = tl.program_id(0) % blocks_across * SIDE
    pixel = tl.arange(0, SIDE * SIDE)
    row = top + pixel // SIDE
    column = left + pixel % SIDE
    x = _pixel_centre(column, width, span_x)
    y = _pixel_centre(row, height, span_y)
    first_place = (row.to(tl.int64) * width + column) * num_kept
    # Pixels beyond the border count as full, so that they neither store nor keep the loop going.
    count = tl.where((row < height) & (column < width), 0, num_kept)
    bin_number = top // bin_side * bins_across + left // bin_side
    first = tl.load(starts + bin_number)
    last = tl.load(starts + bin_number + 1)
    while (first < last) & (tl.min(count, axis=0) < num_kept):
        entry = first + tl.arange(0, CHUNK)
        listed = entry < last
        point = (tl.load(order + entry, mask=listed, other=0) // NUM_SLOTS).to(tl.int32)
        point_x = tl.load(points + 3 * point, mask=listed, other=0.0)
        point_y = tl.load(points + 3 * point + 1, mask=listed, other=0.0)
        delta_x = x[:, None] - point_x[None, :]
        delta_y = y[:, None] - point_y[None, :]
        squared = delta_x * delta_x + delta_y * delta_y
        covers = ((squared < radius2) & listed[None, :]).to(tl.int32)
        layer = count[:, None] + tl.cumsum(covers, axis=1) - covers
        kept = (covers > 0) & (layer < num_kept)
        place = first_place[:, None] + layer
        tl.store(index + place, tl.broadcast_to(point[None, :], place.shape), mask=kept)
        if not INDEX_ONLY:
            point_z = tl.load(points + 3 * point + 2, mask=listed, other=0.0)
            tl.store(depth + place, tl.broadcast_to(point_z[None, :], place.shape), mask=kept)
            tl.store(distance2 + place, squared, mask=kept)
        count += tl.sum(covers, axis=1)
        first += CHUNK


@triton.jit
def _squared_distance(
    points: tl.tensor, point: tl.tensor, found: tl.tensor, x: tl.tensor, y: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Steps in x and y from point to pixel and their squared length; 0 where there is no point."""
    delta_x = tl.where(found, x - tl.load(points + 3 * point, mask=found, other=0.0), 0.0)
    delta_y = tl.where(found, y - tl.load(points + 3 * point + 1, mask=found, other=0.0), 0.0)
    return delta_x, delta_y, delta_x * delta_x + delta_y * delta_y


@triton.jit
def blend(
    geometry: tl.tensor, index: tl.tensor, features: tl.tensor, image: tl.tensor,
    height: tl.tensor, width: tl.tensor, span_x: tl.tensor, span_y: tl.tensor, radius2: tl.tensor,
    NUM_KEPT: tl.constexpr, NUM_CHANNELS: tl.constexpr, FROM_POINTS: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    """Write Σ alpha_k Π_{j<k}(1 − alpha_j) feature_k; a program has PIXELS × CHANNELS of it.

    Args:
        geometry: points with FROM_POINTS, otherwise distance2.
        image: out.
    """
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = pixel < height * width
    x = _pixel_centre(pixel % width, width, span_x)
    y = _pixel_centre(pixel // width, height, span_y)
    through = tl.full((PIXELS,), 1.0, tl.float32)
    colour = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for layer in range(NUM_KEPT):
        place = pixel.to(tl.int64) * NUM_KEPT + layer
        point = tl.load(index + place, mask=inside, other=-1)
        found = point >= 0
        if FROM_POINTS:
            _, _, squared = _squared_distance(geometry, point, found, x, y)
        else:
            squared = tl.load(geometry + place, mask=found, other=0.0)
        beyond = tl.where(found, tl.div_rn(squared, radius2), 1.0)
        weight = (1.0 - beyond) * through
        through *= beyond
        value = tl.load(
            features + (point.to(tl.int64) * NUM_CHANNELS)[:, None] + channel[None, :],
            mask=found[:, None] & (channel < NUM_CHANNELS)[None, :],
            other=0.0,
        )
        colour += weight[:, None] * value
    tl.store(
        image + (pixel.to(tl.int64) * NUM_CHANNELS)[:, None] + channel[None, :],
        colour,
        mask=inside[:, None] & (channel < NUM_CHANNELS)[None, :],
    )


@triton.jit
def blend_gradients(
    geometry: tl.tensor, index: tl.tensor, features: tl.tensor, grad_image: tl.tensor,
    through_before: tl.tensor, grad_geometry: tl.tensor, grad_features: tl.tensor,
    height: tl.tensor, width: tl.tensor, span_x: tl.tensor, span_y: tl.tensor, radius2: tl.tensor,
    NUM_KEPT: tl.constexpr, NUM_CHANNELS: tl.constexpr, FROM_POINTS: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
) -> None:  # fmt: skip
    """Gradients of `blend`, added to what the outputs hold.

    With B_k the colour seen behind fragment k (B_{k-1} = alpha_k f_k + (1 − alpha_k) B_k) the
    derivative by alpha_k is T_k (f_k − B_k), which needs no division and so stays exact where
    alpha is one. Everything is multiplied by the upstream gradient first: B is one number.

    Args:
        through_before: (H, W, K) float32 to work in: T_k, what comes through to a fragment.
        grad_geometry: (N, 3) out with FROM_POINTS, otherwise (H, W, K).
        grad_features: (N, C) out.
    """
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < height * width
    x = _pixel_centre(pixel % width, width, span_x)
    y = _pixel_centre(pixel // width, height, span_y)
    first_place = pixel.to(tl.int64) * NUM_KEPT
    passed = tl.full((PIXELS,), 1.0, tl.float32)
    for layer in range(NUM_KEPT):
        point = tl.load(index + first_place + layer, mask=inside, other=-1)
        found = point >= 0
        if FROM_POINTS:
            _, _, squared = _squared_distance(geometry, point, found, x, y)
        else:
            squared = tl.load(geometry + first_place + layer, mask=found, other=0.0)
        tl.store(through_before + first_place + layer, passed, mask=inside)
        passed *= tl.where(found, tl.div_rn(squared, radius2), 1.0)
    # Another thread may read what this one has stored.
    tl.debug_barrier()
    behind = tl.zeros((PIXELS,), tl.float32)
    for step in range(NUM_KEPT):
        place = first_place + (NUM_KEPT - 1 - step)
        point = tl.load(index + place, mask=inside, other=-1)
        found = point >= 0
        if FROM_POINTS:
            delta_x, delta_y, squared = _squared_distance(geometry, point, found, x, y)
        else:
            squared = tl.load(geometry + place, mask=found, other=0.0)
        beyond = tl.where(found, tl.div_rn(squared, radius2), 1.0)
        through = tl.load(through_before + place, mask=inside, other=0.0)
        weight = (1.0 - beyond) * through
        own = tl.zeros((PIXELS,), tl.float32)
        for first_channel in range(0, NUM_CHANNELS, CHANNELS):
            channel = first_channel + tl.arange(0, CHANNELS)
            wanted = found[:, None] & (channel < NUM_CHANNELS)[None, :]
            image_place = (pixel.to(tl.int64) * NUM_CHANNELS)[:, None] + channel[None, :]
            feature_place = (point.to(tl.int64) * NUM_CHANNELS)[:, None] + channel[None, :]
            upstream = tl.load(grad_image + image_place, mask=wanted, other=0.0)
            value = tl.load(features + feature_place, mask=wanted, other=0.0)
            own += tl.sum(upstream * value, axis=1)
            tl.atomic_add(
                grad_features + feature_place,
                weight[:, None] * upstream,
                mask=wanted,
                sem="relaxed",
            )
        # d alpha / d distance² = −1 / r²; d distance² / d x = −2 (pixel − x).
        slope = tl.div_rn(through * (own - behind), radius2)
        if FROM_POINTS:
            row = grad_geometry + 3 * point
            tl.atomic_add(row, 2.0 * slope * delta_x, mask=found, sem="relaxed")
            tl.atomic_add(row + 1, 2.0 * slope * delta_y, mask=found, sem="relaxed")
        else:
            tl.store(grad_geometry + place, tl.where(found, -slope, 0.0), mask=inside)
        behind = tl.where(found, (1.0 - beyond) * own + beyond * behind, behind)


@triton.jit
def scatter_distances(
    points: tl.tensor, index: tl.tensor, grad_distance2: tl.tensor, grad_points: tl.tensor,
    height: tl.tensor, width: tl.tensor, span_x: tl.tensor, span_y: tl.tensor,
    NUM_KEPT: tl.constexpr, PIXELS: tl.constexpr,
) -> None:  # fmt: skip
    """Add gradients of squared distances (H, W, K) to those of the points' x and y, (N, 3)."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < height * width
    x = _pixel_centre(pixel % width, width, span_x)
    y = _pixel_centre(pixel // width, height, span_y)
    for layer in range(NUM_KEPT):
        place = pixel.to(tl.int64) * NUM_KEPT + layer
        point = tl.load(index + place, mask=inside, other=-1)
        found = point >= 0
        delta_x, delta_y, _ = _squared_distance(points, point, found, x, y)
        slope = -2.0 * tl.load(grad_distance2 + place, mask=found, other=0.0)
        row = grad_points + 3 * point
        tl.atomic_add(row, slope * delta_x, mask=found, sem="relaxed")
        tl.atomic_add(row + 1, slope * delta_y, mask=found, sem="relaxed")


@triton.jit
def mark_visible(
    index: tl.tensor, distance2: tl.tensor, visible: tl.tensor, num_pixels: tl.tensor,
    radius2: tl.tensor, min_weight: tl.tensor, NUM_KEPT: tl.constexpr, PIXELS: tl.constexpr,
) -> None:  # fmt: skip
    """Write 1 into ``visible`` (N,) uint8 for points first in a pixel or heavier than that."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < num_pixels
    through = tl.full((PIXELS,), 1.0, tl.float32)
    for layer in range(NUM_KEPT):
        place = pixel.to(tl.int64) * NUM_KEPT + layer
        point = tl.load(index + place, mask=inside, other=-1)
        found = point >= 0
        squared = tl.load(distance2 + place, mask=found, other=0.0)
        beyond = tl.where(found, tl.div_rn(squared, radius2), 1.0)
        seen = found & (((1.0 - beyond) * through > min_weight) | (layer == 0))
        tl.store(visible + point, tl.full((PIXELS,), 1, tl.uint8), mask=seen)
        through *= beyond
