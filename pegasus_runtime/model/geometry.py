"""The geometry network: signed distance, albedo and part of canonical points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pegasus_runtime.model.activation import softplus, softplus_slope
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.encoding import encode_position, through_encoding
from pegasus_runtime.model.layers import Affine, WeightNormLinear, fold_code

_ALBEDO_SHARPNESS = 10.0
"""Of the paper: colours are learned so many times faster, and are sooner black or white."""


@dataclass
class GeometryOutput:
    """Signed distance, colour and part of N canonical points."""

    sdf: Tensor
    """(N,)"""
    sdf_gradient: Tensor | None
    """(N, 3), None when it was not asked for."""
    albedo: Tensor
    """(N, 3) in 0..1"""
    segmentation: Tensor
    """(N,) logit, > 0 inside the attribute's region."""


@dataclass(frozen=True)
class ConditionedGeometry:
    """A geometry network for one latent code, which is folded into its biases.

    The distance's gradient is written out: one pass goes forward and one back. Forward tangents
    would cost three more passes than the values; the gradient of one number costs one. Written as
    ordinary operations it needs no graph, and training can differentiate it in turn.
    """

    num_frequencies: int
    skip: int
    """number of the map that reads ``concat(previous, inputs)``; 0 for none"""
    maps: list[Affine]
    """each with a softplus behind it"""
    output: Affine
    """(4, D) and (4,), from the last layer to distance and colours"""
    part: Affine
    """(1, D) and (1,), from what the last map reads to the part's logit, which knows no softplus"""

    def __call__(self, points: Tensor, slope: bool = False) -> GeometryOutput:
        """Everything about points (N, 3) p', and on demand the distance's gradient."""
        local = encode_position(points, self.num_frequencies)
        read, values, slopes = local, local, []
        for index, (weight, bias) in enumerate(self.maps):
            read = torch.cat([values, local], dim=1) if index and index == self.skip else values
            logits = torch.addmm(bias, read, weight.T)
            values = softplus(logits)
            if slope:
                slopes.append(softplus_slope(logits))
        gradient = self._go_back(slopes, local) if slope else None
        found = torch.addmm(self.output[1], values, self.output[0].T)
        part = torch.addmm(self.part[1], read, self.part[0].T)
        return GeometryOutput(
            sdf=found[:, 0],
            sdf_gradient=gradient,
            albedo=colour_of(found[:, 1:]),
            segmentation=part[:, 0],
        )

    def _go_back(self, slopes: list[Tensor], local: Tensor) -> Tensor:
        """The distance's gradient (N, 3), from the output back to the points."""
        back = self.output[0][0] * slopes[-1]
        skipped: Tensor | float = 0.0
        for index in range(len(self.maps) - 1, 0, -1):
            back = back @ self.maps[index][0]
            if index == self.skip:
                skipped = back[:, -local.shape[1] :]
                back = back[:, : -local.shape[1]]
            back = back * slopes[index - 1]
        encoded = back @ self.maps[0][0] + skipped
        return through_encoding(encoded, local, self.num_frequencies)


def colour_of(logits: Tensor) -> Tensor:
    """Albedo (N, 3) in 0..1."""
    return torch.sigmoid(logits * _ALBEDO_SHARPNESS)


class Geometry(nn.Module):
    """Signed distance, albedo and segmentation of a canonical point."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.num_frequencies = sizes.num_frequencies
        self.skip = sizes.geometry_skip
        self.num_local = 3 + 6 * sizes.num_frequencies
        num_inputs = self.num_local + sizes.latent_size
        width = sizes.geometry_width
        self.layers = nn.ModuleList()
        previous = num_inputs
        for index in range(sizes.geometry_depth):
            before_skip = self.skip > 0 and index == self.skip - 1
            narrow = width - num_inputs if width > num_inputs else width
            num_outputs = narrow if before_skip else width
            if self.skip > 0 and index == self.skip:
                previous += num_inputs
            self.layers.append(WeightNormLinear(previous, num_outputs))
            previous = num_outputs
        self.output = WeightNormLinear(width, 4)
        self.segmentation = WeightNormLinear(width, 1)

    def condition(self, code: Tensor) -> ConditionedGeometry:
        """The network for a latent code (L,)."""
        maps: list[Affine] = []
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, WeightNormLinear)
            weight: Tensor = layer.weight
            bias: Tensor = layer.bias
            if index == 0:
                weight, bias = fold_code(layer, self.num_local, code)
            elif index == self.skip:
                weight, bias = fold_code_after_skip(weight, bias, weight.shape[1] - len(code), code)
            maps.append((weight, bias))
        # The part reads the last layer before its softplus: two maps with nothing between are one.
        weight, bias = maps[-1]
        part = self.segmentation.weight @ weight, self.segmentation(bias)
        output = self.output.weight, self.output.bias
        return ConditionedGeometry(self.num_frequencies, self.skip, maps, output, part)

    def forward(self, points: Tensor, code: Tensor, slope: bool = False) -> GeometryOutput:
        """Everything about points (N, 3) for a code (L,)."""
        return self.condition(code)(points, slope)


def fold_code_after_skip(
    weight: Tensor, bias: Tensor, num_local: int, code: Tensor
) -> tuple[Tensor, Tensor]:
    """As `fold_code`, for the layer whose input is concat(previous, input) / √2."""
    scaled = weight * math.sqrt(0.5)
    return scaled[:, :num_local], bias + scaled[:, num_local:] @ code
