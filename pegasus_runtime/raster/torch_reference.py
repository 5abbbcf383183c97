"""The plain engine: every point against every pixel. The oracle the others are tested against.

It works in the dtype of the points, so `torch.autograd.gradcheck` can run on it in float64.
Formulas: blended discs as in Wiles et al., "SynSin" (CVPR 2020), with the falloff of PyTorch3D.
PyTorch3D documents.
"""

from __future__ import annotations

import torch

from pegasus_runtime.raster.bands import row_bands
from pegasus_runtime.raster.pixel_grid import pixel_centres
from pegasus_runtime.raster.torch_surfels import blend, largest_weights

__all__ = ["blend", "composite", "largest_weights", "mark_visible", "rasterize", "render"]

_PAIRS_PER_CHUNK = 1 << 24
"""Points times pixels at a time: more takes memory, fewer more calls."""


def rasterize(
    points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index (H, W, K) int32, depth and squared distance; see `engine.Engine`."""
    height, width = image_size
    column_x, row_y = pixel_centres(image_size)
    x = torch.tensor(column_x).to(points)
    y = torch.tensor(row_y).to(points)
    index = find_nearest(points.detach(), x, y, radius, num_kept)
    found = index >= 0
    if len(points) == 0:
        nothing = points[:, 0].sum() + points.new_full(index.shape, -1.0)
        return index.to(torch.int32), nothing.detach(), nothing
    # Where there is none, a zero stands in: the first point may be one that is not finite.
    nearest = torch.where(found[..., None], points[index.clamp(min=0)], 0.0)
    delta_x = x.view(1, width, 1) - nearest[..., 0]
    delta_y = y.view(height, 1, 1) - nearest[..., 1]
    distance2 = torch.where(found, delta_x * delta_x + delta_y * delta_y, -1.0)
    depth = torch.where(found, nearest[..., 2].detach(), -1.0)
    return index.to(torch.int32), depth, distance2


def find_nearest(
    points: torch.Tensor, x: torch.Tensor, y: torch.Tensor, radius: float, num_kept: int
) -> torch.Tensor:
    """For every pixel the ``num_kept`` nearest points that cover it, ties by index.

    Returns:
        (H, W, K) int64, -1 where fewer cover the pixel.
    """
    valid = torch.isfinite(points).all(dim=1) & (points[:, 2] >= 0)
    # A stable sort by depth turns "nearest in z" into "first in this order".
    order = torch.nonzero(valid)[:, 0]
    order = order[torch.sort(points[order, 2], stable=True).indices]
    index = torch.full((len(y), len(x), num_kept), -1, dtype=torch.int64, device=points.device)
    if len(order) == 0:
        return index
    # The squared distance is compared in float32 as everywhere else: the radius too.
    radius2 = (torch.tensor(radius).to(points) ** 2).item()
    for first, end in row_bands((len(y), len(x)), len(order), _PAIRS_PER_CHUNK):
        rows = y[first:end]
        delta_x2 = (x[:, None] - points[order, 0]) ** 2
        delta_y2 = (rows[:, None] - points[order, 1]) ** 2
        covers = delta_x2[None, :, :] + delta_y2[:, None, :] < radius2
        index[first:end] = _first_covering(covers, order, num_kept)
    return index


def _first_covering(covers: torch.Tensor, order: torch.Tensor, num_kept: int) -> torch.Tensor:
    num_sorted = len(order)
    rank = torch.arange(num_sorted, device=order.device).expand(covers.shape)
    rank = torch.where(covers, rank, num_sorted)
    count = min(num_kept, num_sorted)
    first = torch.topk(rank, count, dim=-1, largest=False, sorted=True).values
    none = torch.full_like(order[:1], -1)
    found = torch.cat([order, none])[first]
    return torch.nn.functional.pad(found, (0, num_kept - count), value=-1)


def composite(
    index: torch.Tensor, distance2: torch.Tensor, features: torch.Tensor, radius: float
) -> torch.Tensor:
    """Sum of alpha_k · Π_{j<k}(1 − alpha_j) · feature_k; see `engine.Engine`."""
    weight = blending_weights(index, distance2, radius)
    if len(features) == 0:
        return features.sum(dim=0).expand(*index.shape[:2], -1)
    image = features.new_zeros(*index.shape[:2], features.shape[1])
    for layer in range(index.shape[2]):
        row = index[..., layer, None].long()
        chosen = torch.where(row >= 0, features[row[..., 0].clamp(min=0)], 0.0)
        image = image + weight[..., layer, None].to(features) * chosen
    return image


def blending_weights(index: torch.Tensor, distance2: torch.Tensor, radius: float) -> torch.Tensor:
    """What every fragment adds to its pixel, (H, W, K): alpha_k · Π_{j<k}(1 − alpha_j)."""
    alpha = torch.where(index >= 0, 1.0 - distance2 / (radius * radius), 0.0)
    through = torch.cumprod(1.0 - alpha, dim=-1)
    before = torch.cat([torch.ones_like(through[..., :1]), through[..., :-1]], dim=-1)
    return alpha * before


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


def mark_visible(
    index: torch.Tensor,
    distance2: torch.Tensor,
    radius: float,
    num_points: int,
    min_weight: float,
) -> torch.Tensor:
    """Points first in a pixel or weighing more than that in one; see `engine.Engine`."""
    seen = blending_weights(index, distance2, radius) > min_weight
    seen[..., 0] = True
    chosen = index[seen & (index >= 0)].long()
    visible = torch.zeros(num_points, dtype=torch.bool, device=index.device)
    visible[chosen] = True
    return visible
