"""The CPU engine: numba on all cores, float32, forward and backward.

Tensors elsewhere or of another type are brought to float32 on the host, and the results go back.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from pegasus_runtime.memory import new_picture
from pegasus_runtime.raster.numba import backward, binning, compositing, forward, sorting
from pegasus_runtime.raster.numba.surfels import blend, largest_weights
from pegasus_runtime.raster.numba.workspace import workspace
from pegasus_runtime.raster.pixel_grid import pixel_centres

__all__ = ["blend", "composite", "largest_weights", "mark_visible", "rasterize", "render"]

_SMALLEST_TILE, _LARGEST_TILE = 16, 256
"""Pixels: a smaller least one makes more entries to sort, a larger one more points to look at in
each pixel."""
_MOST_TABLES = 8
"""Threads that count at the same time: more take memory, and adding them up takes what they
save."""

Floats = NDArray[np.float32]
Bins = tuple[NDArray[np.int32], NDArray[np.int64], int]
TileArguments = tuple[
    Floats, Floats, NDArray[np.int32], NDArray[np.int64], Floats, Floats, np.float32, int, int
]


def rasterize(
    points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index (H, W, K) int32, depth and squared distance; see `engine.Engine`."""
    found = _apply(_Rasterize, _on_host(points), image_size, radius, num_kept)
    index, depth, distance2 = (tensor.to(points.device) for tensor in found)
    return index, depth, distance2


def composite(
    index: torch.Tensor, distance2: torch.Tensor, features: torch.Tensor, radius: float
) -> torch.Tensor:
    """Blend to (H, W, C); see `engine.Engine`."""
    host_index = index.detach().to("cpu", torch.int32).contiguous()
    image: torch.Tensor = _apply(
        _Composite, host_index, _on_host(distance2), _on_host(features), radius
    )
    return image.to(features.device)


def render(
    points: torch.Tensor,
    features: torch.Tensor,
    image_size: tuple[int, int],
    radius: float,
    num_kept: int,
) -> torch.Tensor:
    """Rasterise and blend in one pass, (H, W, C); see `engine.Engine`."""
    image: torch.Tensor = _apply(
        _Render, _on_host(points), _on_host(features), image_size, radius, num_kept
    )
    return image.to(features.device)


def mark_visible(
    index: torch.Tensor,
    distance2: torch.Tensor,
    radius: float,
    num_points: int,
    min_weight: float,
) -> torch.Tensor:
    """Points first in a pixel or weighing more than that in one; see `engine.Engine`."""
    visible = torch.zeros(num_points, dtype=torch.bool)
    host_index = index.to("cpu", torch.int32).contiguous()
    host_distance2 = _on_host(distance2.detach())
    compositing.mark_visible(
        host_index.numpy(),
        host_distance2.numpy(),
        np.float32(radius),
        np.float32(min_weight),
        visible.numpy(),
    )
    return visible.to(index.device)


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    return function.apply(*arguments)


