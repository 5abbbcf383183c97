"""Starting the CUDA kernels: what they are given, and in what blocks they work (Triton).

Tensors are contiguous and lie on one device; index is int32, all others are float32. Shapes and
names are those of `engine.Engine`.
"""

from __future__ import annotations

import numpy as np
import torch
import triton

from pegasus_runtime.raster.pixel_grid import axis_span
from pegasus_runtime.raster.triton import kernels
from pegasus_runtime.raster.triton.binning import BLOCK_SIDE, bin_points
from pegasus_runtime.raster.triton.support import is_interpreted, launch

# The interpreter takes as long for a small block as for a large one.
_POINTS_AT_ONCE = 64 if is_interpreted() else 16
_PIXELS_PER_PROGRAM = 1024 if is_interpreted() else 128
"""On a card more of either needs more registers, and fewer programs run at the same time; fewer of
either waits for memory more often."""
_MOST_CHANNELS_AT_ONCE = 8
"""More need more registers, and fewer programs run at the same time; fewer walk through the points
again."""


def find_fragments(
    points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index, depth and squared distance, each (H, W, K)."""
    index = _no_index(points, image_size, num_kept)
    depth, distance2 = index.to(torch.float32), index.to(torch.float32)
    _find(points, image_size, radius, index, (depth, distance2))
    return index, depth, distance2


def find_index(
    points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
) -> torch.Tensor:
    """Only the index, (H, W, K): the rest is quickly worked out again from the points."""
    index = _no_index(points, image_size, num_kept)
    _find(points, image_size, radius, index, None)
    return index


def _no_index(points: torch.Tensor, image_size: tuple[int, int], num_kept: int) -> torch.Tensor:
    return torch.full((*image_size, num_kept), -1, dtype=torch.int32, device=points.device)


def _find(
    points: torch.Tensor,
    image_size: tuple[int, int],
    radius: float,
    index: torch.Tensor,
    distances: tuple[torch.Tensor, torch.Tensor] | None,
) -> None:
    bins = bin_points(points, image_size, radius)
    depth, distance2 = distances or (points, points)
    num_blocks = triton.cdiv(image_size[0], BLOCK_SIDE) * triton.cdiv(image_size[1], BLOCK_SIDE)
    launch(
        kernels.find_nearest, (num_blocks,), points, bins.order, bins.starts, index, depth,
        distance2, *_image_arguments(image_size), _squared_radius(radius), index.shape[2],
        bins.side, bins.across, NUM_SLOTS=bins.num_slots, SIDE=BLOCK_SIDE, CHUNK=_POINTS_AT_ONCE,
        INDEX_ONLY=distances is None, num_warps=8,
    )  # fmt: skip


def blend(
    geometry: torch.Tensor,
    index: torch.Tensor,
    features: torch.Tensor,
    radius: float,
    from_points: bool,
) -> torch.Tensor:
    """The image (H, W, C); ``geometry`` is the points, or the squared distances."""
    height, width, num_kept = index.shape
    num_channels = features.shape[1]
    image = features.new_empty(height, width, num_channels)
    if not num_channels:
        return image
    at_once = channels_at_once(num_channels)
    grid = (_num_pixel_programs(index), triton.cdiv(num_channels, at_once))
    launch(
        kernels.blend, grid, geometry, index, features, image,
        *_image_arguments((height, width)), _squared_radius(radius), NUM_KEPT=num_kept,
        NUM_CHANNELS=num_channels, FROM_POINTS=from_points, PIXELS=_PIXELS_PER_PROGRAM,
        CHANNELS=at_once,
    )  # fmt: skip
    return image


def blend_gradients(
    geometry: torch.Tensor,
    index: torch.Tensor,
    features: torch.Tensor,
    radius: float,
    grad_image: torch.Tensor,
    from_points: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of `blend` by ``geometry`` and by the features."""
    height, width, num_kept = index.shape
    grad_geometry, grad_features = torch.zeros_like(geometry), torch.zeros_like(features)
    num_channels = features.shape[1]
    if num_channels:
        through_before = torch.empty_like(index, dtype=torch.float32)
        launch(
            kernels.blend_gradients, (_num_pixel_programs(index),), geometry, index,
            features, grad_image.contiguous(), through_before, grad_geometry, grad_features,
            *_image_arguments((height, width)), _squared_radius(radius), NUM_KEPT=num_kept,
            NUM_CHANNELS=num_channels, FROM_POINTS=from_points, PIXELS=_PIXELS_PER_PROGRAM,
            CHANNELS=channels_at_once(num_channels),
        )  # fmt: skip
    return grad_geometry, grad_features


def scatter_distances(
    points: torch.Tensor, index: torch.Tensor, grad_distance2: torch.Tensor
) -> torch.Tensor:
    """Gradients by the points, (N, 3), from those by the squared distances; none by z."""
    height, width, num_kept = index.shape
    grad_points = torch.zeros_like(points)
    launch(
        kernels.scatter_distances, (_num_pixel_programs(index),), points, index,
        grad_distance2.contiguous(), grad_points, *_image_arguments((height, width)),
        NUM_KEPT=num_kept, PIXELS=_PIXELS_PER_PROGRAM,
    )  # fmt: skip
    return grad_points


def mark_visible(
    index: torch.Tensor,
    distance2: torch.Tensor,
    radius: float,
    num_points: int,
    min_weight: float,
) -> torch.Tensor:
    """Points first in a pixel or weighing more than ``min_weight`` in one, (N,) bool."""
    height, width, num_kept = index.shape
    visible = torch.zeros(num_points, dtype=torch.uint8, device=index.device)
    launch(
        kernels.mark_visible, (_num_pixel_programs(index),), index, distance2, visible,
        height * width, _squared_radius(radius), float(np.float32(min_weight)), NUM_KEPT=num_kept,
        PIXELS=_PIXELS_PER_PROGRAM,
    )  # fmt: skip
    return visible.to(torch.bool)


def _squared_radius(radius: float) -> float:
    """In float32, as the comparison is; infinite where float32 ends."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(radius) * np.float32(radius))


def _image_arguments(image_size: tuple[int, int]) -> tuple[int, int, float, float]:
    """What kernels are told of the image: height, width, and how long its axes are in NDC."""
    height, width = image_size
    return height, width, float(axis_span(width, height)), float(axis_span(height, width))


def _num_pixel_programs(index: torch.Tensor) -> int:
    return int(triton.cdiv(index.shape[0] * index.shape[1], _PIXELS_PER_PROGRAM))


def channels_at_once(num_channels: int) -> int:
    """How many channels one program blends."""
    return min(int(triton.next_power_of_2(num_channels)), _MOST_CHANNELS_AT_ONCE)
