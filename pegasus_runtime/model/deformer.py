"""The deformer: how canonical points move with the latent code, the expression and the bones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pegasus_runtime.head.model import NUM_POSE_FEATURES
from pegasus_runtime.model.activation import softplus, softplus_slope
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.layers import Affine, WeightNormLinear, fold_code, map_tangents
from pegasus_runtime.parameters import NUM_EXPRESSIONS

NUM_BONES = 6
NUM_OFFSET_INPUTS = 128
"""Width of the canonical-offset head, the same in every published and small model."""
_SKINNING_SHARPNESS = 20.0
"""Of the paper: more makes a point follow one joint alone, less smears joints together."""


@dataclass
class DeformerOutput:
    """What the deformer says of N points; tangents are None when they were not asked for."""

    hidden: Tensor
    """(N, D) last hidden layer: expression and pose directions are linear in it."""
    hidden_tangents: Tensor | None
    """(3, N, D)"""
    skinning: Tensor
    """(N, 6) weights, bone 0 is the ghost bone."""
    skinning_tangents: Tensor | None
    """(3, N, 6)"""


@dataclass(frozen=True)
class ConditionedDeformer:
    """A deformer for one latent code, which is folded into its biases."""

    maps: list[Affine]
    """each with a softplus behind it; the last one, for the skinning, reads the hidden layer"""
    offset: Affine
    """(3, D) and (3,), from the hidden layer to the canonical offset"""
    skinning: Affine
    """(6, D) and (6,), to the logits of the weights"""

    def hidden(self, points: Tensor) -> Tensor:
        """Last hidden layer (N, D) at points (N, 3)."""
        return _go_through(self.maps[:-1], points, None)[0]

    def canonical_offset(self, points: Tensor) -> Tensor:
        """Move (N, 3) of canonical points (N, 3) that the code asks for, e.g. onto longer hair."""
        weight, bias = self.offset
        return torch.addmm(bias, self.hidden(points), weight.T)

    def __call__(self, points: Tensor, tangents: bool = False) -> DeformerOutput:
        """What is known of points (N, 3) p', and on demand its derivatives along the axes."""
        slopes = None
        if tangents:
            slopes = torch.eye(3, dtype=points.dtype, device=points.device)[:, None, :]
        hidden, slopes = _go_through(self.maps[:-1], points, slopes)
        weights, weight_slopes = self._skin(hidden, slopes)
        return DeformerOutput(hidden, slopes, weights, weight_slopes)

    def _skin(self, hidden: Tensor, slopes: Tensor | None) -> tuple[Tensor, Tensor | None]:
        values, tangents = _go_through(self.maps[-1:], hidden, slopes)
        weight, bias = self.skinning
        weights = torch.softmax(torch.addmm(bias, values, weight.T), dim=-1)
        if tangents is None:
            return weights, None
        mapped = map_tangents(tangents, weight)
        mean = (weights * mapped).sum(dim=-1, keepdim=True)
        return weights, weights * (mapped - mean)


def _go_through(
    maps: Sequence[Affine], values: Tensor, tangents: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Maps with a softplus after each.

    Args:
        maps: one after the other.
        values: (N, U) that the first one reads.
        tangents: (3, N, U), or (3, 1, U) the same for all, of the values.

    Returns:
        values (N, D) and tangents (3, N, D) of the last layer.
    """
    for weight, bias in maps:
        values = torch.addmm(bias, values, weight.T)
        if tangents is not None:
            tangents = softplus_slope(values) * map_tangents(tangents, weight)
        values = softplus(values)
    return values, tangents


class Deformer(nn.Module):
    """Blend directions, offsets and skinning weights of a canonical point."""

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

    def condition(self, code: Tensor) -> ConditionedDeformer:
        """The deformer for a latent code (L,)."""
        first, *others = self.layers
        assert isinstance(first, WeightNormLinear)
        maps = [fold_code(first, 3, code)]
        for layer in (*others, self.skinning_hidden):
            assert isinstance(layer, WeightNormLinear)
            maps.append((layer.weight, layer.bias))
        weight, bias = self.skinning.weight, self.skinning.bias
        skinning = weight * _SKINNING_SHARPNESS, bias * _SKINNING_SHARPNESS
        return ConditionedDeformer(maps, self._canonical_offset_map(), skinning)

    def _canonical_offset_map(self) -> Affine:
        """Three linear maps in a row, with nothing between them, are one."""
        rows = slice(-NUM_OFFSET_INPUTS - 3, -3)
        outer = self.offset.weight @ self.offset_hidden.weight
        bias = outer @ self.blendshapes.bias[rows] + self.offset.weight @ self.offset_hidden.bias
        return outer @ self.blendshapes.weight[rows], bias + self.offset.bias

    def canonical_offset(self, points: Tensor, code: Tensor) -> Tensor:
        """As `ConditionedDeformer.canonical_offset`, for a latent code (L,)."""
        return self.condition(code).canonical_offset(points)

    def forward(self, points: Tensor, code: Tensor, tangents: bool = False) -> DeformerOutput:
        """As `ConditionedDeformer`, for a latent code (L,)."""
        return self.condition(code)(points, tangents)

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
        by_pose = (pose_feature @ pose_weight.flatten(1)).view(3, -1)
        return (
            by_pose + expression @ face_weight,
            pose_feature @ pose_bias + face_bias @ expression,
        )

    def directions(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Pose directions (N, 36, 3) and expression directions (N, 3, 50) of the points."""
        num_pose = NUM_POSE_FEATURES * 3
        ends = num_pose + 3 * NUM_EXPRESSIONS
        weight, bias = self.blendshapes.weight[:ends], self.blendshapes.bias[:ends]
        both = torch.addmm(bias, hidden, weight.T)
        return (
            both[:, :num_pose].view(-1, NUM_POSE_FEATURES, 3),
            both[:, num_pose:].view(-1, 3, NUM_EXPRESSIONS),
        )

    def offset_map(self) -> tuple[Tensor, Tensor]:
        """Weight (3, D) and bias (3,) of the offset from p' to the head's surface."""
        return self.blendshapes.weight[-3:], self.blendshapes.bias[-3:]
