"""The three networks of an avatar: deformer, geometry, shading.

Shapes and formulas are those of the published model (PEGASUS, CVPR 2024, arXiv 2402.10636); sizes
are free. The latent code is the same for all points of one evaluation, so it is folded into the
bias of every layer that reads it and costs nothing per point.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.deformer import CodedDeformer, Deformer
from pegasus_runtime.avatar.geometry import CodedGeometry, Geometry
from pegasus_runtime.avatar.layers import Map, WeightNormLinear, fold_code
from pegasus_runtime.avatar.sizes import NetworkSizes


class CodedNetworks:
    """An avatar's networks for one latent code, each folded when it is first asked for."""

    def __init__(self, networks: AvatarNetworks, code: Tensor) -> None:
        """Take networks and a latent code (L,)."""
        self._networks, self._code = networks, code

    @cached_property
    def deformer(self) -> CodedDeformer:
        """Where points go."""
        return self._networks.deformer.at(self._code)

    @cached_property
    def geometry(self) -> CodedGeometry:
        """How far they are from the surface, and their colours; who wants places needs none."""
        return self._networks.geometry.at(self._code)

    @property
    def surface_offset(self) -> Map:
        """From the deformer's hidden layer to the offset onto the head's surface: (3, D), (3,)."""
        return self._networks.deformer.offset_map()


class Shading(nn.Module):
    """Light that a surface direction receives, as a factor of the albedo."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        widths = [3 + sizes.latent_size] + [sizes.shading_width] * sizes.shading_depth + [3]
        self.layers = nn.ModuleList(
            WeightNormLinear(a, b) for a, b in zip(widths, widths[1:], strict=False)
        )

    def forward(self, normals: Tensor, code: Tensor) -> Tensor:
        """Shading (N, 3) in 0..1 of unit normals (N, 3)."""
        first = self.layers[0]
        assert isinstance(first, WeightNormLinear)
        weight, bias = fold_code(first, 3, code)
        values = torch.addmm(bias, normals, weight.T)
        for layer in self.layers[1:]:
            values = layer(torch.relu(values))
        return torch.sigmoid(values)


class AvatarNetworks(nn.Module):
    """Deformer, geometry and shading of one avatar."""

    def __init__(self, sizes: NetworkSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or NetworkSizes()
        self.deformer = Deformer(self.sizes)
        self.geometry = Geometry(self.sizes)
        self.shading = Shading(self.sizes)

    def at(self, code: Tensor) -> CodedNetworks:
        """The networks for a latent code (L,), but for the shading."""
        return CodedNetworks(self, code)

    def freeze(self) -> AvatarNetworks:
        """Prepare for evaluation alone: what depends on parameters only is worked out once."""
        for layer in self.modules():
            if isinstance(layer, WeightNormLinear):
                layer.freeze()
        return self.eval()

    def set_tangent_dtype(self, dtype: torch.dtype) -> None:
        """Precision in which derivatives travel through the networks."""
        self.deformer.tangent_dtype = self.geometry.tangent_dtype = dtype
