"""The CUDA engine: Triton kernels, float32, forward and backward, without waiting for the device.

Tensors elsewhere or of another type are brought to float32 on the CUDA device, and the results go
back. With TRITON_INTERPRET=1 the kernels run in Triton's interpreter on the CPU: for tests only.

Gradients that several pixels send to one point are added by atomic operations, in whatever order
they arrive: two runs agree up to the rounding of such a sum.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from pegasus_runtime.raster.triton.support import require_triton, to_device

# Before anything imports Triton, which takes its time, and without CUDA for nothing.
require_triton()

from pegasus_runtime.raster.triton import launch  # noqa: E402
from pegasus_runtime.raster.triton.surfels import blend, largest_weights  # noqa: E402

__all__ = ["blend", "composite", "largest_weights", "mark_visible", "rasterize", "render"]


def rasterize(
    points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index (H, W, K) int32, depth and squared distance; see `engine.Engine`."""
    found = _apply(_Rasterize, to_device(points), image_size, radius, num_kept)
    index, depth, distance2 = (tensor.to(points.device) for tensor in found)
    return index, depth, distance2


def composite(
    index: torch.Tensor, distance2: torch.Tensor, features: torch.Tensor, radius: float
) -> torch.Tensor:
    """Blend to (H, W, C); see `engine.Engine`."""
    rows = to_device(index.detach(), torch.int32)
    image: torch.Tensor = _apply(
        _Composite, rows, to_device(distance2), to_device(features), radius
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
        _Render, to_device(points), to_device(features), image_size, radius, num_kept
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
    visible = launch.mark_visible(
        to_device(index, torch.int32),
        to_device(distance2.detach()),
        radius,
        num_points,
        min_weight,
    )
    return visible.to(index.device)


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    return function.apply(*arguments)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        index, depth, distance2 = launch.find_fragments(points, image_size, radius, num_kept)
        ctx.mark_non_differentiable(index, depth)
        ctx.save_for_backward(points, index)
        return index, depth, distance2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        points, index = ctx.saved_tensors
        grad_points = launch.scatter_distances(points, index, gradients[2])
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
        return launch.blend(distance2, index, features, radius, from_points=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        index, distance2, features = ctx.saved_tensors
        grad_distance2, grad_features = launch.blend_gradients(
            distance2, index, features, ctx.radius, gradients[0], from_points=False
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
        index = launch.find_index(points, image_size, radius, num_kept)
        ctx.save_for_backward(points, features, index)
        ctx.radius = radius
        return launch.blend(points, index, features, radius, from_points=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        points, features, index = ctx.saved_tensors
        grad_points, grad_features = launch.blend_gradients(
            points, index, features, ctx.radius, gradients[0], from_points=True
        )
        return grad_points, grad_features, None, None, None
