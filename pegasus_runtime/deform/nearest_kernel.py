"""The two vertices nearest to each of many points (numba).

A k-d tree of a library would do as well, but importing it takes longer than all look-ups for a
first picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.numba_start import on_all_cores, prange

Floats = NDArray[np.float32]
Numbers = NDArray[np.int32]
_IN_CLUSTER = 64
"""vertices at most"""
_ROUNDING = np.float32(1e-5)
"""of distances, by which a cluster is looked at rather than not"""


@dataclass(frozen=True)
class VertexClusters:
    """Vertices sorted into clusters, each inside a ball."""

    vertices: Floats
    """(3, V) cluster after cluster"""
    index: Numbers
    """(V,) of each in the order given"""
    starts: Numbers
    """(C + 1,) first vertex of each cluster"""
    centres: Floats
    """(C, 3) of the balls"""
    radii: Floats
    """(C,)"""

    @classmethod
    def of(cls, vertices: Floats) -> VertexClusters:
        """Cluster vertices (V, 3), at least one and all finite."""
        parts = [np.arange(len(vertices))]
        while max(len(part) for part in parts) > _IN_CLUSTER:
            parts = [half for part in parts for half in _halves(part, vertices)]
        order = np.concatenate(parts)
        centres = np.stack([vertices[part].mean(axis=0) for part in parts])
        radii = [
            np.linalg.norm(vertices[part] - centre, axis=1).max()
            for part, centre in zip(parts, centres, strict=True)
        ]
        return cls(
            np.ascontiguousarray(vertices[order].T, np.float32), order.astype(np.int32),
            np.cumsum([0, *map(len, parts)], dtype=np.int32), centres.astype(np.float32),
            np.array(radii, np.float32) * (1 + _ROUNDING),
        )  # fmt: skip


def _halves(part: NDArray[np.int64], vertices: Floats) -> list[NDArray[np.int64]]:
    """A cluster cut at the middle of its longest side; a single vertex stays."""
    if len(part) == 1:
        return [part]
    places = vertices[part]
    along = places[:, np.argmax(np.ptp(places, axis=0))]
    order = np.argsort(along, kind="stable")
    middle = len(part) // 2
    return [part[order[:middle]], part[order[middle:]]]


@on_all_cores()
def find_two_nearest(
    points: Floats, vertices: Floats, index: Numbers, starts: Numbers, centres: Floats,
    radii: Floats, num_workers: int, distances: Floats, found: Numbers,
) -> None:  # fmt: skip
    """Of every point the two nearest vertices, and how far they are; ties by index.

    The cluster whose centre is nearest comes first; of the others, those whose balls reach nearer
    than the second vertex so far.

    Args:
        points: (N, 3) finite.
        vertices, index, starts, centres, radii: of `VertexClusters`.
        num_workers: into how many shares the points are cut.
        distances: (N, 2) out; infinite where there is no second vertex.
        found: (N, 2) out.
    """
    num_clusters = len(radii)
    share = (len(points) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        gaps = np.empty(num_clusters, np.float32)
        squares = np.empty(_IN_CLUSTER, np.float32)
        for n in range(worker * share, min((worker + 1) * share, len(points))):
            x, y, z = points[n, 0], points[n, 1], points[n, 2]
            nearest = 0
            for c in range(num_clusters):
                dx, dy, dz = x - centres[c, 0], y - centres[c, 1], z - centres[c, 2]
                gaps[c] = np.sqrt(dx * dx + dy * dy + dz * dz)
                if gaps[c] < gaps[nearest]:
                    nearest = c
            best, second = np.float32(np.inf), np.float32(np.inf)
            reach = np.float32(np.inf)
            best_index, second_index = np.int32(-1), np.int32(-1)
            for turn in range(num_clusters + 1):
                c = nearest if turn == 0 else turn - 1
                if (turn and c == nearest) or gaps[c] - radii[c] > reach:
                    continue
                first, count = starts[c], starts[c + 1] - starts[c]
                for v in range(count):
                    dx, dy = x - vertices[0, first + v], y - vertices[1, first + v]
                    dz = z - vertices[2, first + v]
                    squares[v] = dx * dx + dy * dy + dz * dz
                for v in range(count):
                    squared = squares[v]
                    if squared > second:
                        continue
                    own = index[first + v]
                    if squared < best or (squared == best and own < best_index):
                        second, second_index = best, best_index
                        best, best_index = squared, own
                    elif squared < second or own < second_index:
                        second, second_index = squared, own
                reach = np.sqrt(second) * (np.float32(1.0) + _ROUNDING)
            distances[n, 0], distances[n, 1] = np.sqrt(best), np.sqrt(second)
            found[n, 0], found[n, 1] = best_index, second_index
