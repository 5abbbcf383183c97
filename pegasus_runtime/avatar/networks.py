"""The three networks of an avatar: deformer, geometry, shading.

Shapes and formulas are those of the published model (PEGASUS, CVPR 2024, arXiv 2402.10636); sizes
are free. The latent code is the same for all points of one evaluation, so it is folded into the
bias of every layer that reads it and costs nothing per point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.activation import softplus, softplus_with_tangents
from pegasus_runtime.avatar.encoding import encode_position
from pegasus_runtime.avatar.geometry_gradient import evaluate_with_gradient
from pegasus_runtime.avatar.layers import (
    WeightNormLinear,
    fold_code,
    linear_with_tangents,
    lowered,
)
from pegasus_runtime.errors import Refused

NUM_EXPRESSIONS = 50
NUM_POSE_FEATURES = 36
NUM_BONES = 6
NUM_OFFSET_INPUTS = 128
"""Width of the canonical-offset head, the same in every published and small model."""
_SKINNING_SHARPNESS = 20.0
_ALBEDO_SHARPNESS = 10.0


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of an avatar's networks; the defaults are the published ones."""

    num_frequencies: int = 6
    geometry_width: int = 512
    geometry_depth: int = 9
    geometry_skip: int = 4
    """Hidden layer that reads the input again; 0 for none."""
    deformer_width: int = 128
    deformer_depth: int = 4
    shading_width: int = 512
    shading_depth: int = 2
    latent_size: int = 369

    def __post_init__(self) -> None:
        limits = {
            "num_frequencies": (0, 16),
            "geometry_width": (8, 4096),
            "geometry_depth": (1, 32),
            "geometry_skip": (0, self.geometry_depth - 1),
            "deformer_width": (8, 4096),
            "deformer_depth": (1, 32),
            "shading_width": (8, 4096),
            "shading_depth": (1, 32),
            "latent_size": (0, 4096),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise Refused(f"network size {name} = {value}: use a number from {low} to {high}.")


@dataclass
class DeformerOutput:
    """What the deformer says of N points; tangents are None when they were not asked for."""

    hidden: Tensor
    """(N, D) last hidden layer: expression and pose directions are linear in it."""
    hidden_tangents: Tensor | None
    """(3, N, D) in `Deformer.tangent_dtype`"""
    skinning: Tensor
    """(N, 6) weights, bone 0 is the ghost bone."""
    skinning_tangents: Tensor | None
    """(3, N, 6)"""


class Deformer(nn.Module):
    """Blend directions, offsets and skinning weights of a canonical point."""

    tangent_dtype = torch.float32
    """precision of derivatives; lowered where the hardware gains from that"""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        width = sizes.deformer_width
        widths = [3 + sizes.latent_size] + [width] * sizes.deformer_depth
        self.layers = nn.ModuleList(
            WeightNormLinear(a, b) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.blendshapes = nn.Linear(
            width, NUM_POSE_FEATURES * 3 + 3 * NUM_EXPRESSIONS + NUM_OFFSET_INPUTS + 3
        )
        self.offset_hidden = nn.Linear(NUM_OFFSET_INPUTS, 128)
        self.offset = nn.Linear(128, 3)
        self.skinning_hidden = WeightNormLinear(width, width)
        self.skinning = nn.Linear(width, NUM_BONES)

    def hidden(
        self, points: Tensor, code: Tensor, tangents: bool = False, still: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Last hidden layer (N, D) at points (N, 3), with its derivatives (3, N, D) if asked.

        Derivatives carry no gradients where they are to be taken as they are, ``still``.
        """
        first = self.layers[0]
        assert isinstance(first, WeightNormLinear)
        weight, bias = fold_code(first, 3, code)
        values = torch.addmm(bias, points, weight.T)
        slopes = None
        if tangents:
            first_slopes = weight.detach() if still else weight
            slopes = first_slopes.T[:, None, :].to(lowered(points.dtype, self.tangent_dtype))
        values, slopes = softplus_with_tangents(values, slopes, still)
        for layer in self.layers[1:]:
            assert isinstance(layer, WeightNormLinear)
            values, slopes = linear_with_tangents(values, slopes, layer.weight, layer.bias, still)
            values, slopes = softplus_with_tangents(values, slopes, still)
        return values, slopes

    def canonical_offset(self, points: Tensor, code: Tensor) -> Tensor:
        """Move (N, 3) of canonical points that the code asks for, e.g. onto longer hair.

        The three linear maps in a row have nothing between them, so they are multiplied first.
        """
        hidden, _ = self.hidden(points, code)
        rows = slice(-NUM_OFFSET_INPUTS - 3, -3)
        outer = self.offset.weight @ self.offset_hidden.weight
        weight = outer @ self.blendshapes.weight[rows]
        bias = (
            outer @ self.blendshapes.bias[rows]
            + self.offset.weight @ self.offset_hidden.bias
            + self.offset.bias
        )
        return torch.addmm(bias, hidden, weight.T)

    def forward(
        self, points: Tensor, code: Tensor, tangents: bool = False, still: bool = False
    ) -> DeformerOutput:
        hidden, slopes = self.hidden(points, code, tangents, still)
        weights, weight_slopes = self._skin(hidden, slopes, still)
        return DeformerOutput(hidden, slopes, weights, weight_slopes)

    def _skin(
        self, hidden: Tensor, slopes: Tensor | None, still: bool
    ) -> tuple[Tensor, Tensor | None]:
        inner = self.skinning_hidden
        values, tangents = linear_with_tangents(hidden, slopes, inner.weight, inner.bias, still)
        values, tangents = softplus_with_tangents(values, tangents, still)
        logits, tangents = linear_with_tangents(
            values,
            tangents,
            self.skinning.weight * _SKINNING_SHARPNESS,
            self.skinning.bias * _SKINNING_SHARPNESS,
            still,
        )
        weights = torch.softmax(logits, dim=-1)
        if tangents is None:
            return weights, None
        tangents, shares = tangents.to(weights.dtype), weights.detach() if still else weights
        mean = (shares * tangents).sum(dim=-1, keepdim=True)
        return weights, shares * (tangents - mean)

    def blend_map(self, expression: Tensor, pose_feature: Tensor) -> tuple[Tensor, Tensor]:
        """Fold expression (50,) and pose feature (36,) into one map from the hidden layer.

        Returns:
            weight (3, D) and bias (3,): ``E·ψ + Pᵀ·φ = hidden @ weightᵀ + bias``.
        """
        weight, bias = self.blendshapes.weight, self.blendshapes.bias
        num_pose = NUM_POSE_FEATURES * 3
        ends = num_pose + 3 * NUM_EXPRESSIONS
        pose_weight = weight[:num_pose].view(NUM_POSE_FEATURES, 3, -1)
        pose_bias = bias[:num_pose].view(NUM_POSE_FEATURES, 3)
        face_weight = weight[num_pose:ends].view(3, NUM_EXPRESSIONS, -1)
        face_bias = bias[num_pose:ends].view(3, NUM_EXPRESSIONS)
        return (
            torch.einsum("f,fcd->cd", pose_feature, pose_weight)
            + torch.einsum("ced,e->cd", face_weight, expression),
            pose_feature @ pose_bias + face_bias @ expression,
        )

    def directions(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Pose directions (N, 36, 3) and expression directions (N, 3, 50) of the points."""
        num_pose = NUM_POSE_FEATURES * 3
        ends = num_pose + 3 * NUM_EXPRESSIONS
        both = torch.addmm(self.blendshapes.bias[:ends], hidden, self.blendshapes.weight[:ends].T)
        return (
            both[:, :num_pose].view(-1, NUM_POSE_FEATURES, 3),
            both[:, num_pose:].view(-1, 3, NUM_EXPRESSIONS),
        )

    def offset_map(self) -> tuple[Tensor, Tensor]:
        """Weight (3, D) and bias (3,) of the offset from p' to the head's surface."""
        return self.blendshapes.weight[-3:], self.blendshapes.bias[-3:]


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


class Geometry(nn.Module):
    """Signed distance, albedo and segmentation of a canonical point."""

    tangent_dtype = torch.float32
    """as `Deformer.tangent_dtype`"""

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

    def folded(self, code: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of every hidden layer with the code folded in."""
        maps = []
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, WeightNormLinear)
            weight: Tensor = layer.weight
            bias: Tensor = layer.bias
            if index == 0:
                weight, bias = fold_code(layer, self.num_local, code)
            elif index == self.skip:
                weight, bias = fold_code_after_skip(weight, bias, weight.shape[1] - len(code), code)
            maps.append((weight, bias))
        return maps

    def forward(
        self, points: Tensor, code: Tensor, slope: bool = False, still: bool = False
    ) -> GeometryOutput:
        """Everything about points (N, 3); the distance's gradient where ``slope`` asks for it.

        It is not differentiated further where it is to be taken as it is, ``still``.
        """
        if slope:
            return evaluate_with_gradient(self, points, code, still)
        local = encode_position(points, self.num_frequencies)
        values = logits = local
        for index, (weight, bias) in enumerate(self.folded(code)):
            if index and index == self.skip:
                values = torch.cat([values, local], dim=1)
            logits = torch.addmm(bias, values, weight.T)
            values = softplus(logits)
        return self.read_out(values, logits, None)

    def read_out(self, values: Tensor, logits: Tensor, gradient: Tensor | None) -> GeometryOutput:
        """The outputs of the last hidden layer (N, W), given after and before its softplus."""
        output = self.output(values)
        return GeometryOutput(
            sdf=output[:, 0],
            sdf_gradient=gradient,
            albedo=torch.sigmoid(output[:, 1:] * _ALBEDO_SHARPNESS),
            segmentation=self.segmentation(logits)[:, 0],
        )


def fold_code_after_skip(
    weight: Tensor, bias: Tensor, num_local: int, code: Tensor
) -> tuple[Tensor, Tensor]:
    """As `fold_code`, for the layer whose input is concat(previous, input) / √2."""
    scaled = weight * math.sqrt(0.5)
    return scaled[:, :num_local], bias + scaled[:, num_local:] @ code


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

    def freeze(self) -> AvatarNetworks:
        """Prepare for evaluation alone: what depends on parameters only is worked out once."""
        for layer in self.modules():
            if isinstance(layer, WeightNormLinear):
                layer.freeze()
        return self.eval()

    def set_tangent_dtype(self, dtype: torch.dtype) -> None:
        """Precision in which derivatives travel through the networks."""
        self.deformer.tangent_dtype = self.geometry.tangent_dtype = dtype
