"""Nearest vertex of a mesh for each of many points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pegasus_runtime import devices

if TYPE_CHECKING:
    from pegasus_runtime.deform.nearest_kernel import VertexClusters

_CHUNK = 8192


@torch.no_grad()
def nearest_vertices(points: Tensor, vertices: Tensor) -> Tensor:
    """Index (N,) of the vertex (V, 3) nearest to each point (N, 3)."""
    if devices.has_loops(points.device):
        _, index = _look_up(points, _clusters(vertices))
        return index[:, 0]
    found = [torch.cdist(part, vertices).argmin(dim=1) for part in points.split(_CHUNK)]
    return torch.cat(found) if found else torch.empty(0, dtype=torch.long, device=points.device)


class NearestTracker:
    """Nearest vertices of points that come again, most of them hardly moved.

    A point's nearest vertex stays the nearest as long as the point has moved by less than half of
    what the second nearest is farther away (by the triangle inequality), so that only points that
    have moved more are looked up again.
    """

    def __init__(self, vertices: Tensor) -> None:
        """
        Args:
            vertices: (V, 3), of which V is at least 2.
        """
        self._vertices = vertices
        self._clusters: VertexClusters | None = None
        self._known: _Known | None = None

    @torch.no_grad()
    def find(self, points: Tensor) -> Tensor:
        """Index (N,) of the vertex nearest to each point (N, 3)."""
        if not devices.has_loops(points.device):
            return nearest_vertices(points, self._vertices)
        known = self._known
        if known is None or len(known.points) != len(points):
            known = self._known = self._look_up(points)
            return known.index
        stays = (points - known.points).square().sum(dim=1) < known.slack.square()
        moved = (~stays).nonzero()[:, 0]
        if len(moved):
            found = self._look_up(points[moved])
            # Surfaces keep the index they were given, so a new one is made.
            known = self._known = _Known(
                known.points.index_copy(0, moved, found.points),
                known.index.index_copy(0, moved, found.index),
                known.slack.index_copy(0, moved, found.slack),
            )
        return known.index

    def _look_up(self, points: Tensor) -> _Known:
        if self._clusters is None:
            self._clusters = _clusters(self._vertices)
        distance, index = _look_up(points, self._clusters)
        return _Known(points, index[:, 0], (distance[:, 1] - distance[:, 0]) * _HALF)


_HALF = 0.499
"""a little less, for distances are rounded"""


@dataclass
class _Known:
    points: Tensor
    """(N, 3) where they were looked up"""
    index: Tensor
    """(N,)"""
    slack: Tensor
    """(N,) how far a point may move"""


def _clusters(vertices: Tensor) -> VertexClusters:
    from pegasus_runtime.deform.nearest_kernel import VertexClusters

    return VertexClusters.of(vertices.detach().numpy())


def _look_up(points: Tensor, among: VertexClusters) -> tuple[Tensor, Tensor]:
    """Distances and indices (N, 2) of the two nearest vertices."""
    import numba

    from pegasus_runtime.deform.nearest_kernel import find_two_nearest

    finite = torch.nan_to_num(points.detach(), nan=0.0, posinf=0.0, neginf=0.0).float()
    distance = torch.empty(len(points), 2)
    index = torch.empty(len(points), 2, dtype=torch.int32)
    find_two_nearest(
        finite.contiguous().numpy(), among.vertices, among.index, among.starts, among.centres,
        among.radii, numba.get_num_threads(), distance.numpy(), index.numpy(),
    )  # fmt: skip
    return distance.to(points.dtype), index.long()
