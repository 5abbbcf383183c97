"""The cloud that training starts from: every subject's surface, before any network is fitted.

Of the source person it holds the head and what stands off it (hair, collar: the hull). What an
attribute adds beyond that, a brim or a longer cut, gets points of its own. Where the attribute is
not worn they wait in the *store* inside the skull, from which the canonical offset carries them
out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_runtime.avatar.latent import category_of
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.nearest import nearest_vertices
from pegasus_runtime.head import Head
from trainer.config.schema import TrainingConfig
from trainer.data.dataset import Capture
from trainer.stages.bare_head import BareHead
from trainer.stages.blank import mean_view_scale
from trainer.stages.head_samples import on_parts, sample_head
from trainer.stages.hull import Grid, Hull, make_hull
from trainer.stages.openings import cover_eyes
from trainer.stages.spread import spread_evenly
from trainer.stages.store import Slot, lay_out, max_slots
from trainer.stages.thin_parts import find_thin_part

_MIN_CANDIDATES, _MAX_CANDIDATES, _PER_POINT = 30_000, 240_000, 5
"""points on the head, and a third more on each hull, from which even ones are chosen"""
_COVERED_PARTS = ("scalp", "neck")
"""parts of the head that something may hide or stand off"""
_COVERED_DEPTH = 0.02
_STANDS_OFF = 0.012
_FAR_OFF = 0.1
"""a hull this far from the head is no hollow of the face that the outlines cannot show"""
_BEYOND = 0.015
"""what an attribute adds starts this far outside the source person's hull"""
_SILHOUETTE = 0.012
_NOISE = 0.006
_MAX_GROWTH = 0.03
_NUM_NEIGHBOURS = 24
_COARSER = 1.2
"""what attributes add is large and plain: its points lie this much farther apart"""
_MOVED_PARTS = {"nose": ("nose",), "mouth": ("lips",), "ears": ("ears",)}
"""attributes that change the head's own shape, and where"""
_INSET = 0.6
"""of its radius by which a point lies under the surface: its disc reaches beyond its centre"""
_EDGED_PARTS = ("eyelids", "eyes", "lips", "mouth", "teeth", "tongue")
_ADDING_CATEGORIES = ("hair", "hat")
_THIN_CATEGORIES = ("eyeglasses",)
"""attributes that masks from all sides cannot carve: they hide in the head's own outline"""
_MIN_ADDED = 100


@dataclass
class StartCloud:
    """Points of the source person and of what attributes add, and where each subject has them."""

    points: Tensor
    """(M, 3) canonical: the source person's surface, or the store"""
    normals: Tensor
    """(M, 3) unit, outward, on the subject to which a point belongs"""
    places: dict[str, Tensor]
    """by subject, (M, 3) canonical points after the offset"""
    owner: Tensor
    """(M,) 0 for the source person's, k for those that the k-th subject adds"""
    nearest: Tensor
    """(M,) vertex of the canonical head that each point rides on"""
    slots: list[Slot]
    """where what attributes add waits"""

    @property
    def subjects(self) -> list[str]:
        return list(self.places)

    def worn(self, subject: str) -> Tensor:
        """(M,) whether a point lies on a subject's surface rather than in the store."""
        worn: Tensor = (self.owner == 0) | (self.owner == 1 + self.subjects.index(subject))
        return worn

    def thin_out(self, count: int, generator: torch.Generator) -> Tensor:
        """Indices of about ``count`` evenly spread points."""
        laid = self.points.clone()
        for index, places in enumerate(self.places.values()):
            own = self.owner == 1 + index
            laid[own] = places[own] / _COARSER
        return spread_evenly(laid, self.owner, count, generator)


def make_cloud(
    head: Head,
    canonical: CanonicalHead,
    capture: Capture,
    config: TrainingConfig,
    generator: torch.Generator,
) -> StartCloud:
    """The cloud of a capture's subjects, on the CPU: several times the points that are wanted.

    At most `max_slots` attributes get points of their own: those that add most.
    """
    count = min(max(_PER_POINT * config.points.initial, _MIN_CANDIDATES), _MAX_CANDIDATES)
    grid = Grid.around(canonical)
    bare = BareHead.of(head, canonical, capture)
    known = head, canonical, capture
    # What changes the head's own shape is not to be carved down to it.
    hulls = {
        name: make_hull(*known, frames, grid, None if _reshapes(name) else bare)
        for name, frames in capture.training.items()
    }
    source = outline = hulls[capture.source]
    if any(_reshapes(name) for name in hulls):
        outline = make_hull(*known, capture.training[capture.source], grid, None)
    points, normals = _source_surface(head, canonical, source, bare, count, generator)
    radius = config.points.initial_radius
    rim = cover_eyes(head, canonical, capture, bare, points, normals, radius)
    points, normals = points[~rim], normals[~rim]
    depth = _INSET * radius / mean_view_scale(capture)
    inset = -depth * normals * _rounded(head, canonical, points)[:, None]
    places = {}
    for name, hull in hulls.items():
        movable = _movable(head, nearest_vertices(points, canonical.vertices), name)
        places[name] = (
            points
            + inset
            + movable[:, None] * _moves(points, outline if _reshapes(name) else source, hull)
        )
    points = points + inset
    owner = torch.zeros(len(points), dtype=torch.long)
    added = {
        name: (found - depth * outward * (category_of(name) in _ADDING_CATEGORIES), outward)
        for name, (found, outward) in _additions(
            head, canonical, capture, hulls, count, generator
        ).items()
    }
    most = sorted(added.items(), key=lambda item: -len(item[1][0]))[: max_slots(config.model)]
    added = {name: found for name, found in most if len(found[0]) >= _MIN_ADDED}
    slots = lay_out({name: found for name, (found, _) in added.items()})
    for slot, (name, (found, outward)) in zip(slots, added.items(), strict=True):
        stored = slot.put_away(found)
        for other in places:
            places[other] = torch.cat([places[other], found if other == name else stored])
        points, normals = torch.cat([points, stored]), torch.cat([normals, outward])
        mark = 1 + list(hulls).index(name)
        owner = torch.cat([owner, torch.full((len(found),), mark)])
    laid = points.clone()
    for index, place in enumerate(places.values()):
        laid[owner == 1 + index] = place[owner == 1 + index]
    nearest = nearest_vertices(laid, canonical.vertices)
    return StartCloud(points, normals, places, owner, nearest, slots)


