"""Shading look-up table (LUT), baked on a sphere of directions.

For one latent code shading depends on the normal alone. It is evaluated once on a grid over the
octahedral map (Cigolle et al. 2014, "A Survey of Efficient Representations for Independent Unit
Vectors"), and looked up with bilinear interpolation from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime import devices

MAX_ERROR = 1 / 255
"""Of a baked shade: less needs a larger table or none, more becomes visible as bands."""
_SIDES = (65, 129, 257)
"""of grids; each holds the nodes of the one before; the first whose error is small enough is taken,
and a further one would cost more memory"""


@dataclass
class ShadingLUT:
    """Shading by direction."""

    values: Tensor
    """(R, R, 3) at the nodes of the octahedral map"""

    def __call__(self, normals: Tensor) -> Tensor:
        """Shading (N, 3) of unit normals (N, 3)."""
        if not devices.has_loops(normals.device):
            return interpolate(self.values, normals)
        import numba

        from pegasus_runtime.cpu.shading_lut import look_up

        shading = torch.empty_like(normals)
        look_up(
            self.values.numpy(), normals.contiguous().numpy(), numba.get_num_threads(),
            shading.numpy(),
        )  # fmt: skip
        return shading


def bake_shading(
    shade: Callable[[Tensor], Tensor], device: torch.device, max_error: float = MAX_ERROR
) -> ShadingLUT | None:
    """The smallest table that is within ``max_error`` of a network, or None if none is.

    Args:
        shade: gives shading (N, 3) of unit normals (N, 3).
        device: of the table.
        max_error: largest difference.

    A table is judged by its every second node: what interpolates those is compared with the
    network's own values at all nodes. The table itself, twice as fine, is closer than that.
    """
    for side in _SIDES:
        values = shade(grid_directions(side, device)).view(side, side, 3)
        if _coarse_error(values) <= max_error:
            return ShadingLUT(values.contiguous())
    return None


def _coarse_error(values: Tensor) -> float:
    coarse = values[::2, ::2].permute(2, 0, 1)[None]
    finer = torch.nn.functional.interpolate(
        coarse, size=values.shape[:2], mode="bilinear", align_corners=True
    )
    return float((finer[0].permute(1, 2, 0) - values).abs().max())


def grid_directions(side: int, device: torch.device) -> Tensor:
    """Unit directions (side², 3) of the nodes, row after row (y), in [-1, 1]²."""
    line = torch.linspace(-1, 1, side, device=device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    z = 1 - x.abs() - y.abs()
    fold = (-z).clamp_min(0)
    x, y = x - torch.copysign(fold, x), y - torch.copysign(fold, y)
    directions = torch.stack([x, y, z], dim=-1).view(-1, 3)
    return torch.nn.functional.normalize(directions, dim=1)


def interpolate(values: Tensor, normals: Tensor) -> Tensor:
    """Bilinear look-up in (R, R, 3) of unit normals (N, 3); NaN gives the value at a corner."""
    x, y, z = torch.nan_to_num(normals).unbind(dim=1)
    length = (x.abs() + y.abs() + z.abs()).clamp_min(1e-12)
    x, y = x / length, y / length
    folded_x = torch.copysign(1 - y.abs(), x)
    folded_y = torch.copysign(1 - x.abs(), y)
    x, y = torch.where(z < 0, folded_x, x), torch.where(z < 0, folded_y, y)
    last = len(values) - 1
    across, down = ((v + 1) * (0.5 * last) for v in (x, y))
    column = across.floor().clamp(0, last - 1)
    row = down.floor().clamp(0, last - 1)
    right, below = (across - column)[:, None], (down - row)[:, None]
    first = (row * (last + 1) + column).long()
    flat = values.reshape(-1, 3)
    upper = torch.lerp(flat[first], flat[first + 1], right)
    lower = torch.lerp(flat[first + last + 1], flat[first + last + 2], right)
    return torch.lerp(upper, lower, below)
