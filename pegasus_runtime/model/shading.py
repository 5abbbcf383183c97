"""The shading network: light that a surface direction receives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.layers import Affine, WeightNormLinear, fold_code


@dataclass(frozen=True)
class ConditionedShading:
    """A shading network for one latent code, which is folded into its first bias."""

    maps: list[Affine]
    """with a ReLU between one and the next"""

    def __call__(self, normals: Tensor) -> Tensor:
        """Shading (N, 3) in 0..1 of unit normals (N, 3)."""
        (weight, bias), *others = self.maps
        values = torch.addmm(bias, normals, weight.T)
        for weight, bias in others:
            values = torch.addmm(bias, torch.relu(values), weight.T)
        return torch.sigmoid(values)


class Shading(nn.Module):
    """Light that a surface direction receives, as a factor of the albedo."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        widths = [3 + sizes.latent_size] + [sizes.shading_width] * sizes.shading_depth + [3]
        self.layers = nn.ModuleList(
            WeightNormLinear(a, b) for a, b in zip(widths, widths[1:], strict=False)
        )

    def condition(self, code: Tensor) -> ConditionedShading:
        """The network for a latent code (L,)."""
        first, *others = self.layers
        assert isinstance(first, WeightNormLinear)
        maps = [fold_code(first, 3, code)]
        for layer in others:
            assert isinstance(layer, WeightNormLinear)
            maps.append((layer.weight, layer.bias))
        return ConditionedShading(maps)

    def forward(self, normals: Tensor, code: Tensor) -> Tensor:
        """As `ConditionedShading`, for a latent code (L,)."""
        return self.condition(code)(normals)
