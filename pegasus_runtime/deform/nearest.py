"""Nearest vertex of a mesh for each of many points."""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK = 8192


@torch.no_grad()
def nearest_vertices(points: Tensor, vertices: Tensor) -> Tensor:
    """Index (N,) of the vertex (V, 3) nearest to each point (N, 3)."""
    if points.device.type == "cpu":
        return _by_tree(points, vertices)
    found = [torch.cdist(part, vertices).argmin(dim=1) for part in points.split(_CHUNK)]
    return torch.cat(found) if found else torch.empty(0, dtype=torch.long, device=points.device)


def _by_tree(points: Tensor, vertices: Tensor) -> Tensor:
    from scipy.spatial import cKDTree

    finite = torch.nan_to_num(points.detach(), nan=0.0, posinf=0.0, neginf=0.0)
    _, index = cKDTree(vertices.detach().numpy()).query(finite.numpy(), workers=-1)
    return torch.as_tensor(index, dtype=torch.long)
