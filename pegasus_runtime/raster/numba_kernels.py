"""Drawing tiles: fragments, the blended image, and the image's gradients (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from pegasus_runtime.raster.numba_tiles import (
    Counts,
    Floats,
    Numbers,
    collect_tile,
    pixel_range,
)


@njit(cache=True, nogil=True, inline="always")
def _tile_box(number: int, tile: int, height: int, width: int) -> tuple[int, int, int, int]:
    tiles_across = (width + tile - 1) // tile
    top = (number // tiles_across) * tile
    left = (number % tiles_across) * tile
    return top, min(top + tile, height), left, min(left + tile, width)


@njit(cache=True, nogil=True, parallel=True)
def draw_fragments(
    points: Floats, entries: Numbers, starts: Counts, x: Floats, y: Floats, radius: np.float32,
    tile: int, num_workers: int, index: Numbers, depth: Floats, distance2: Floats,
) -> None:  # fmt: skip
    """Write every pixel's nearest points; -1 where there are fewer.

    Args:
        points: (N, 3) float32.
        entries, starts: as `bin_points` returns them.
        x, y: NDC centres of columns and rows.
        radius: in NDC, float32.
        tile, num_workers: as `bin_points` takes them.
        index, depth, distance2: (H, W, K) out.
    """
    num_kept = index.shape[2]
    for worker in prange(num_workers):
        kept = np.empty((tile * tile, num_kept), np.int32)
        squared = np.empty((tile * tile, num_kept), np.float32)
        counts = np.empty(tile * tile, np.int32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = _tile_box(number, tile, len(y), len(x))
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


@njit(cache=True, nogil=True, error_model="numpy")
def _blend_tile(
    points: Floats, features: Floats, entries: Numbers, first_entry: int, last_entry: int,
    x: Floats, y: Floats, box: tuple[int, int, int, int], radius: np.float32, num_kept: int,
    blended: Floats, rooms: Numbers,
) -> None:  # fmt: skip
    """Add a tile's entries to its pixels, front to back, until each has taken K.

    No list is kept: what a pixel still lets through and how much room it has are all it needs. A
    pixel that is not covered is added nothing, which is cheaper than a branch that is wrong half
    of the time. The first four channels are written out, for they fill one vector register.

    Args as `draw_image`, and blended (pixels, 1 + C, at least 5) float32: what comes through, then
    the channels; rooms (pixels,) int32.
    """
    top, bottom, left, right = box
    across = right - left
    num_pixels = (bottom - top) * across
    radius2 = radius * radius
    num_full = 0
    rooms[:num_pixels] = num_kept
    blended[:num_pixels] = np.float32(0.0)
    blended[:num_pixels, 0] = np.float32(1.0)
    num_channels = features.shape[1]
    last = num_channels - 1
    for entry in range(first_entry, last_entry):
        point = entries[entry]
        point_x, point_y = points[point, 0], points[point, 1]
        # Columns past the last are written and never read.
        first, second = features[point, 0], features[point, min(1, last)]
        third, fourth = features[point, min(2, last)], features[point, min(3, last)]
        first_row, last_row = pixel_range(point_y, radius, len(y), len(x))
        first_column, last_column = pixel_range(point_x, radius, len(x), len(y))
        for row in range(max(first_row, top), min(last_row + 1, bottom)):
            delta_y = y[row] - point_y
            delta_y2 = delta_y * delta_y
            for column in range(max(first_column, left), min(last_column + 1, right)):
                delta_x = x[column] - point_x
                squared = delta_x * delta_x + delta_y2
                pixel = (row - top) * across + column - left
                room = rooms[pixel]
                covers = np.int32(squared < radius2) & np.int32(room > 0)
                rooms[pixel] = room - covers
                num_full += int(covers) & int(room == 1)
                beyond = squared / radius2 if covers else np.float32(1.0)
                passed = blended[pixel, 0]
                weight = (np.float32(1.0) - beyond) * passed
                blended[pixel, 0] = passed * beyond
                blended[pixel, 1] += weight * first
                blended[pixel, 2] += weight * second
                blended[pixel, 3] += weight * third
                blended[pixel, 4] += weight * fourth
                for channel in range(4, num_channels):
                    blended[pixel, 1 + channel] += weight * features[point, channel]
        if num_full == num_pixels:
            break


@njit(cache=True, nogil=True, parallel=True)
def draw_image(
    points: Floats, features: Floats, entries: Numbers, starts: Counts, x: Floats, y: Floats,
    radius: np.float32, tile: int, num_workers: int, num_kept: int, image: Floats,
) -> None:  # fmt: skip
    """Blend every pixel's nearest points front to back.

    Args as `draw_fragments`, and features (N, C) float32, num_kept K, image (H, W, C) out.
    """
    num_channels = features.shape[1]
    for worker in prange(num_workers):
        blended = np.empty((tile * tile, 1 + max(num_channels, 4)), np.float32)
        rooms = np.empty(tile * tile, np.int32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = _tile_box(number, tile, len(y), len(x))
            _blend_tile(
                points, features, entries, starts[number], starts[number + 1], x, y, box, radius,
                num_kept, blended, rooms,
            )  # fmt: skip
            pixel = 0
            for row in range(box[0], box[1]):
                for column in range(box[2], box[3]):
                    for channel in range(num_channels):
                        image[row, column, channel] = blended[pixel, 1 + channel]
                    pixel += 1


@njit(cache=True, nogil=True, parallel=True)
def draw_gradients(
    points: Floats, features: Floats, entries: Numbers, starts: Counts, x: Floats, y: Floats,
    radius: np.float32, tile: int, num_workers: int, num_kept: int, grad_image: Floats,
    grad_entries: Floats,
) -> None:  # fmt: skip
    """Gradients of `draw_image` for every entry: x, y and features.

    With B_k the colour seen behind fragment k (B_{k-1} = alpha_k f_k + (1 − alpha_k) B_k) the
    derivative by alpha_k is T_k (f_k − B_k), which needs no division and so stays exact where
    alpha is one. A tile owns its entries, so no two threads add to one number.

    Args as `draw_image`, and grad_image (H, W, C), grad_entries (E, 2 + C) out.
    """
    num_channels = features.shape[1]
    radius2 = radius * radius
    for worker in prange(num_workers):
        kept = np.empty((tile * tile, num_kept), np.int32)
        squared = np.empty((tile * tile, num_kept), np.float32)
        counts = np.empty(tile * tile, np.int32)
        through = np.empty(num_kept, np.float32)
        for number in range(worker, len(starts) - 1, num_workers):
            box = _tile_box(number, tile, len(y), len(x))
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


@njit(cache=True, nogil=True, parallel=True)
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
