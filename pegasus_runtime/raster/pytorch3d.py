"""The engine that calls PyTorch3D, where it is installed; its conventions are ours."""

from __future__ import annotations

import torch
from pytorch3d.renderer.compositing import alpha_composite
from pytorch3d.renderer.points.rasterize_points import rasterize_points
from pytorch3d.structures import Pointclouds

from pegasus_runtime.raster.torch_reference import mark_visible

__all__ = ["composite", "mark_visible", "rasterize", "render"]


def rasterize(
    points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index (H, W, K) int32, depth and squared distance; see `engine.Engine`."""
    if len(points) == 0:
        empty = points.new_full((*image_size, num_kept), -1.0)
        return empty.to(torch.int32), empty, empty
    # Points that are not finite are put behind the camera, which is where they are dropped.
    finite = torch.isfinite(points).all(dim=1, keepdim=True)
    drawn = torch.where(finite, points, -1.0).float()
    index, depth, distance2 = rasterize_points(
        Pointclouds([drawn]), image_size=image_size, radius=radius, points_per_pixel=num_kept
    )
    return index[0].to(torch.int32), depth[0].detach(), distance2[0]


def composite(
    index: torch.Tensor, distance2: torch.Tensor, features: torch.Tensor, radius: float
) -> torch.Tensor:
    """Blend to (H, W, C); see `engine.Engine`."""
    if len(features) == 0:
        return features.sum(dim=0).expand(*index.shape[:2], -1)
    alpha = 1.0 - distance2 / (radius * radius)
    layers_first = index.long().permute(2, 0, 1)[None]
    image: torch.Tensor = alpha_composite(
        layers_first, alpha.permute(2, 0, 1)[None], features.float().T.contiguous()
    )
    return image.squeeze(0).permute(1, 2, 0)


def render(
    points: torch.Tensor,
    features: torch.Tensor,
    image_size: tuple[int, int],
    radius: float,
    num_kept: int,
) -> torch.Tensor:
    """Rasterise and blend, (H, W, C); see `engine.Engine`."""
    index, _, distance2 = rasterize(points, image_size, radius, num_kept)
    return composite(index, distance2, features, radius)
