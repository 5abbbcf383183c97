"""The CUDA engine: Triton kernels, float32, forward and backward, without waiting for the device.

Tensors elsewhere or of another type are brought to float32 on the CUDA device, and the results go
back. With TRITON_INTERPRET=1 the kernels run in Triton's interpreter on the CPU: for tests only.

Gradients that several pixels send to one point are added by atomic operations, in whatever order
they arrive: two runs agree up to the rounding of such a sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from pegasus_runtime.raster.pixel_grid import axis_span
from pegasus_runtime.raster.triton_support import require_triton

INTERPRETED = require_triton()

import triton  # noqa: E402 - only where it can run: importing it is slow

from pegasus_runtime.raster import triton_kernels  # noqa: E402
from pegasus_runtime.raster.triton_bins import BLOCK_SIDE, bin_points  # noqa: E402

_POINTS_AT_ONCE = 16
_PIXELS_PER_PROGRAM = 128
_MOST_CHANNELS_AT_ONCE = 16


def rasterize(
    points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index (H, W, K) int32, depth and squared distance; see `engine.Engine`."""
    found = _apply(_Rasterize, _on_device(points), image_size, radius, num_kept)
    index, depth, distance2 = (tensor.to(points.device) for tensor in found)
    return index, depth, distance2


def composite(
    index: torch.Tensor, distance2: torch.Tensor, features: torch.Tensor, radius: float
) -> torch.Tensor:
    """Blend to (H, W, C); see `engine.Engine`."""
    rows = _on_device(index.detach(), torch.int32)
    image: torch.Tensor = _apply(
        _Composite, rows, _on_device(distance2), _on_device(features), radius
    )
    return image.to(features.device)


