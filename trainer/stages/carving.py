"""Where hair, hats and collars are, carved from the masks before training.

A head model knows nothing of hair. Points that start on its bare scalp have a long way to go, and
the rasteriser's gradient reaches no farther than a point's radius. But the masks of many views say
what is outside: from every point of the scalp and the neck a ray goes outward, and its end is
where the masks first say "background" (the visual hull, Laurentini 1994). The difference between
an attribute's end and the source person's is how far the attribute moves that point.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.nearest import nearest_vertices
from pegasus_runtime.head import Head
from trainer.data.dataset import Capture, TrainingFrame
from trainer.stages.riding import pixels_of, ride_on_head

_NUM_VIEWS = 32
_REACH = 0.36
_STEP = 0.012
_MIN_SHARE = 0.96
"""share of the views that must agree that a place is inside; masks and poses are never perfect"""
_CARVED_PARTS = ("scalp", "neck")
_FANNED_PART = "neck"
_MAX_TILT_RAD = 1.3
_NUM_NEIGHBOURS = 12
_NEAR = 0.15
"""neighbours are found this far out, where rays of different directions are apart"""


@dataclass
class StartCloud:
    """A dense cloud over the source person's surface, and where each attribute moves it."""

    points: Tensor
    """(M, 3) canonical"""
    normals: Tensor
    """(M, 3) unit, outward"""
    offsets: dict[str, Tensor]
    """by subject, (M, 3); the source's are zero"""
    nearest: Tensor
    """(M,) nearest vertex of the canonical head to the foot of each point"""

    def join(self, other: StartCloud) -> StartCloud:
        """The points of both."""
        return StartCloud(
            torch.cat([self.points, other.points]),
            torch.cat([self.normals, other.normals]),
            {k: torch.cat([v, other.offsets[k]]) for k, v in self.offsets.items()},
            torch.cat([self.nearest, other.nearest]),
        )

    def thin_out(self, count: int, generator: torch.Generator) -> Tensor:
        """About ``count`` points (N, 3), evenly spread: one of each cell of a grid."""
        order = torch.randperm(len(self.points), generator=generator)
        points = self.points[order]
        low, high = 1e-3, 1.0
        chosen = order
        for _ in range(24):
            size = (low * high) ** 0.5
            cells = (points / size).floor().long()
            _, inverse = torch.unique(cells, dim=0, return_inverse=True)
            first = torch.full((int(inverse.max()) + 1,), len(points))
            first = first.scatter_reduce(0, inverse, torch.arange(len(points)), "amin")
            chosen = order[first]
            low, high = (size, high) if len(first) > count else (low, size)
        return self.points[chosen]


def carve(
    head: Head, canonical: CanonicalHead, capture: Capture, base: Tensor, normals: Tensor
) -> StartCloud:
    """Carve all subjects of a capture.

    Args:
        head: the capture's head, on the CPU.
        canonical: its canonical pose.
        capture: the frames.
        base: (M, 3) points on the canonical head.
        normals: (M, 3) their outward directions.
    """
    nearest = nearest_vertices(base, canonical.vertices)
    movable = _movable(head, nearest)
    normals = _fan_out(head, nearest, normals)
    lengths = {}
    for subject, frames in capture.training.items():
        length = torch.zeros(len(base))
        length[movable] = _ray_lengths(
            head, canonical, capture, frames, base[movable], normals[movable], nearest[movable]
        )
        length[movable] = _smooth((base + _NEAR * normals)[movable], length[movable])
        lengths[subject] = length
    source = lengths[capture.source]
    return StartCloud(
        points=base + normals * source[:, None],
        normals=normals,
        offsets={name: normals * (t - source)[:, None] for name, t in lengths.items()},
        nearest=nearest,
    )


def bare_cloud(
    head: Head, canonical: CanonicalHead, capture: Capture, base: Tensor, normals: Tensor
) -> StartCloud:
    """Points on the parts of the head that nothing stands off: they are where the head says."""
    nearest = nearest_vertices(base, canonical.vertices)
    bare = ~_movable(head, nearest)
    still = torch.zeros(int(bare.sum()), 3)
    return StartCloud(
        base[bare], normals[bare], {name: still for name in capture.training}, nearest[bare]
    )


def _movable(head: Head, nearest: Tensor) -> Tensor:
    """(M,) whether something may stand off the head there; everywhere if parts are unknown."""
    if head.part_labels is None:
        return torch.ones(len(nearest), dtype=torch.bool)
    labels = [i for i, name in enumerate(head.part_names) if name in _CARVED_PARTS]
    return torch.isin(head.part_labels[nearest], torch.tensor(labels))


def _fan_out(head: Head, nearest: Tensor, normals: Tensor) -> Tensor:
    """Tilt the rays of the neck downwards, each by another angle, so that they reach shoulders."""
    if head.part_labels is None or _FANNED_PART not in head.part_names:
        return normals
    fanned = head.part_labels[nearest] == head.part_names.index(_FANNED_PART)
    generator = torch.Generator().manual_seed(0)
    angle = torch.rand(len(normals), 1, generator=generator) * _MAX_TILT_RAD * fanned[:, None]
    down = torch.tensor([0.0, -1.0, 0.0])
    return torch.nn.functional.normalize(normals * angle.cos() + down * angle.sin(), dim=1)


def _ray_lengths(
    head: Head,
    canonical: CanonicalHead,
    capture: Capture,
    frames: list[TrainingFrame],
    base: Tensor,
    normals: Tensor,
    nearest: Tensor,
) -> Tensor:
    """(M,) how far each ray stays inside the masks."""
    steps = torch.arange(1, int(_REACH / _STEP) + 1) * _STEP
    places = base[:, None] + normals[:, None] * steps[:, None]
    views = frames[:: max(1, len(frames) // _NUM_VIEWS)]
    inside = torch.zeros(places.shape[:2])
    known = torch.zeros(places.shape[:2])
    for frame in views:
        ride = ride_on_head(head, canonical, capture, frame, nearest)
        posed = ride.carry(places.transpose(0, 1)).transpose(0, 1)
        seen, covered = _look_up(frame, posed.reshape(-1, 3))
        known += seen.view_as(known)
        inside += (seen & covered).view_as(inside)
    agreed = inside >= _MIN_SHARE * known.clamp_min(1)
    return agreed.float().cumprod(dim=1).sum(dim=1) * _STEP


def _look_up(frame: TrainingFrame, points: Tensor) -> tuple[Tensor, Tensor]:
    """Whether points (P, 3) fall into a frame's picture, and whether its mask covers them."""
    row, column, seen = pixels_of(frame, frame.record.camera.project(points))
    return seen, torch.from_numpy(frame.mask)[row, column] > 127


def _smooth(points: Tensor, values: Tensor) -> Tensor:
    """The median over each point's neighbours."""
    from scipy.spatial import cKDTree

    if not len(points):
        return values
    count = min(_NUM_NEIGHBOURS, len(points))
    _, index = cKDTree(points.numpy()).query(points.numpy(), k=count)
    return values[torch.as_tensor(index).view(len(points), -1)].median(dim=1).values
