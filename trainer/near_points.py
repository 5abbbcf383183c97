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


def nearest(points: Tensor, others: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances and indices (N, K), nearest first, of so many others (M, 3) from points (N, 3)."""
    from scipy.spatial import cKDTree

    ranks = list(range(1, count + 1))
    apart, index = cKDTree(others.numpy()).query(points.numpy(), k=ranks)
    return torch.from_numpy(np.asarray(apart)), torch.from_numpy(np.asarray(index))
