"""Losses on points: distance field (eikonal loss), code, and supervision by the head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import CanonicalHead

_VALUE_SCALE = 10.0
"""Directions are compared after this factor, as in the published program."""
_SKINNING_WEIGHT, _POSE_WEIGHT, _EXPRESSION_WEIGHT = 0.1, 10.0, 10.0
"""Of the published program: more holds to the head's own, less lets hair and jaw move on their
own."""
_MIN_VARIANCE = 1e-2
"""Of an expression's direction: less lets still skin outweigh all that moves."""
_EIKONAL_REACH = 0.25
"""Deviation of the places beside the surface: less shapes the distance near it only, more spends
the loss far off."""


@dataclass
class HeadTargets:
    """What the head says at the canonical vertex nearest to each of M points."""

    skinning: Tensor
    """(M, 6), nothing on the ghost bone"""
    pose_directions: Tensor
    """(M, 36, 3)"""
    expression_directions: Tensor
    """(M, 3, 50)"""


@torch.no_grad()
def head_targets(head: Head, canonical: CanonicalHead, surface_points: Tensor) -> HeadTargets:
    """Targets for points (M, 3) on or near the canonical head."""
    nearest = nearest_vertices(surface_points, canonical.vertices)
    weights = head.skinning_weights[nearest]
    return HeadTargets(
        skinning=torch.nn.functional.pad(weights, (1, 0)),
        pose_directions=head.pose_directions[nearest].transpose(1, 2),
        expression_directions=head.expression_directions[nearest],
    )


def supervise_deformer(
    skinning: Tensor,
    pose_directions: Tensor,
    expression_directions: Tensor,
    targets: HeadTargets,
    variance: Tensor,
) -> Tensor:
    """How far the deformer is from the head, by the published weights of its three parts.

    Args:
        skinning: (M, 6)
        pose_directions: (M, 36, 3)
        expression_directions: (M, 3, 50)
        targets: at the same points.
        variance: (50,) of each expression coefficient over the training frames.
    """
    skin = (skinning - targets.skinning).square().mean()
    pose = ((pose_directions - targets.pose_directions) * _VALUE_SCALE).square().mean()
    errors = ((expression_directions - targets.expression_directions) * _VALUE_SCALE).square()
    spread = variance.clamp_min(_MIN_VARIANCE) * len(variance)
    expression = (errors / spread).mean()
    return _SKINNING_WEIGHT * skin + _POSE_WEIGHT * pose + _EXPRESSION_WEIGHT * expression


def eikonal_samples(points: Tensor, generator: torch.Generator) -> Tensor:
    """The points (M, 3) themselves and as many again moved by up to 0.25 along each axis."""
    noise = torch.rand(points.shape, generator=generator).to(points) * 2 - 1
    return torch.cat([points, points + noise * _EIKONAL_REACH])


def eikonal(gradient: Tensor) -> Tensor:
    """Mean squared distance of the gradient's length (M, 3) from one."""
    length: Tensor = gradient.norm(dim=1)
    return (length - 1).square().mean()
