"""Which points of a set are near others, by a k-d tree."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def are_near(points: Tensor, others: Tensor, distance: float) -> Tensor:
    """(N,) bool, which points (N, 3) have one of others (M, 3) so near."""
    from scipy.spatial import cKDTree

    apart, _ = cKDTree(others.numpy()).query(points.numpy(), distance_upper_bound=distance)
    return torch.from_numpy(np.isfinite(apart))


def nearness(points: Tensor, others: Tensor, reach: float, fades: float) -> Tensor:
    """(N,) in 0..1, how near points (N, 3) are to others (M, 3): nothing from a reach on, and all
    but over a share of that, over which it fades."""
    if not len(others):
        return torch.zeros(len(points))
    apart = nearest(points, others, 1)[0][:, 0].float()
    return ((reach - apart) / (fades * reach)).clamp(0, 1)


def nearest(points: Tensor, others: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances and indices (N, K), nearest first, of so many others (M, 3) from points (N, 3)."""
    from scipy.spatial import cKDTree

    ranks = list(range(1, count + 1))
    apart, index = cKDTree(others.numpy()).query(points.numpy(), k=ranks)
    return torch.from_numpy(np.asarray(apart)), torch.from_numpy(np.asarray(index))
