"""New surfels: on the head's own triangles, or at points around it."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import CanonicalHead
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.binding import bind_points, skin_triangles, triangle_frames
from pegasus_runtime.surfels.surfels import Surfels, new_surfels
from trainer.init.hanging import bind_hanging

_FINER = {
    "eyes": 5.0, "eyelids": 5.0, "lips": 4.0, "eyebrows": 3.0, "mouth": 2.0, "teeth": 3.0,
    "nose": 2.0, "tongue": 2.0, "scalp": 0.35,
}  # fmt: skip
"""How many times as many surfels an area of a part has. A face is recognised by its small parts;
a scalp is seen through thin hair only."""
_SPACING = 0.75
"""Standard deviation of a new surfel by the mean distance to its neighbours: two of them overlap at
0.43 of their height, enough that nothing shines through and little enough that detail is left."""
_CLOSEST, _FARTHEST = 0.002, 0.03
"""Between which that distance is kept: less of the first makes surfels that no pixel shows, more of
the second blots where points are few."""
_R2 = (0.7548776662466927, 0.5698402909980532)
"""1/g and 1/g² of the plastic number g, the generalised golden ratio of two dimensions"""


def sample_skin(
    head: Head,
    vertices: Tensor,
    count: int,
    generator: torch.Generator,
    only: tuple[str, ...] | None = None,
) -> Surfels:
    """Surfels on the head's own triangles, finer on its fine parts.

    Args:
        head: the head.
        vertices: (V, 3) of it at rest.
        count: how many surfels.
        generator: of where they lie.
        only: parts that get any; None for all.
    """
    area = _largest_areas(head, vertices)
    parts = require_parts(head)
    by_part = torch.tensor([_FINER.get(name, 1.0) for name in parts.names])
    finer = by_part[parts.labels[head.faces]].mean(dim=1)
    chances = area * finer
    if only is not None:
        chances = torch.where(parts.on(*only)[head.faces].all(dim=1), chances, 0.0)
    triangle, barycentric = sample_triangles(chances, count, generator)
    spacing = (chances.sum() / count / finer[triangle]).sqrt()
    zeros = torch.zeros(count, 3)
    return new_surfels(triangle, barycentric, zeros, zeros, _SPACING * spacing)


def _largest_areas(head: Head, vertices: Tensor) -> Tensor:
    """(F,) of triangles at rest, or with the expression that stretches each most.

    A lid that is folded at rest has holes when it closes, if it is covered by its folded area.
    """
    largest = triangle_areas(vertices[head.faces])
    for direction in head.expression_directions.unbind(dim=2):
        largest = torch.maximum(largest, triangle_areas((vertices + direction)[head.faces]))
    return largest


def triangle_areas(corners: Tensor) -> Tensor:
    """(F,) of triangles (F, 3, 3)."""
    edges = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas: Tensor = torch.linalg.cross(*edges).norm(dim=1) / 2
    return areas


def sample_triangles(
    chances: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Triangles (N,) by their chances (F,), and weights (N, 3) spread evenly over each.

    Systematic sampling: each triangle has its share to within one, where free draws would leave
    holes beside clumps. Points of one triangle follow a low-discrepancy sequence (Roberts 2018).
    """
    ends = (chances.double() / chances.double().sum()).cumsum(dim=0)
    jitter = torch.rand(count, generator=generator, dtype=torch.float64)
    drawn = (torch.arange(count) + jitter) / count
    triangle = torch.searchsorted(ends, drawn).clamp_max(len(chances) - 1)
    rank = torch.arange(count) - torch.searchsorted(triangle, triangle)
    start = torch.rand(len(chances), 2, generator=generator)[triangle]
    first, second = ((start + rank[:, None] * torch.tensor(_R2)) % 1).unbind(dim=1)
    root = first.sqrt()
    return triangle, torch.stack([1 - root, root * (1 - second), root * second], dim=1)


def bound_surfels(
    head: Head,
    canonical: CanonicalHead,
    points: Tensor,
    normals: Tensor,
    hangs: bool = False,
    carriers: Tensor | None = None,
) -> Surfels:
    """Surfels at canonical points (N, 3) that face along normals (N, 3).

    What ``hangs`` from the head or is worn on it goes with the scalp, all else with the nearest
    skin, or with the nearest of some ``carriers`` (F,) among the triangles.
    """
    if not len(points):
        return no_surfels()
    from scipy.spatial import cKDTree

    if hangs:
        bound = bind_hanging(head, canonical, points)
    else:
        carriers = skin_triangles(head) if carriers is None else carriers
        bound = bind_points(canonical.vertices, head.faces, points, carriers)
    frames = triangle_frames(canonical.vertices[head.faces][bound.triangle])
    local = (frames.transpose(1, 2) @ normals[:, :, None])[:, :, 0]
    count = min(4, len(points))
    distance, _ = cKDTree(points.numpy()).query(points.numpy(), k=list(range(1, count + 1)))
    spacing = torch.from_numpy(distance).float()[:, 1:].mean(dim=1)
    spacing = spacing.clamp(_CLOSEST, _FARTHEST)
    return new_surfels(
        bound.triangle, bound.barycentric, bound.offset, rotations_to(local), spacing
    )


def no_surfels() -> Surfels:
    """None at all."""
    empty = torch.zeros(0, 3)
    return new_surfels(torch.zeros(0).long(), empty, empty, empty, 0.01)


def rotations_to(directions: Tensor) -> Tensor:
    """Axis-angle (N, 3) of the shortest rotations from +z to unit directions (N, 3)."""
    x, y, z = directions.unbind(dim=1)
    sine = (x * x + y * y).sqrt()
    angle = torch.atan2(sine, z)
    axis = torch.stack([-y, x, torch.zeros_like(z)], dim=1) / sine.clamp_min(1e-8)[:, None]
    # Where a direction is −z any axis in the plane will do.
    axis = torch.where(sine[:, None] < 1e-6, torch.tensor([1.0, 0.0, 0.0]), axis)
    return axis * angle[:, None]
