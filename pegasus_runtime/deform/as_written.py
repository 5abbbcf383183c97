"""The model as it is written down, for every frame anew: the oracle of every faster path.

Nothing is kept from frame to frame, the pose and expression directions of every point are laid out
in full, and the Jacobian that carries normals comes from automatic differentiation (PEGASUS,
section 3; the published program does the same with vmap). All points are evaluated, also those
that wait in a store, which the model as written does not know; they are only left out of the
picture, or two pictures would show two things.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.avatar.geometry import GeometryOutput
from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.nearest import nearest_vertices
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
    drawn: Tensor | None = None
    """(M,) indices of the points that are drawn, None for all"""
    num_bytes: int = 0

    @property
    def points(self) -> Tensor:
        """(M, 3) on the canonical head"""
        return self._among_drawn(
            evaluate_surface(
                self.networks.at(self.code), self.canonical, self.stored,
                appearance=False, move=self.moves_points,
            ).points
        )  # fmt: skip

    @property
    def geometry(self) -> GeometryOutput:
        """Colours and parts of the points that are drawn."""
        moved = self._among_drawn(self.stored)
        if self.moves_points:
            moved = moved + self.networks.deformer.canonical_offset(moved, self.code)
        output: GeometryOutput = self.networks.geometry(moved, self.code)
        return output

    def pose(self, head: PosedHead, nearest: Tensor | None) -> PosedSurface:
        """The points that are drawn, with an expression, a pose and a shape.

        ``nearest`` is looked up where it is needed, as for a first frame.
        """
        parts = [self._pose(some, head) for some in _slices(len(self.stored))]
        normals = [part.normals for part in parts if part.normals is not None]
        return PosedSurface(
            self._among_drawn(torch.cat([part.points for part in parts])),
            self._among_drawn(torch.cat(normals)),
        )

    def _pose(self, some: slice, head: PosedHead) -> PosedSurface:
        return evaluate_as_written(
            self.networks, self.canonical, self.stored[some], self.code, head,
            move=self.moves_points,
        )[0]  # fmt: skip

    def _among_drawn(self, values: Tensor) -> Tensor:
        return values if self.drawn is None else values[self.drawn]


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
        nearest: (N,) nearest canonical vertex, if the caller knows it and the head has a shape.
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
        if nearest is None:
            nearest = nearest_vertices(on_head.detach(), canonical.vertices)
        rest = rest + head.shape_displacements[nearest]
    linear, shift = blend_bones(head.transforms, deformer.skinning)
    return apply_rows(linear, rest) + shift


def _slope(values: Tensor, places: Tensor, keep_graph: bool) -> Tensor:
    """Derivatives (N, 3) of values (N,), each of which depends on its own place alone."""
    (slope,) = torch.autograd.grad(values.sum(), places, create_graph=keep_graph, retain_graph=True)
    return slope
