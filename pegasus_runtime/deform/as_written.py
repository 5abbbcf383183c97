"""The model as it is written down, for every frame anew: the oracle of every faster path.

Nothing is kept from frame to frame, the pose and expression directions of every point are laid out
in full, and the Jacobian that carries normals comes from automatic differentiation (PEGASUS,
section 3; the published program does the same with vmap).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.avatar.networks import AvatarNetworks, GeometryOutput
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.surface import (
    PosedHead,
    PosedSurface,
    apply_rows,
    blend_bones,
    evaluate_surface,
)

_SLICE = 8192


@dataclass
class WrittenSurface:
    """Points that are evaluated from the beginning each time they are posed."""

    networks: AvatarNetworks
    canonical: CanonicalHead
    stored: Tensor
    """(N, 3) p"""
    code: Tensor
    """(L,)"""
    moves_points: bool
    num_bytes: int = 0

    @property
    def points(self) -> Tensor:
        """(N, 3) on the canonical head"""
        return evaluate_surface(
            self.networks, self.canonical, self.stored, self.code,
            appearance=False, move=self.moves_points,
        ).points  # fmt: skip

    @property
    def geometry(self) -> GeometryOutput:
        """Colours and parts of the points."""
        moved = self.stored
        if self.moves_points:
            moved = moved + self.networks.deformer.canonical_offset(moved, self.code)
        output: GeometryOutput = self.networks.geometry(moved, self.code)
        return output

    def pose(self, head: PosedHead, nearest: Tensor | None) -> PosedSurface:
        """The points with an expression, a pose and a shape."""
        parts = [
            evaluate_as_written(
                self.networks, self.canonical, self.stored[some], self.code, head,
                None if nearest is None else nearest[some], move=self.moves_points,
            )[0]
            for some in _slices(len(self.stored))
        ]  # fmt: skip
        normals = [part.normals for part in parts if part.normals is not None]
        return PosedSurface(torch.cat([part.points for part in parts]), torch.cat(normals))


def _slices(count: int) -> list[slice]:
    """Of so many points at once; one, and an empty one, where there are none."""
    return [slice(first, first + _SLICE) for first in range(0, max(count, 1), _SLICE)]


def evaluate_as_written(
    networks: AvatarNetworks,
    canonical: CanonicalHead,
    points: Tensor,
    code: Tensor,
    head: PosedHead,
    nearest: Tensor | None = None,
    *,
    move: bool = True,
    keep_graph: bool = False,
) -> tuple[PosedSurface, GeometryOutput]:
    """Stored points (N, 3) all the way to posed points, normals and colours.

    Args:
        networks: the avatar's networks.
        canonical: its canonical head.
        points: (N, 3) stored points p.
        code: (L,) latent code z.
        head: from `prepare_pose`.
        nearest: (N,) nearest canonical vertex, needed where the head has a shape.
        move: apply the canonical offset.
        keep_graph: results carry gradients, as a training needs them.
    """
    with torch.enable_grad():
        moved = points + networks.deformer.canonical_offset(points, code) if move else points
        if not (keep_graph and moved.requires_grad):
            moved = moved.detach().requires_grad_()
        placed = _place(networks, canonical, moved, code, head, nearest)
        rows = [_slope(placed[:, axis], moved, keep_graph) for axis in range(3)]
        geometry = networks.geometry(moved, code)
        outward = torch.nn.functional.normalize(_slope(geometry.sdf, moved, keep_graph), dim=1)
        carried = outward[:, None, :] @ torch.linalg.inv(torch.stack(rows, dim=1))
        normals = torch.nn.functional.normalize(carried[:, 0], dim=1)
    if not keep_graph:
        placed, normals = placed.detach(), normals.detach()
    return PosedSurface(placed, normals), geometry


def _place(
    networks: AvatarNetworks,
    canonical: CanonicalHead,
    moved: Tensor,
    code: Tensor,
    head: PosedHead,
    nearest: Tensor | None,
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
        assert nearest is not None
        rest = rest + head.shape_displacements[nearest]
    linear, shift = blend_bones(head.transforms, deformer.skinning)
    return apply_rows(linear, rest) + shift


def _slope(values: Tensor, places: Tensor, keep_graph: bool) -> Tensor:
    """Derivatives (N, 3) of values (N,), each of which depends on its own place alone."""
    (slope,) = torch.autograd.grad(values.sum(), places, create_graph=keep_graph, retain_graph=True)
    return slope
