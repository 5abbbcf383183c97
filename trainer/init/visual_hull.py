"""What the masks of many views say of a subject's surface: its visual hull (Laurentini 1994).

A head model knows nothing of hair, hats or collars, but where any mask says "background" there is
nothing. The hull is kept as a field of distances on a grid around the head, which rides on the
head's nearest vertices from frame to frame, and for what hangs from a head or is worn on it on the
nearest of its scalp: a neck that turns would carve the ends of long hair away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import CanonicalHead
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import spread_views
from trainer.init.skin_visibility import HeadVisibility, VisibilityVotes
from trainer.init.tracked_head import head_vertex_motion, sample_image

_NUM_VIEWS = 96
"""spread over all sides: an outline says nothing of depth, which views from the side must carve;
more carve finer and take longer"""
_REACH = 0.55
"""nothing is looked for farther than this from the head; less cuts long hair and shoulders off,
more takes longer"""
_SPACING = 0.02
"""Of the grid, in units of the head: finer shows thinner locks and takes its cube as long."""
_OUTSIDE = -1.0
"""A distance that no place has which was seen: below it nothing is surface."""
_NEWTON_STEPS = 6
"""Onto the surface: fewer leave points beside it, more take longer."""
_ON_SURFACE, _FLATTEST = 0.2, 0.2
"""How near to it, in spaces of the grid, a point has to come, and the squared slope from which
steps are no longer made: less of the first leaves holes where masks are ragged, more leaves points
beside the surface; less of the second lets points jump where the distance is flat, more makes them
crawl."""
_MIN_SEEN = 0.12
"""share of the views in which a place must lie for its distance to count; less lets in what only a
few views show, more loses what most pictures cut off"""


@dataclass
class Grid:
    """Places around the head at which hulls are known."""

    low: Tensor
    """(3,) the first place"""
    shape: tuple[int, int, int]
    inside: Tensor
    """(K,) indices of the places within reach of the head"""
    places: Tensor
    """(K, 3)"""
    nearest: Tensor
    """(K,) vertex each rides on"""

    def on(self, vertices: Tensor, allowed: Tensor) -> Grid:
        """The same places, each on the nearest of the vertices (V, 3) allowed (V,)."""
        known = allowed.nonzero()[:, 0]
        return replace(self, nearest=known[nearest_vertices(self.places, vertices[known])])

    @classmethod
    def around(cls, canonical: CanonicalHead) -> Grid:
        """The grid around a head."""
        low = canonical.vertices.min(dim=0).values - _REACH
        high = canonical.vertices.max(dim=0).values + _REACH
        counts = ((high - low) / _SPACING).ceil().long().tolist()
        axes = [low[i] + _SPACING * torch.arange(counts[i]) for i in range(3)]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
        nearest = nearest_vertices(places, canonical.vertices)
        near = (places - canonical.vertices[nearest]).norm(dim=1) < _REACH
        kept = near.nonzero()[:, 0]
        shape = (counts[0], counts[1], counts[2])
        return cls(low, shape, kept, places[kept], nearest[kept])


@dataclass
class Hull:
    """A subject's hull: distances to its surface, positive inside."""

    grid: Grid
    values: Tensor
    """(1, 1, X, Y, Z)"""
    bare: Tensor
    """(V,) vertices of the head that pictures show: nothing stands before them"""

    def distance(self, points: Tensor) -> Tensor:
        """(M,) distance to the surface at canonical points (M, 3), positive inside."""
        size = torch.tensor(self.grid.shape) - 1
        unit = (points - self.grid.low) / _SPACING / size * 2 - 1
        found = torch.nn.functional.grid_sample(
            self.values, unit.flip(-1)[None, None, None], align_corners=True, padding_mode="border"
        )
        return found.view(-1)

    def gradient(self, points: Tensor) -> Tensor:
        """(M, 3) of the distance."""
        shifts = torch.eye(3) * _SPACING
        slopes = [self.distance(points + s) - self.distance(points - s) for s in shifts]
        return torch.stack(slopes, dim=1) / (2 * _SPACING)

    def move_to(self, points: Tensor, level: Tensor | float = 0.0) -> Tensor:
        """Points (M, 3) moved along the gradient to where the distance is ``level`` (M,)."""
        for _ in range(_NEWTON_STEPS):
            slope = self.gradient(points)
            missing = level - self.distance(points)
            steepness = slope.square().sum(1, keepdim=True).clamp_min(_FLATTEST)
            step = missing[:, None] * slope / steepness
            points = points + step.clamp(-_SPACING, _SPACING)
        return points

    def sample_surface(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Up to ``count`` points (M, 3) on the surface, evenly, and their outward normals."""
        chosen = self._border().nonzero()[:, 0]
        if not len(chosen):
            return torch.zeros(0, 3), torch.zeros(0, 3)
        chosen = chosen[torch.randint(len(chosen), (count,), generator=generator)]
        jitter = (torch.rand(count, 3, generator=generator) - 0.5) * _SPACING
        points = self.move_to(self.grid.places[chosen] + jitter)
        slope = self.gradient(points)
        # Where few views carve, the distance is steep: what counts is how far the surface is.
        off = self.distance(points).abs() / slope.norm(dim=1).clamp_min(1)
        kept = off < _ON_SURFACE * _SPACING
        return points[kept], torch.nn.functional.normalize(-slope[kept], dim=1)

    def _border(self) -> Tensor:
        """(K,) places beside which the distance changes sign, and is known."""
        highest = torch.nn.functional.max_pool3d(self.values, 3, stride=1, padding=1)
        lowest = -torch.nn.functional.max_pool3d(-self.values, 3, stride=1, padding=1)
        border = (highest > 0) & (lowest <= 0) & (lowest > _OUTSIDE)
        return border.view(-1)[self.grid.inside]


def make_hull(
    head: Head,
    canonical: CanonicalHead,
    capture: Capture,
    frames: list[TrainingFrame],
    grid: Grid,
    bare: HeadVisibility | None,
) -> Hull:
    """The hull of one subject's frames, without what would hide skin that they show.

    At each place the second smallest of all views' distances counts: one mask may be wrong.
    """
    smallest = torch.full((2, len(grid.places)), torch.inf)
    num_seen = torch.zeros(len(grid.places))
    votes = VisibilityVotes(len(canonical.vertices))
    views = spread_views(frames, _NUM_VIEWS)
    for frame in views:
        ride = head_vertex_motion(head, canonical, capture, frame)
        projected = frame.record.camera.project(ride.of(grid.nearest).transform(grid.places))
        scale = abs(float(frame.record.camera.intrinsics[1, 1])) * frame.pictures.mask.shape[0] / 2
        inside = frame.pictures.mask > 127
        distance, seen = sample_image(_pixels_inside(inside), projected)
        view = bare and bare.in_view(frame, ride)
        if bare and view:
            view.count(votes, bare.riders)
            covered, _ = sample_image(_pixels_inside(inside & ~view.skin.numpy()), projected)
            before = view.lies_behind(projected)
            distance = torch.where(before, torch.minimum(distance, covered), distance)
        num_seen += seen
        distance = torch.where(seen, distance * projected[:, 2] / scale, torch.inf)
        smallest = torch.cat([smallest, distance[None]]).sort(dim=0).values[:2]
    known = torch.where(num_seen >= _MIN_SEEN * len(views), smallest[1], _OUTSIDE)
    values = torch.full((int(np.prod(grid.shape)),), _OUTSIDE)
    values[grid.inside] = known.clamp(_OUTSIDE, 1.0)
    return Hull(grid, _largest_piece(values.view(grid.shape))[None, None], votes.result())


def _largest_piece(values: Tensor) -> Tensor:
    """Distances (X, Y, Z) with nothing apart from the head.

    What lies outside of the pictures that are taken from the side is carved by none, and stays
    behind long hair as a cloud that hides it.
    """
    from scipy.ndimage import label

    pieces, _ = label(values.numpy() > 0)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    apart = (pieces > 0) & (pieces != sizes.argmax())
    return torch.where(torch.from_numpy(apart), _OUTSIDE, values)


def _pixels_inside(mask: np.typing.NDArray[np.bool_]) -> Tensor:
    """(H, W) distance in pixels to the mask's outline, positive inside."""
    import cv2

    both = (mask.astype(np.uint8), (~mask).astype(np.uint8))
    inner, outer = (cv2.distanceTransform(each, cv2.DIST_L2, 5) for each in both)
    return torch.from_numpy(inner) - torch.from_numpy(outer)
