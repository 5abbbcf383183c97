"""From canonical points to posed points and normals.

The work is split by what it depends on. `evaluate_surface` does everything that depends on the
latent code and the points alone; `pose_surface` the little that changes with expression, pose and
shape: expression and pose are linear in the deformer's last layer, so they are folded into one
small matrix first. Both are exact, and both are ordinary differentiable tensor operations, so
training and inference share them.

Derivatives are kept direction first: ``tangents[i]`` is ∂/∂p'ᵢ.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.head.canonical import CanonicalHead, add_ghost_bone
from pegasus_runtime.head.skinning import pose_joints
from pegasus_runtime.model.deformer import DeformerOutput
from pegasus_runtime.model.geometry import GeometryOutput
from pegasus_runtime.model.layers import Affine, map_tangents
from pegasus_runtime.model.networks import ConditionedNetworks
from pegasus_runtime.posed_surface import PosedSurface

if TYPE_CHECKING:
    from pegasus_runtime.head import Head


Part = TypeVar("Part")


@dataclass
class CanonicalSurface:
    """What is known of N points of an avatar before it takes an expression or a pose."""

    offset_points: Tensor
    """(N, 3) p', the points moved as the latent code asks"""
    points: Tensor
    """(N, 3) x_flame, on the canonical head"""
    deformer: DeformerOutput
    rest_points: Tensor
    """(N, 3) with the canonical joint transforms undone"""
    rest_tangents: Tensor | None
    """(3, N, 3)"""
    geometry: GeometryOutput | None
    """None when only positions were asked for"""


