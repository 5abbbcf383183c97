"""Morton order (Z-order) of points: in it those that follow each other lie near each other."""

from __future__ import annotations

import torch
from torch import Tensor

_BITS = 10
"""of each coordinate: cells a thousandth of the whole wide; more take longer, fewer leave
neighbours in no order"""


@torch.no_grad()
def morton_order(points: Tensor) -> Tensor:
    """Indices (N,) of points (N, 3) along a Z-shaped curve through space (Morton 1966)."""
    if not len(points):
        return torch.zeros(0, dtype=torch.long, device=points.device)
    finite = torch.nan_to_num(points)
    low = finite.amin(dim=0)
    scale = (2**_BITS - 1) / (finite.amax(dim=0) - low).amax().clamp_min(1e-20)
    cells = ((finite - low) * scale).long()
    along = torch.zeros_like(cells[:, 0])
    for bit in range(_BITS):
        for axis in range(3):
            along |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return along.argsort(stable=True)
