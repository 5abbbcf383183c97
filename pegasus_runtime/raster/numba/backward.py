"""Drawing tiles: fragments, and the gradients of the blended image (numba)."""

from __future__ import annotations

import numpy as np

from pegasus_runtime.cpu.jit import parallel_kernel, prange
from pegasus_runtime.raster.numba.binning import (
    Counts,
    Floats,
    Numbers,
    collect_tile,
    tile_box,
)


@parallel_kernel()
def draw_fragments(
    points: Floats, entries: Numbers, starts: Counts, x: Floats, y: Floats, radius: np.float32,
    tile: int, num_workers: int, index: Numbers, depth: Floats, distance2: Floats,
) -> None:  # fmt: skip
    """Write every pixel's nearest points; -1 where there are fewer.

    Args:
        points: (N, 3) float32.
        entries, starts: as `sort_tiles` fills and takes them.
        x, y: NDC centres of columns and rows.
        radius: in NDC, float32.
        tile, num_workers: side of a tile in pixels, and into how many shares the work is cut.
        index, depth, distance2: (H, W, K) out.
    """
    num_kept = index.shape[2]
    for worker in prange(num_workers):
        kept = np.empty((tile * tile, num_kept), np.int32)
        squared = np.empty((tile * tile, num_kept), np.float32)
        counts = np.empty(tile * tile, np.int32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = tile_box(number, tile, len(y), len(x))
            collect_tile(
                points, entries, starts[number], starts[number + 1], x, y, box, radius, kept,
                squared, counts,
            )  # fmt: skip
            top, bottom, left, right = box
            pixel = 0
            for row in range(top, bottom):
                for column in range(left, right):
                    count = counts[pixel]
                    for layer in range(count):
                        point = entries[kept[pixel, layer]]
                        index[row, column, layer] = point
                        depth[row, column, layer] = points[point, 2]
                        distance2[row, column, layer] = squared[pixel, layer]
                    for layer in range(count, num_kept):
                        index[row, column, layer] = -1
                        depth[row, column, layer] = -1.0
                        distance2[row, column, layer] = -1.0
                    pixel += 1


@parallel_kernel()
def draw_gradients(
    points: Floats, features: Floats, entries: Numbers, starts: Counts, x: Floats, y: Floats,
    radius: np.float32, tile: int, num_workers: int, num_kept: int, grad_image: Floats,
    grad_entries: Floats,
) -> None:  # fmt: skip
    """Gradients of `forward.draw_image` for every entry: x, y and features.

    With B_k the colour seen behind fragment k (B_{k-1} = alpha_k f_k + (1 − alpha_k) B_k) the
    derivative by alpha_k is T_k (f_k − B_k), which needs no division and so stays exact where
    alpha is one. A tile owns its entries, so no two threads add to one number.

    Args as there, and grad_image (H, W, C), grad_entries (E, 2 + C) out.
    """
    num_channels = features.shape[1]
    radius2 = radius * radius
    for worker in prange(num_workers):
        kept = np.empty((tile * tile, num_kept), np.int32)
        squared = np.empty((tile * tile, num_kept), np.float32)
        counts = np.empty(tile * tile, np.int32)
        through = np.empty(num_kept, np.float32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = tile_box(number, tile, len(y), len(x))
            collect_tile(
                points, entries, starts[number], starts[number + 1], x, y, box, radius, kept,
                squared, counts,
            )  # fmt: skip
            grad_entries[starts[number] : starts[number + 1]] = 0.0
            top, bottom, left, right = box
            pixel = 0
            for row in range(top, bottom):
                for column in range(left, right):
                    count = counts[pixel]
                    passed = np.float32(1.0)
                    for layer in range(count):
                        through[layer] = passed
                        passed *= squared[pixel, layer] / radius2
                    behind = np.float32(0.0)
                    for layer in range(count - 1, -1, -1):
                        entry = kept[pixel, layer]
                        point = entries[entry]
                        alpha = np.float32(1.0) - squared[pixel, layer] / radius2
                        weight = alpha * through[layer]
                        own = np.float32(0.0)
                        for channel in range(num_channels):
                            upstream = grad_image[row, column, channel]
                            own += upstream * features[point, channel]
                            grad_entries[entry, 2 + channel] += weight * upstream
                        # d alpha / d distance² = −1 / r²; d distance² / d x = −2 (pixel − x).
                        slope = np.float32(2.0) * through[layer] * (own - behind) / radius2
                        grad_entries[entry, 0] += slope * (x[column] - points[point, 0])
                        grad_entries[entry, 1] += slope * (y[row] - points[point, 1])
                        behind = alpha * own + (np.float32(1.0) - alpha) * behind
                    pixel += 1


@parallel_kernel()
def gather_entries(
    entries: Numbers, grad_entries: Floats, num_workers: int, grad_points: Floats,
    grad_features: Floats,
) -> None:  # fmt: skip
    """Add up the entries of every point, in the order of the tiles whatever the thread count.

    Args: entries (E,), grad_entries (E, 2 + C); out grad_points (N, 3), grad_features (N, C).
    """
    num_points, num_channels = grad_features.shape
    share = (num_points + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        first, last = worker * share, min((worker + 1) * share, num_points)
        grad_points[first:last] = 0.0
        grad_features[first:last] = 0.0
        for entry in range(len(entries)):
            point = entries[entry]
            if first <= point < last:
                grad_points[point, 0] += grad_entries[entry, 0]
                grad_points[point, 1] += grad_entries[entry, 1]
                for channel in range(num_channels):
                    grad_features[point, channel] += grad_entries[entry, 2 + channel]
