"""Where an expression takes points, without gradients and without what normals need."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pegasus_runtime import devices
from pegasus_runtime.avatar.layers import Map
from pegasus_runtime.avatar.networks import CodedNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.patches import PlacePatches, spread_over_cores
from pegasus_runtime.deform.surface import evaluate_surface, undo_transforms


class Positions(NamedTuple):
    """Of N points, before the bones of a pose carry them."""

    on_head: Tensor
    """(N, 3) on the canonical head"""
    bent: Tensor
    """(N, 3) with the canonical transforms undone, bent by the expression and the pose"""
    skinning: Tensor
    """(N, 6)"""


@torch.no_grad()
def find_positions(
    networks: CodedNetworks, canonical: CanonicalHead, points: Tensor, blend: Map
) -> Positions:
    """Positions of points p' (N, 3).

    Args:
        networks: the avatar's networks for a latent code.
        canonical: its canonical head.
        points: (N, 3) after the canonical offset.
        blend: from `Deformer.blend_map`, of what the frame changes.
    """
    if not devices.has_loops(points.device) or points.dtype != torch.float32:
        part = evaluate_surface(networks, canonical, points, appearance=False, move=False)
        weight, bias = blend
        bent = part.rest_points + torch.addmm(bias, part.deformer.hidden, weight.T)
        return Positions(part.points, bent, part.deformer.skinning)
    patches = PlacePatches(networks, blend)
    found = spread_over_cores(patches.find, points, torch.empty(len(points), 12))
    offset, change, skinning = found.split([3, 3, 6], dim=1)
    on_head = points + offset
    rest, _ = undo_transforms(canonical, skinning, on_head)
    return Positions(on_head, rest + change, skinning)