def _on_host(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to("cpu", torch.float32).contiguous()


def _bin(points: torch.Tensor, image_size: tuple[int, int], radius: float) -> Bins:
    """Every tile's points front to back: rows (E,), where each tile's begin, and a tile's side."""
    rows = points.numpy()
    height, width = image_size
    tile = _tile_side(image_size, radius)
    tiles_down, tiles_across = -(-height // tile), -(-width // tile)
    workers = numba.get_num_threads()
    places = np.empty((workers, tiles_down * tiles_across), np.int64)
    with workspace.lock:
        spans = workspace.spans(len(rows))
        starts = binning.count_entries(
            rows, height, width, np.float32(radius), tile.bit_length() - 1, spans, places
        )
        unsorted, keys, pairs = workspace.entries(int(starts[-1]))
        binning.fill_tiles(spans, tiles_across, places, unsorted)
        entries = np.empty(starts[-1], np.int32)
        sorting.sort_tiles(rows.view(np.uint32), starts, unsorted, workers, keys, pairs, entries)
    return entries, starts, tile


def _tile_side(image_size: tuple[int, int], radius: float) -> int:
    """A power of two at least as wide as a point, so that few points fall in many tiles."""
    wanted = min(radius * min(image_size), _LARGEST_TILE)
    side = _SMALLEST_TILE
    while side < wanted:
        side *= 2
    return side


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        index = torch.empty((*image_size, num_kept), dtype=torch.int32)
        depth, distance2 = (new_picture(*image_size, num_kept) for _ in range(2))
        x, y = pixel_centres(image_size)
        entries, starts, tile = _bin(points, image_size, radius)
        backward.draw_fragments(
            points.numpy(), entries, starts, x, y, np.float32(radius), tile,
            numba.get_num_threads(), index.numpy(), depth.numpy(), distance2.numpy(),
        )  # fmt: skip
        ctx.mark_non_differentiable(index, depth)
        ctx.save_for_backward(points, index)
        ctx.image_size = image_size
        return index, depth, distance2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        points, index = ctx.saved_tensors
        x, y = pixel_centres(ctx.image_size)
        tables = np.empty((_num_tables(), *points.shape), np.float32)
        compositing.scatter_distances(
            points.numpy(), index.numpy(), x, y, gradients[2].contiguous().numpy(), tables
        )
        return torch.from_numpy(tables.sum(axis=0)), None, None, None


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        index: torch.Tensor,
        distance2: torch.Tensor,
        features: torch.Tensor,
        radius: float,
    ) -> torch.Tensor:
        image = new_picture(*index.shape[:2], features.shape[1])
        compositing.blend(
            index.numpy(), distance2.numpy(), features.numpy(), np.float32(radius),
            image.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(index, distance2, features)
        ctx.radius = radius
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        index, distance2, features = ctx.saved_tensors
        grad_distance2 = torch.empty_like(distance2)
        tables = np.empty((_num_tables(), *features.shape), np.float32)
        compositing.blend_gradients(
            index.numpy(), distance2.numpy(), features.numpy(), np.float32(ctx.radius),
            gradients[0].contiguous().numpy(), tables, grad_distance2.numpy(),
        )  # fmt: skip
        return None, grad_distance2, torch.from_numpy(tables.sum(axis=0)), None


class _Render(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        points: torch.Tensor,
        features: torch.Tensor,
        image_size: tuple[int, int],
        radius: float,
        num_kept: int,
    ) -> torch.Tensor:
        image = new_picture(*image_size, features.shape[1])
        bins = _bin(points, image_size, radius)
        if features.shape[1]:
            forward.draw_image(
                *_tile_arguments(points, features, bins, image_size, radius), num_kept,
                image.numpy(),
            )  # fmt: skip
        ctx.save_for_backward(points, features)
        ctx.bins, ctx.image_size, ctx.radius, ctx.num_kept = bins, image_size, radius, num_kept
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        points, features = ctx.saved_tensors
        entries = ctx.bins[0]
        grad_points, grad_features = torch.empty_like(points), torch.empty_like(features)
        arguments = _tile_arguments(points, features, ctx.bins, ctx.image_size, ctx.radius)
        grad_entries = np.empty((len(entries), 2 + features.shape[1]), np.float32)
        backward.draw_gradients(
            *arguments, ctx.num_kept, gradients[0].contiguous().numpy(), grad_entries
        )
        backward.gather_entries(
            entries, grad_entries, numba.get_num_threads(), grad_points.numpy(),
            grad_features.numpy(),
        )  # fmt: skip
        return grad_points, grad_features, None, None, None


def _tile_arguments(
    points: torch.Tensor,
    features: torch.Tensor,
    bins: Bins,
    image_size: tuple[int, int],
    radius: float,
) -> TileArguments:
    entries, starts, tile = bins
    x, y = pixel_centres(image_size)
    return (
        points.numpy(), features.numpy(), entries, starts, x, y, np.float32(radius), tile,
        numba.get_num_threads(),
    )  # fmt: skip


def _num_tables() -> int:
    return min(int(numba.get_num_threads()), _MOST_TABLES)
