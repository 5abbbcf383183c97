"""Nearest vertex of a mesh for each of many points."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime import devices

_CHUNK = 8192
"""Points at a time: more takes memory (times the head's vertices), fewer more calls."""


@torch.no_grad()
def nearest_vertices(points: Tensor, vertices: Tensor) -> Tensor:
    """Index (N,) of the vertex (V, 3) nearest to each point (N, 3); some, if it is no number."""
    if devices.has_loops(points.device):
        from scipy.spatial import cKDTree

        finite = torch.nan_to_num(points.detach(), nan=0.0, posinf=0.0, neginf=0.0)
        _, found = cKDTree(vertices.detach().numpy()).query(finite.numpy(), workers=-1)
        return torch.from_numpy(found).long()
    chunks = [torch.cdist(part, vertices).argmin(dim=1) for part in points.split(_CHUNK)]
    return torch.cat(chunks) if chunks else torch.empty(0, dtype=torch.long, device=points.device)