def _source_surface(
    head: Head,
    canonical: CanonicalHead,
    hull: Hull,
    bare: BareHead,
    count: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Points and normals (M, 3): the head where it is bare, its hull where something stands off."""
    mesh, mesh_normals = sample_head(head, canonical, count, generator)
    riders = nearest_vertices(mesh, canonical.vertices)
    hidden = on_parts(head, riders, _COVERED_PARTS) & ~hull.bare[riders]
    hidden &= hull.distance(mesh) > _COVERED_DEPTH
    found, outward = hull.sample_surface(4 * count // 3, generator)
    riders = nearest_vertices(found, canonical.vertices)
    gap = (found - mesh[nearest_vertices(found, mesh)]).norm(dim=1)
    off = on_parts(head, riders, _COVERED_PARTS) & (gap > _STANDS_OFF)
    off = (off | (gap > _FAR_OFF)) & ~hull.bare[riders] & ~bare.is_inside(found)
    return torch.cat([mesh[~hidden], found[off]]), torch.cat([mesh_normals[~hidden], outward[off]])


def _additions(
    head: Head,
    canonical: CanonicalHead,
    capture: Capture,
    hulls: dict[str, Hull],
    count: int,
    generator: torch.Generator,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Points and normals (M, 3) by attribute of what it adds to the source person."""
    added: dict[str, tuple[Tensor, Tensor]] = {}
    for name, frames in capture.training.items():
        if category_of(name) in _THIN_CATEGORIES:
            added[name] = find_thin_part(head, canonical, capture, frames)
        elif category_of(name) in _ADDING_CATEGORIES:
            found, outward = hulls[name].sample_surface(4 * count // 3, generator)
            beyond = hulls[capture.source].distance(found) < -_BEYOND
            added[name] = found[beyond], outward[beyond]
    return added


def _rounded(head: Head, canonical: CanonicalHead, points: Tensor) -> Tensor:
    """(M,) 1 where outlines show a surface, 0 on lids and lips, which end in edges."""
    fine = on_parts(head, nearest_vertices(points, canonical.vertices), _EDGED_PARTS)
    if head.part_labels is None:
        return torch.ones(len(points))
    return _mean_of_neighbours(points, (~fine).float()[:, None])[:, 0]


def _reshapes(subject: str) -> bool:
    """Whether a subject's attribute changes the shape of the head itself."""
    return category_of(subject) in _MOVED_PARTS


def _movable(head: Head, nearest: Tensor, subject: str) -> Tensor:
    """(M,) whether a subject may change the shape there."""
    category = category_of(subject)
    if category in _ADDING_CATEGORIES:
        return torch.ones(len(nearest), dtype=torch.bool)
    return on_parts(head, nearest, _MOVED_PARTS.get(category, ()))


def _moves(points: Tensor, source: Hull, hull: Hull) -> Tensor:
    """(M, 3) how a subject's shape moves the source person's points.

    Only points that the outlines show are known to move; where an attribute adds much, they stay
    and points of its own cover them.
    """
    if hull is source:
        return torch.zeros_like(points)
    depth = source.distance(points)
    growth = hull.distance(points) - depth
    moved = (depth.abs() < _SILHOUETTE) & (growth < _MAX_GROWTH)
    growth = growth.sign() * (growth.abs() - _NOISE).clamp_min(0) * moved
    move = hull.move_to(points, hull.distance(points) - growth) - points
    move = torch.where(growth[:, None] != 0, move, 0.0)
    return _mean_of_neighbours(points, move)


def _mean_of_neighbours(points: Tensor, values: Tensor) -> Tensor:
    from scipy.spatial import cKDTree

    _, index = cKDTree(points.numpy()).query(points.numpy(), k=min(_NUM_NEIGHBOURS, len(points)))
    return values[torch.as_tensor(index).view(len(points), -1)].mean(dim=1)
