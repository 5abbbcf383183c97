"""Points from where they are stored to where a frame shows them, with gradients, for training.

`evaluate_surface` and `pose_surface` in one; on a CPU in float32 what lies between the networks
and the picture, a hundred small steps for torch, is one compiled loop and one back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from pegasus_runtime import devices
from pegasus_runtime.avatar.geometry import GeometryOutput
from pegasus_runtime.avatar.layers import Map, map_tangents
from pegasus_runtime.avatar.networks import CodedNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.posing import bone_rows
from pegasus_runtime.deform.surface import (
    PosedHead,
    PosedSurface,
    evaluate_surface,
    pose_surface,
)

Floats = NDArray[np.float32]


def place_surface(
    networks: CodedNetworks,
    canonical: CanonicalHead,
    points: Tensor,
    blend: Map,
    posed: PosedHead,
    nearest: Tensor,
    *,
    still: bool = False,
    move: bool = True,
) -> tuple[PosedSurface, GeometryOutput]:
    """Posed points, normals and what the geometry network says of stored points.

    Args:
        networks: the avatar's networks for a latent code.
        canonical: its canonical head.
        points: (N, 3) stored points p.
        blend: from `Deformer.blend_map`, of what the frame changes.
        posed: from `prepare_pose`.
        nearest: (N,) nearest canonical vertex of each point.
        still: let the derivatives from which normals come carry no gradients.
        move: apply the canonical offset (a single person's avatar has none).
    """
    if not devices.has_loops(points.device) or points.dtype != torch.float32:
        surface = evaluate_surface(networks, canonical, points, still=still, move=move)
        assert surface.geometry is not None
        return pose_surface(blend, canonical, surface, posed, nearest), surface.geometry
    moved = points + networks.deformer.canonical_offset(points) if move else points
    deformer = networks.deformer(moved, tangents=True, still=still)
    geometry = networks.geometry(moved, True, still)
    assert deformer.hidden_tangents is not None and deformer.skinning_tangents is not None
    assert geometry.sdf_gradient is not None
    weight, bias = (torch.cat(both) for both in zip(networks.surface_offset, blend, strict=True))
    mapped = torch.addmm(bias, deformer.hidden, weight.T)
    displacements = posed.shape_displacements
    shift = torch.zeros_like(points) if displacements is None else displacements[nearest]
    apply: Any = _Place.apply
    placed, normals = apply(
        (bone_rows(canonical.transforms), bone_rows(posed.transforms)), still, shift,
        moved, mapped, map_tangents(deformer.hidden_tangents, weight).float(),
        deformer.skinning, deformer.skinning_tangents, geometry.sdf_gradient,
    )  # fmt: skip
    return PosedSurface(placed, normals), geometry


class _Place(torch.autograd.Function):
    """What is known of points comes as (…, n, C), as the networks leave it."""

    @staticmethod
    def forward(
        ctx: Any, bones: tuple[Floats, Floats], still: bool, shift: Tensor, *varied: Tensor
    ) -> tuple[Tensor, Tensor]:
        from pegasus_runtime.deform.placing_kernel import place_points

        given = torch.cat([_as_rows(each) for each in (*varied, shift)]).numpy()
        canonical, posed = bones
        placed, normals = torch.empty(3, len(shift)), torch.empty(3, len(shift))
        place_points(given, canonical, posed, placed.numpy(), normals.numpy())
        ctx.given, ctx.bones, ctx.still = given, bones, still
        return placed.T, normals.T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from pegasus_runtime.deform.placing_gradient_kernel import place_points_back

        canonical, posed = ctx.bones
        of_placed, of_normals = (each.T.contiguous().numpy() for each in gradients)
        found = torch.empty(sum(_ROWS), ctx.given.shape[1])
        place_points_back(
            ctx.given, canonical, posed, of_placed, of_normals, ctx.still, found.numpy()
        )
        # Eighteen rows are six in three directions.
        varied = (
            rows.unflatten(0, (3, 6)).transpose(1, 2) if len(rows) == 18 else rows.T
            for rows in found.split(_ROWS)
        )
        return None, None, None, *varied


_ROWS = [3, 6, 18, 6, 18, 3]
"""of moved points, what is mapped, its tangents, weights, theirs, the distance's gradient"""


def _as_rows(values: Tensor) -> Tensor:
    """Numbers of points, (…, n, C), one after another with the points side by side: (… C, n)."""
    rows: Tensor = values.detach().transpose(-1, -2).flatten(0, -2)
    return rows