@dataclass
class JointPose:
    """The head's part in posing points; made once per frame by `prepare_pose`."""

    transforms: Tensor
    """(6, 4, 4)"""
    expression_change: Tensor
    """(50,) from the canonical expression"""
    feature_change: Tensor
    """(36,) from the canonical pose feature"""
    pose_feature: Tensor
    """(36,)"""
    shape_displacements: Tensor | None = None
    """(V, 3) of the canonical head's vertices by the shape, None for its own"""

    def tensors(self) -> tuple[Tensor, ...]:
        """All that there is, in order: ``PosedHead(*head.tensors())`` is the same again."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(value for value in values if value is not None)

    def to(self, device: torch.device) -> JointPose:
        """The same on another device, without waiting for it."""
        return JointPose(*(value.to(device, non_blocking=True) for value in self.tensors()))


def evaluate_surface(
    networks: ConditionedNetworks,
    canonical: CanonicalHead,
    points: Tensor,
    *,
    appearance: bool = True,
    move: bool = True,
) -> CanonicalSurface:
    """Everything about points (N, 3) that depends on the latent code alone.

    Args:
        networks: the avatar's networks for that code.
        canonical: its canonical head.
        points: (N, 3) stored points p.
        appearance: also evaluate colour and parts; without it only positions come out, at a small
            part of the cost.
        move: apply the canonical offset (a single person's avatar has none).
    """
    moved = points + networks.deformer.canonical_offset(points) if move else points
    deformer = networks.deformer(moved, tangents=appearance)
    weight, bias = networks.surface_offset
    surface_points = moved + torch.addmm(bias, deformer.hidden, weight.T)
    tangents = None
    if deformer.hidden_tangents is not None:
        axes = torch.eye(3, device=points.device, dtype=points.dtype)
        tangents = axes[:, None, :] + map_tangents(deformer.hidden_tangents, weight)
    rest, rest_tangents = undo_transforms(
        canonical, deformer.skinning, surface_points, tangents, deformer.skinning_tangents
    )
    return CanonicalSurface(
        offset_points=moved,
        points=surface_points,
        deformer=deformer,
        rest_points=rest,
        rest_tangents=rest_tangents,
        geometry=networks.geometry(moved, True) if appearance else None,
    )


def undo_transforms(
    canonical: CanonicalHead,
    skinning: Tensor,
    points: Tensor,
    tangents: Tensor | None = None,
    skinning_tangents: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Invert y ↦ Σ w_b M_b y at the canonical transforms, for points and their tangents."""
    linear, shift = blend_bones(canonical.transforms, skinning)
    inverse = invert_3x3(linear)
    rest = apply_rows(inverse, points - shift)
    if tangents is None or skinning_tangents is None:
        return rest, None
    drift = _blend_tangents(canonical.transforms, skinning_tangents, rest)
    return rest, apply_rows(inverse, tangents - drift)


def prepare_pose(
    head: Head,
    canonical: CanonicalHead,
    expression: Tensor,
    pose: Tensor,
    shape: Tensor,
    displacements: Tensor | None = None,
) -> JointPose:
    """Joint transforms and changes from the canonical head of one frame.

    Args:
        head: the head, on the device of the rest.
        canonical: the avatar's canonical head.
        expression: (50,)
        pose: (15,) axis-angle of root, neck, jaw, left eye, right eye, in radians.
        shape: (100,)
        displacements: (V, 3) of the canonical head's vertices by this shape, when the caller knows
            them.
    """
    _, transforms, pose_feature = pose_joints(head, shape, expression, pose)
    if displacements is None:
        displacements = displace_by_shape(head, canonical, shape)
    return JointPose(
        transforms=add_ghost_bone(transforms),
        expression_change=expression - canonical.expression,
        feature_change=pose_feature - canonical.pose_feature,
        shape_displacements=displacements,
        pose_feature=pose_feature,
    )


def displace_by_shape(head: Head, canonical: CanonicalHead, shape: Tensor) -> Tensor | None:
    """(V, 3) of the canonical head's vertices by a shape (100,), None where it is its own."""
    change = shape - canonical.shape
    return head.identity_directions @ change if bool(change.any()) else None


def pose_surface(
    blend: Affine,
    canonical: CanonicalHead,
    surface: CanonicalSurface,
    posed: JointPose,
    nearest: Tensor | None = None,
) -> PosedSurface:
    """Posed points and normals (x_d and n_d of the published model).

    Args:
        blend: from `Deformer.blend_map`, of what the frame changes.
        canonical: the avatar's canonical head.
        surface: from `evaluate_surface`.
        posed: from `prepare_pose`.
        nearest: (N,) nearest canonical vertex of each point, when the caller knows it.
    """
    deformer = surface.deformer
    weight, bias = blend
    rest = surface.rest_points + torch.addmm(bias, deformer.hidden, weight.T)
    if posed.shape_displacements is not None:
        if nearest is None:
            nearest = nearest_vertices(surface.points, canonical.vertices)
        rest = rest + posed.shape_displacements[nearest]
    linear, shift = blend_bones(posed.transforms, deformer.skinning)
    points = apply_rows(linear, rest) + shift
    if surface.rest_tangents is None or surface.geometry is None:
        return PosedSurface(points, None)
    assert deformer.hidden_tangents is not None and deformer.skinning_tangents is not None
    rest_tangents = surface.rest_tangents + map_tangents(deformer.hidden_tangents, weight)
    tangents = apply_rows(linear, rest_tangents)
    tangents = tangents + _blend_tangents(posed.transforms, deformer.skinning_tangents, rest)
    assert surface.geometry.sdf_gradient is not None
    return PosedSurface(points, carry_normals(surface.geometry.sdf_gradient, tangents))


def carry_normals(gradient: Tensor, tangents: Tensor) -> Tensor:
    """Unit normals (N, 3): normalise(n_cᵀ J⁻¹), with n_c = normalise(gradient).

    With J's columns t₀, t₁, t₂ the rows of J⁻¹ are t₁×t₂, t₂×t₀, t₀×t₁ over det J, so no matrix
    is inverted; only the sign of det J survives the normalisation.

    Args:
        gradient: (N, 3) of the signed distance along p'.
        tangents: (3, N, 3), tangents[i] = ∂x_d/∂p'ᵢ.
    """
    first, second, third = tangents
    across = torch.linalg.cross(second, third)
    carried = (
        gradient[:, 0:1] * across
        + gradient[:, 1:2] * torch.linalg.cross(third, first)
        + gradient[:, 2:3] * torch.linalg.cross(first, second)
    )
    side = torch.where((first * across).sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    return torch.nn.functional.normalize(carried * side, dim=1, eps=1e-12)


def blend_bones(transforms: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Blend bones (B, 4, 4) by weights (N, B): linear parts (N, 3, 3) and shifts (N, 3)."""
    blended = (weights @ transforms[:, :3].reshape(len(transforms), 12)).view(-1, 3, 4)
    return blended[:, :, :3], blended[:, :, 3]


def _blend_tangents(transforms: Tensor, weight_tangents: Tensor, points: Tensor) -> Tensor:
    """Σ_b ∂w_b M_b y for points y (N, 3) held still: (3, N, 3).

    Each bone's image of y is made once and mixed for the three directions.
    """
    homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=1)
    images = homogeneous @ transforms[:, :3].reshape(-1, 4).T
    images = images.view(len(points), len(transforms), 3)
    return torch.einsum("inb,nbc->inc", weight_tangents, images)


def apply_rows(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply matrices (N, 3, 3) with vectors (…, N, 3), one matrix for each point.

    Written out because batched products of 3×3 matrices are slow on every device.
    """
    return (
        matrices[:, :, 0] * vectors[..., 0:1]
        + matrices[:, :, 1] * vectors[..., 1:2]
        + matrices[:, :, 2] * vectors[..., 2:3]
    )


def invert_3x3(matrices: Tensor) -> Tensor:
    """Inverse of matrices (N, 3, 3) by cross products of their columns."""
    first, second, third = matrices.unbind(dim=2)
    rows = torch.stack(
        [
            torch.linalg.cross(second, third),
            torch.linalg.cross(third, first),
            torch.linalg.cross(first, second),
        ],
        dim=1,
    )
    determinant = (rows[:, 0] * first).sum(dim=1)
    return rows / determinant[:, None, None]


def join_surfaces(parts: list[Part]) -> Part:
    """One surface of several sets of points; tangents (3, N, D) are joined along N too."""
    if len(parts) == 1:
        return parts[0]
    first: Any = parts[0]
    joined = {f.name: _join_values([getattr(p, f.name) for p in parts]) for f in fields(first)}
    result: Part = type(first)(**joined)
    return result


def _join_values(values: list[Any]) -> Any:
    if is_dataclass(values[0]):
        return join_surfaces(values)
    if values[0] is None:
        return None
    return torch.cat(values, dim=max(values[0].dim() - 2, 0))
