"""The three networks of an avatar: deformer, geometry, shading.

Shapes and formulas are those of the published model (PEGASUS, CVPR 2024, arXiv 2402.10636); sizes
are free. The latent code is the same for all points of one evaluation, so it is folded into the
bias of every layer that reads it and costs nothing per point.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.deformer import CodedDeformer, Deformer
from pegasus_runtime.avatar.geometry import CodedGeometry, Geometry
from pegasus_runtime.avatar.layers import Map, WeightNormLinear, fold_code
from pegasus_runtime.avatar.sizes import NetworkSizes


@dataclass(frozen=True)
class CodedShading:
    """A shading network for one latent code, which is folded into its first bias."""

    maps: list[Map]
    """with a ReLU between one and the next"""

    def __call__(self, normals: Tensor) -> Tensor:
        """Shading (N, 3) in 0..1 of unit normals (N, 3)."""
        (weight, bias), *others = self.maps
        values = torch.addmm(bias, normals, weight.T)
        for weight, bias in others:
            values = torch.addmm(bias, torch.relu(values), weight.T)
        return torch.sigmoid(values)


@dataclass(frozen=True)
class CodedNetworks:
    """An avatar's networks for one latent code."""

    deformer: CodedDeformer
    """Where points go."""
    geometry: CodedGeometry
    """How far they are from the surface, and their colours."""
    shading: CodedShading
    """Light that they receive."""
    surface_offset: Map
    """(3, D) and (3,), from the deformer's hidden layer to the offset onto the head's surface"""


class Shading(nn.Module):
    """Light that a surface direction receives, as a factor of the albedo."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        widths = [3 + sizes.latent_size] + [sizes.shading_width] * sizes.shading_depth + [3]
        self.layers = nn.ModuleList(
            WeightNormLinear(a, b) for a, b in zip(widths, widths[1:], strict=False)
        )

    def at(self, code: Tensor) -> CodedShading:
        """The network for a latent code (L,)."""
        first, *others = self.layers
        assert isinstance(first, WeightNormLinear)
        maps = [fold_code(first, 3, code)]
        for layer in others:
            assert isinstance(layer, WeightNormLinear)
            maps.append((layer.weight, layer.bias))
        return CodedShading(maps)

    def forward(self, normals: Tensor, code: Tensor) -> Tensor:
        """As `CodedShading`, for a latent code (L,)."""
        return self.at(code)(normals)


class AvatarNetworks(nn.Module):
    """Deformer, geometry and shading of one avatar."""

    def __init__(self, sizes: NetworkSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or NetworkSizes()
        self.deformer = Deformer(self.sizes)
        self.geometry = Geometry(self.sizes)
        self.shading = Shading(self.sizes)

    def at(self, code: Tensor) -> CodedNetworks:
        """The networks for a latent code (L,)."""
        return CodedNetworks(
            self.deformer.at(code),
            self.geometry.at(code),
            self.shading.at(code),
            self.deformer.offset_map(),
        )

    def freeze(self) -> AvatarNetworks:
        """Prepare for evaluation alone: what depends on parameters only is worked out once."""
        for layer in self.modules():
            if isinstance(layer, WeightNormLinear):
                layer.freeze()
        return self.eval()