def render(
    points: torch.Tensor,
    features: torch.Tensor,
    image_size: tuple[int, int],
    radius: float,
    num_kept: int,
) -> torch.Tensor:
    """Rasterise and blend, keeping nothing but the index, (H, W, C); see `engine.Engine`."""
    image: torch.Tensor = _apply(
        _Render, _on_device(points), _on_device(features), image_size, radius, num_kept
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
    rows, squared = _on_device(index, torch.int32), _on_device(distance2.detach())
    visible = torch.zeros(num_points, dtype=torch.uint8, device=rows.device)
    height, width, num_kept = rows.shape
    _launch(
        triton_kernels.mark_visible, _pixel_programs((height, width)), rows, squared, visible,
        height * width, _squared_radius(radius), float(np.float32(min_weight)),
        NUM_KEPT=num_kept, PIXELS=_PIXELS_PER_PROGRAM,
    )  # fmt: skip
    return visible.to(index.device, torch.bool)


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    return function.apply(*arguments)


def _on_device(tensor: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    if INTERPRETED:
        return tensor.to("cpu", dtype).contiguous()
    return tensor.to(tensor.device if tensor.is_cuda else "cuda", dtype).contiguous()


def _launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    # A kernel starts on the current device, which need not be that of its tensors.
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, **constants, enable_fp_fusion=False)


def _squared_radius(radius: float) -> float:
    """In float32, as the comparison is; infinite where float32 ends."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(radius) * np.float32(radius))


def _geometry(image_size: tuple[int, int]) -> tuple[int, int, float, float]:
    """What every kernel is told of the image: height, width, and how long its axes are in NDC."""
    height, width = image_size
    return height, width, float(axis_span(width, height)), float(axis_span(height, width))


def _pixel_programs(image_size: tuple[int, int]) -> tuple[int]:
    return (triton.cdiv(image_size[0] * image_size[1], _PIXELS_PER_PROGRAM),)


def _channels_at_once(num_channels: int) -> int:
    return min(int(triton.next_power_of_2(num_channels)), _MOST_CHANNELS_AT_ONCE)


def _find(
    points: torch.Tensor,
    image_size: tuple[int, int],
    radius: float,
    index: torch.Tensor,
    distances: tuple[torch.Tensor, torch.Tensor] | None,
) -> None:
    """Fill ``index`` and, if given, depth and squared distance, each (H, W, K) with -1 in it."""
    bins = bin_points(points, image_size, radius)
    depth, distance2 = distances or (points, points)
    num_blocks = triton.cdiv(image_size[0], BLOCK_SIDE) * triton.cdiv(image_size[1], BLOCK_SIDE)
    _launch(
        triton_kernels.find_nearest, (num_blocks,), points, bins.order, bins.starts, index, depth,
        distance2, *_geometry(image_size), _squared_radius(radius), index.shape[2], bins.side,
        bins.across, NUM_SLOTS=bins.num_slots, SIDE=BLOCK_SIDE, CHUNK=_POINTS_AT_ONCE,
        INDEX_ONLY=distances is None, num_warps=8,
    )  # fmt: skip


def _blend(
    index: torch.Tensor,
    features: torch.Tensor,
    radius: float,
    points: torch.Tensor | None = None,
    distance2: torch.Tensor | None = None,
) -> torch.Tensor:
    """The image (H, W, C), from the points or from the squared distances."""
    height, width, num_kept = index.shape
    num_channels = features.shape[1]
    image = features.new_empty(height, width, num_channels)
    if not num_channels:
        return image
    at_once = _channels_at_once(num_channels)
    grid = (*_pixel_programs((height, width)), triton.cdiv(num_channels, at_once))
    _launch(
        triton_kernels.blend, grid, features if points is None else points, index,
        features if distance2 is None else distance2, features, image,
        *_geometry((height, width)), _squared_radius(radius), NUM_KEPT=num_kept,
        NUM_CHANNELS=num_channels, FROM_POINTS=points is not None, PIXELS=_PIXELS_PER_PROGRAM,
        CHANNELS=at_once,
    )  # fmt: skip
    return image


def _blend_gradients(
    index: torch.Tensor,
    features: torch.Tensor,
    radius: float,
    grad_image: torch.Tensor,
    points: torch.Tensor | None = None,
    distance2: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of `_blend`: of the points or of the squared distances, and of the features."""
    height, width, num_kept = index.shape
    geometry = torch.zeros_like(points if points is not None else distance2)
    grad_features = torch.zeros_like(features)
    num_channels = features.shape[1]
    if not num_channels:
        return geometry, grad_features
    _launch(
        triton_kernels.blend_gradients, _pixel_programs((height, width)),
        features if points is None else points, index, features if distance2 is None else distance2,
        features, grad_image.contiguous(), torch.empty_like(index, dtype=torch.float32), geometry,
        geometry, grad_features, *_geometry((height, width)), _squared_radius(radius),
        NUM_KEPT=num_kept, NUM_CHANNELS=num_channels, FROM_POINTS=points is not None,
        PIXELS=_PIXELS_PER_PROGRAM, CHANNELS=_channels_at_once(num_channels),
    )  # fmt: skip
    return geometry, grad_features


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        index = _no_rows(points, image_size, num_kept)
        depth, distance2 = index.to(torch.float32), index.to(torch.float32)
        _find(points, image_size, radius, index, (depth, distance2))
        ctx.mark_non_differentiable(index, depth)
        ctx.save_for_backward(points, index)
        return index, depth, distance2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        points, index = ctx.saved_tensors
        grad_points = torch.zeros_like(points)
        height, width, num_kept = index.shape
        _launch(
            triton_kernels.scatter_distances, _pixel_programs((height, width)), points, index,
            gradients[2].contiguous(), grad_points, *_geometry((height, width)),
            NUM_KEPT=num_kept, PIXELS=_PIXELS_PER_PROGRAM,
        )  # fmt: skip
        return grad_points, None, None, None


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        index: torch.Tensor,
        distance2: torch.Tensor,
        features: torch.Tensor,
        radius: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(index, distance2, features)
        ctx.radius = radius
        return _blend(index, features, radius, distance2=distance2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        index, distance2, features = ctx.saved_tensors
        grad_distance2, grad_features = _blend_gradients(
            index, features, ctx.radius, gradients[0], distance2=distance2
        )
        return None, grad_distance2, grad_features, None


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
        index = _no_rows(points, image_size, num_kept)
        _find(points, image_size, radius, index, None)
        ctx.save_for_backward(points, features, index)
        ctx.radius = radius
        return _blend(index, features, radius, points=points)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        points, features, index = ctx.saved_tensors
        grad_points, grad_features = _blend_gradients(
            index, features, ctx.radius, gradients[0], points=points
        )
        return grad_points, grad_features, None, None, None


def _no_rows(points: torch.Tensor, image_size: tuple[int, int], num_kept: int) -> torch.Tensor:
    """Index (H, W, K) int32 of an image that nothing covers."""
    return torch.full((*image_size, num_kept), -1, dtype=torch.int32, device=points.device)
