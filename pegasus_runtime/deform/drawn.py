"""Which points of an avatar are drawn: those that wait in its store for another code are not.

An avatar may hold points that only one attribute needs. Until the canonical offset carries them out
they lie in a box inside the skull, where nobody sees them and nothing has to be known of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime import devices
from pegasus_runtime.avatar.deformer import CodedDeformer
from pegasus_runtime.avatar.networks import AvatarNetworks
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.evaluation import SurfaceEvaluation
from pegasus_runtime.deform.nearest import nearest_vertices
from pegasus_runtime.deform.patches import MovePatches, spread_over_cores
from pegasus_runtime.deform.posing import PosableSurface
from pegasus_runtime.deform.surface import PosedHead, PosedSurface

_SLICE = 65_536
"""points moved at once: hidden layers of all would take a lot of memory"""


@dataclass
class DrawnPoints:
    """The points of one code after the canonical offset, and which of them are drawn."""

    moved: Tensor
    """(N, 3) p', of all"""
    index: Tensor
    """(M,) of those that are drawn"""

    @classmethod
    def all_of(cls, moved: Tensor) -> DrawnPoints:
        """Points p' (N, 3) that are all drawn."""
        return cls(moved, torch.arange(len(moved), device=moved.device))

    @property
    def points(self) -> Tensor:
        """(M, 3) p' of the drawn ones"""
        return self.moved[self.index]

    @property
    def waiting(self) -> Tensor:
        """(N - M,) indices of the others"""
        others = torch.ones(len(self.moved), dtype=torch.bool, device=self.moved.device)
        others[self.index] = False
        return others.nonzero()[:, 0]

    def spread(self, places: Tensor) -> Tensor:
        """(N, 3) places of all: those given (M, 3), and p' of the points that wait."""
        return self.moved.index_copy(0, self.index, places)


@torch.no_grad()
def find_drawn(deformer: CodedDeformer, points: Tensor, store: Tensor | None) -> DrawnPoints:
    """Move stored points (N, 3) as a code asks, and leave out those still in the store.

    Args:
        deformer: of the avatar, for that code.
        points: (N, 3) stored points p.
        store: (2, 3) low and high corner of the box; None: all are drawn.
    """
    moved = _move(deformer, points)
    if store is None:
        return DrawnPoints.all_of(moved)
    low, high = store.to(points)
    waiting = ((moved > low) & (moved < high)).all(dim=1)
    return DrawnPoints(moved, (~waiting).nonzero()[:, 0])


def _move(deformer: CodedDeformer, points: Tensor) -> Tensor:
    """p' (N, 3) of stored points (N, 3)."""
    if devices.has_loops(points.device) and points.dtype == torch.float32:
        return spread_over_cores(MovePatches(deformer).move, points, torch.empty_like(points))
    return torch.cat([part + deformer.canonical_offset(part) for part in points.split(_SLICE)])


@dataclass
class DrawnSurface:
    """What is drawn of an avatar in one code, ready to be posed."""

    surface: PosableSurface
    points: DrawnPoints | None
    """None where all points are drawn"""

    @property
    def num_bytes(self) -> int:
        """Memory it holds."""
        moved = 0 if self.points is None else self.points.moved.nbytes + self.points.index.nbytes
        return self.surface.num_bytes + moved

    @property
    def places(self) -> Tensor:
        """(N, 3) of all points on the canonical head; of those that wait, where they wait."""
        on_head = self.surface.points
        return on_head if self.points is None else self.points.spread(on_head)

    def among_drawn(self, values: Tensor) -> Tensor:
        """Of one value for each point (N, …) those of the drawn ones (M, …)."""
        return values if self.points is None else values[self.points.index]


@torch.no_grad()
def pose_waiting(
    networks: AvatarNetworks,
    canonical: CanonicalHead,
    drawn: DrawnPoints,
    code: Tensor,
    head: PosedHead,
    posed: PosedSurface,
) -> tuple[Tensor, Tensor]:
    """Points and normals (N, 3) of all, given those of the drawn ones; nobody draws the others."""
    waiting = drawn.waiting
    evaluation = SurfaceEvaluation(networks, networks.at(code), canonical, drawn.moved[waiting])
    surface, nearest = evaluation.finish(), None
    if head.shape_displacements is not None:
        nearest = nearest_vertices(surface.points, canonical.vertices)
    rest = surface.pose(head, nearest)
    assert posed.normals is not None and rest.normals is not None
    empty = torch.empty_like(drawn.moved)
    points, normals = (
        empty.index_copy(0, drawn.index, seen).index_copy(0, waiting, unseen)
        for seen, unseen in ((posed.points, rest.points), (posed.normals, rest.normals))
    )
    return points, normals
