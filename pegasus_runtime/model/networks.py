"""The three networks of an avatar: deformer, geometry, shading.

Shapes and formulas are those of the published model (PEGASUS, CVPR 2024, arXiv 2402.10636); sizes
are free. The latent code is the same for all points of one evaluation, so it is folded into the
bias of every layer that reads it and costs nothing per point.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.deformer import ConditionedDeformer, Deformer
from pegasus_runtime.model.geometry import ConditionedGeometry, Geometry
from pegasus_runtime.model.layers import Affine, WeightNormLinear
from pegasus_runtime.model.shading import ConditionedShading, Shading


@dataclass(frozen=True)
class ConditionedNetworks:
    """An avatar's networks for one latent code."""

    deformer: ConditionedDeformer
    """Where points go."""
    geometry: ConditionedGeometry
    """How far they are from the surface, and their colours."""
    shading: ConditionedShading
    """Light that they receive."""
    surface_offset: Affine
    """(3, D) and (3,), from the deformer's hidden layer to the offset onto the head's surface"""


class AvatarNetworks(nn.Module):
    """Deformer, geometry and shading of one avatar."""

    def __init__(self, sizes: NetworkSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or NetworkSizes()
        self.deformer = Deformer(self.sizes)
        self.geometry = Geometry(self.sizes)
        self.shading = Shading(self.sizes)

    def condition(self, code: Tensor) -> ConditionedNetworks:
        """The networks for a latent code (L,)."""
        return ConditionedNetworks(
            self.deformer.condition(code),
            self.geometry.condition(code),
            self.shading.condition(code),
            self.deformer.offset_map(),
        )

    def freeze(self) -> AvatarNetworks:
        """Prepare for evaluation alone: what depends on parameters only is worked out once."""
        for layer in self.modules():
            if isinstance(layer, WeightNormLinear):
                layer.freeze()
        return self.eval()
