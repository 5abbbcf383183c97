"""The model as it is written down, for every frame anew: the oracle of every faster path.

Nothing is kept from frame to frame, the pose and expression directions of every point are laid out
in full, and the Jacobian that carries normals comes from automatic differentiation (PEGASUS,
section 3; the published program does the same with vmap).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.deform.surface import JointPose, apply_rows, blend_bones
from pegasus_runtime.head.canonical import CanonicalHead
from pegasus_runtime.model.geometry import GeometryOutput
from pegasus_runtime.model.networks import AvatarNetworks
from pegasus_runtime.posed_surface import PosedSurface


def evaluate_reference(
    networks: AvatarNetworks,
    canonical: CanonicalHead,
    points: Tensor,
    code: Tensor,
    head: JointPose,
    *,
    move: bool = True,
) -> tuple[PosedSurface, GeometryOutput]:
    """Stored points (N, 3) all the way to posed points, normals and colours.

    Args:
        networks: the avatar's networks.
        canonical: its canonical head.
        points: (N, 3) stored points p.
        code: (L,) latent code z.
        head: from `prepare_pose`.
        move: apply the canonical offset.
    """
    moved = points + networks.deformer.canonical_offset(points, code) if move else points
    moved = moved.detach().requires_grad_()
    with torch.enable_grad():
        placed = _place(networks, canonical, moved, code, head)
        rows = [_slope(placed[:, axis], moved) for axis in range(3)]
        outward = _slope(networks.geometry(moved, code).sdf, moved)
    carried = torch.nn.functional.normalize(outward, dim=1)[:, None, :] @ torch.linalg.inv(
        torch.stack(rows, dim=1)
    )
    normals = torch.nn.functional.normalize(carried[:, 0], dim=1)
    with torch.no_grad():
        geometry: GeometryOutput = networks.geometry(moved, code)
    return PosedSurface(placed.detach(), normals), geometry


def _place(
    networks: AvatarNetworks,
    canonical: CanonicalHead,
    moved: Tensor,
    code: Tensor,
    head: JointPose,
) -> Tensor:
    """x_d (N, 3) of points p' (N, 3)."""
    deformer = networks.deformer(moved, code)
    weight, bias = networks.deformer.offset_map()
    on_head = moved + deformer.hidden @ weight.T + bias
    linear, shift = blend_bones(canonical.transforms, deformer.skinning)
    rest = apply_rows(torch.linalg.inv(linear), on_head - shift)
    pose_directions, expression_directions = networks.deformer.directions(deformer.hidden)
    rest = rest + expression_directions @ head.expression_change
    rest = rest + torch.einsum("nfc,f->nc", pose_directions, head.feature_change)
    if head.shape_displacements is not None:
        nearest = nearest_vertices(on_head.detach(), canonical.vertices)
        rest = rest + head.shape_displacements[nearest]
    linear, shift = blend_bones(head.transforms, deformer.skinning)
    return apply_rows(linear, rest) + shift


def _slope(values: Tensor, places: Tensor) -> Tensor:
    """Derivatives (N, 3) of values (N,), each of which depends on its own place alone."""
    (slope,) = torch.autograd.grad(values.sum(), places, retain_graph=True)
    return slope
