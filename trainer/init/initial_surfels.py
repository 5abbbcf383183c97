"""The surfels that training starts from: the head's skin, what stands off it, what is put on.

1. Skin, lids, eyes, teeth and tongue are sampled on the head's own triangles, finer where a face is
   recognised by (`sample_skin`).
2. What stands off the source person's head (hair, collar) is the visual hull of all masks, bound to
   the nearest skin.
3. What an attribute adds beyond that, a brim or a longer cut, becomes surfels of its own.
4. Each attribute's region are the source person's surfels that its part pictures show, or that its
   outline contradicts (`attribute_regions`).
5. Everything takes its colour from the pictures.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.deform.surface import apply_rows
from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.canonical import CanonicalHead, make_canonical_head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Attribute, Difference, Wardrobe, rest_corners
from pegasus_runtime.surfels.binding import bind_points, skin_triangles, triangle_frames
from pegasus_runtime.surfels.surfels import Surfels, concatenate, new_surfels
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import spread_views
from trainer.init.mesh_sampling import on_parts, sample_head
from trainer.init.skin_visibility import HeadVisibility
from trainer.init.thin_structures import depth_of, find_thin_part
from trainer.init.tracked_head import sample_image
from trainer.init.visual_hull import Grid, Hull, make_hull

_FINER = {
    "eyes": 5.0, "eyelids": 5.0, "lips": 4.0, "eyebrows": 3.0, "mouth": 2.0, "teeth": 3.0,
    "nose": 2.0, "tongue": 2.0, "scalp": 0.35,
}  # fmt: skip
"""How many times as many surfels an area of a part has. A face is recognised by its small parts;
a scalp is seen through thin hair only."""
_HULL_SHARE = 0.35
"""of the source person's surfels, for hair and clothes: about their share of the pictures"""
_OWN_SHARE = 0.2
"""of the same number, for each attribute that adds something solid"""
_SPACING = 0.6
"""Standard deviation of a new surfel by the mean distance to its neighbours: two of them overlap at
0.43 of their height, enough that nothing shines through and little enough that detail is left."""
_HULL_CANDIDATES = 60_000
"""Of which hair and clothes are chosen: more are spread more evenly and take longer."""
_COVERED_PARTS = ("scalp", "neck")
"""parts of the head that something may hide or stand off"""
_STANDS_OFF, _FAR_OFF, _BEYOND = 0.012, 0.1, 0.015
"""Distances in units of the head: of a hull from the head that is hair and not error of the hull;
that is certainly not the head; of an attribute's hull from the source person's."""
_SOLID_CATEGORIES, _THIN_CATEGORIES = ("hair", "hat"), ("eyeglasses",)
_NUM_VIEWS = 60
"""That colours are taken from: more are surer and take longer."""
_MIN_FACING = 0.2
"""Cosine to the camera: less takes colours from grazing views, more leaves surfels without any."""
_SHARPNESS = 4
"""views that look straight at a surfel count most for its colour: grazing ones smear"""
_MIN_REGION_SHARE = 0.3
"""of the views that face a surfel, in which it has to lie in the attribute's part picture"""
_DILATION = 0.008
"""of the picture's side, around a part picture: soft edges belong to it"""
_INNER_PARTS = ("eyes", "teeth", "tongue", "mouth")
"""parts that lids and lips cover from so near that depth cannot tell"""
_DEPTH_TOLERANCE = 0.025
"""In units of the head, for an inexact tracking: more takes colours of what lies in front, less
leaves surfels without any."""


def initial_wardrobe(
    head: Head, capture: Capture, num_surfels: int, generator: torch.Generator
) -> Wardrobe:
    """Surfels of a capture's source person and attributes, coloured by its pictures.

    Args:
        head: the head the capture was fitted with.
        capture: the pictures.
        num_surfels: of the source person; attributes that add something have more of their own.
        generator: of what is sampled.
    """
    carver = _Carver(head, capture)
    off, outward = carver.off_head(generator)
    num_off = min(int(_HULL_SHARE * num_surfels), len(off))
    off, outward = _some(off, outward, num_off, generator)
    source = concatenate(
        [
            sample_skin(head, carver.canonical.vertices, num_surfels - num_off, generator),
            bound_surfels(head, carver.canonical, off, outward),
        ]
    )
    attributes = tuple(
        _attribute(carver, source, name, generator) for name in capture.attribute_names
    )
    source = colour_surfels(head, capture, source, capture.training[capture.source])
    return Wardrobe(source, attributes, rest_corners(head, capture.shape))


def initial_attribute(
    head: Head, capture: Capture, source: Surfels, name: str, generator: torch.Generator
) -> Attribute:
    """The start of one attribute of a person whose surfels are known."""
    return _attribute(_Carver(head, capture), source, name, generator)


def _attribute(
    carver: _Carver, source: Surfels, name: str, generator: torch.Generator
) -> Attribute:
    head, capture = carver.head, carver.capture
    found, normals = carver.added(name, generator)
    found, normals = _some(found, normals, int(_OWN_SHARE * len(source)), generator)
    own = bound_surfels(head, carver.canonical, found, normals)
    own = colour_surfels(head, capture, own, capture.training[name])
    region = attribute_region(head, capture, source, name)
    return Attribute(name, region, Difference.none(len(region)), own)


class _Carver:
    """The visual hulls of a capture's subjects, each made when it is asked for."""

    def __init__(self, head: Head, capture: Capture) -> None:
        self.head, self.capture = head, capture
        self.canonical = make_canonical_head(head, capture.mean_expression)
        self._bare = HeadVisibility.of(head, self.canonical, capture)
        self._grid = Grid.around(self.canonical)
        self._hulls: dict[str, Hull] = {}

    def hull(self, name: str) -> Hull:
        """Of a subject."""
        if name not in self._hulls:
            frames = self.capture.training[name]
            given = self.head, self.canonical, self.capture, frames, self._grid, self._bare
            self._hulls[name] = make_hull(*given)
        return self._hulls[name]

    def off_head(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points and normals (M, 3) of the source person's hull where it stands off the head."""
        hull = self.hull(self.capture.source)
        mesh, _ = sample_head(self.head, self.canonical, _HULL_CANDIDATES, generator)
        found, outward = hull.sample_surface(_HULL_CANDIDATES, generator)
        riders = nearest_vertices(found, self.canonical.vertices)
        gap = (found - mesh[nearest_vertices(found, mesh)]).norm(dim=1)
        off = on_parts(self.head, riders, _COVERED_PARTS) & (gap > _STANDS_OFF)
        off = (off | (gap > _FAR_OFF)) & ~hull.bare[riders] & ~self._bare.is_inside(found)
        return found[off], outward[off]

    def added(self, name: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points and normals (M, 3) of what an attribute adds to the source person."""
        if category_of(name) in _THIN_CATEGORIES:
            frames = self.capture.training[name]
            return find_thin_part(self.head, self.canonical, self.capture, frames)
        if category_of(name) in _SOLID_CATEGORIES:
            found, outward = self.hull(name).sample_surface(_HULL_CANDIDATES, generator)
            beyond = self.hull(self.capture.source).distance(found) < -_BEYOND
            return found[beyond], outward[beyond]
        return torch.zeros(0, 3), torch.zeros(0, 3)


def sample_skin(head: Head, vertices: Tensor, count: int, generator: torch.Generator) -> Surfels:
    """Surfels on the head's own triangles, finer on its fine parts."""
    corners = vertices[head.faces]
    edges = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = torch.linalg.cross(*edges).norm(dim=1) / 2
    parts = require_parts(head)
    by_part = torch.tensor([_FINER.get(name, 1.0) for name in parts.names])
    finer = by_part[parts.labels[head.faces]].mean(dim=1)
    chances = area * finer
    triangle = torch.multinomial(chances, count, replacement=True, generator=generator)
    first, second = torch.rand(2, count, generator=generator)
    root = first.sqrt()
    barycentric = torch.stack([1 - root, root * (1 - second), root * second], dim=1)
    spacing = (chances.sum() / count / finer[triangle]).sqrt()
    zeros = torch.zeros(count, 3)
    return new_surfels(triangle, barycentric, zeros, zeros, _SPACING * spacing)


def bound_surfels(head: Head, canonical: CanonicalHead, points: Tensor, normals: Tensor) -> Surfels:
    """Surfels at canonical points (N, 3) that face along normals (N, 3), on the nearest skin."""
    if not len(points):
        empty = torch.zeros(0, 3)
        return new_surfels(torch.zeros(0).long(), empty, empty, empty, 0.01)
    from scipy.spatial import cKDTree

    bound = bind_points(canonical.vertices, head.faces, points, skin_triangles(head))
    frames = triangle_frames(canonical.vertices[head.faces][bound.triangle])
    local = (frames.transpose(1, 2) @ normals[:, :, None])[:, :, 0]
    count = min(4, len(points))
    distance, _ = cKDTree(points.numpy()).query(points.numpy(), k=list(range(1, count + 1)))
    spacing = torch.from_numpy(distance).float()[:, 1:].mean(dim=1).clamp(0.002, 0.03)
    return new_surfels(
        bound.triangle, bound.barycentric, bound.offset, rotations_to(local), spacing
    )


def rotations_to(directions: Tensor) -> Tensor:
    """Axis-angle (N, 3) of the shortest rotations from +z to unit directions (N, 3)."""
    x, y, z = directions.unbind(dim=1)
    sine = (x * x + y * y).sqrt()
    angle = torch.atan2(sine, z)
    axis = torch.stack([-y, x, torch.zeros_like(z)], dim=1) / sine.clamp_min(1e-8)[:, None]
    # Where a direction is −z any axis in the plane will do.
    axis = torch.where(sine[:, None] < 1e-6, torch.tensor([1.0, 0.0, 0.0]), axis)
    return axis * angle[:, None]


def _some(
    points: Tensor, normals: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    chosen = torch.randperm(len(points), generator=generator)[:count]
    return points[chosen], normals[chosen]


class CarriedSurfels:
    """Surfels carried through frames by the head alone."""

    def __init__(self, head: Head, capture: Capture, surfels: Surfels) -> None:
        self._head, self._shape, self._surfels = head, capture.shape, surfels
        self._local_normals = rotation_matrices(surfels.rotation)[:, :, 2]

    def to(self, frame: TrainingFrame) -> tuple[Tensor, Tensor, Tensor]:
        """Points and normals (N, 3) in a frame, and the points' projections."""
        record, surfels = frame.record, self._surfels
        expression, pose = torch.from_numpy(record.expression), torch.from_numpy(record.pose)
        corners = pose_head(self._head, self._shape, expression, pose).vertices[self._head.faces]
        frames = triangle_frames(corners)[surfels.triangle]
        foot = (corners[surfels.triangle] * surfels.barycentric[:, :, None]).sum(dim=1)
        points = foot + apply_rows(frames, surfels.offset)
        normals = apply_rows(frames, self._local_normals)
        return points, normals, record.camera.project(points)


def _facing(frame: TrainingFrame, points: Tensor, normals: Tensor) -> Tensor:
    centre = torch.from_numpy(frame.record.camera.centre)
    away = torch.nn.functional.normalize(centre - points, dim=1)
    facing: Tensor = (normals * away).sum(dim=1)
    return facing


@torch.no_grad()
def attribute_region(head: Head, capture: Capture, source: Surfels, name: str) -> Tensor:
    """Indices (M,) of the source person's surfels that an attribute may change."""
    import cv2
    import numpy as np

    votes, views = torch.zeros(2, len(source))
    carried = CarriedSurfels(head, capture, source)
    for frame in spread_views(capture.training[name], _NUM_VIEWS):
        points, normals, projected = carried.to(frame)
        facing = _facing(frame, points, normals) > 0
        pictures = frame.pictures
        shown = pictures.mask < 128
        if pictures.part_mask is not None:
            side = 2 * round(_DILATION * shown.shape[0]) + 1
            part = cv2.dilate(pictures.part_mask, np.ones((side, side), np.uint8))
            shown = shown | (part > 0)
        inside, seen = sample_image(torch.from_numpy(shown), projected)
        views += facing & seen
        votes += facing & seen & inside
    region: Tensor = (votes > _MIN_REGION_SHARE * views.clamp_min(1)).nonzero()[:, 0]
    return region


@torch.no_grad()
def colour_surfels(
    head: Head, capture: Capture, surfels: Surfels, frames: list[TrainingFrame]
) -> Surfels:
    """The same surfels in the colours that frames show at them.

    What no frame shows has the colour of its nearest neighbours.
    """
    if not len(surfels):
        return surfels
    inner = _inner_classes(head, capture, surfels)
    carried = CarriedSurfels(head, capture, surfels)
    total, weight = torch.zeros(len(surfels), 3), torch.zeros(len(surfels), 1)
    for frame in spread_views(frames, _NUM_VIEWS):
        points, normals, projected = carried.to(frame)
        facing = _facing(frame, points, normals)
        front, visible = sample_image(depth_of(frame.record.camera, points), projected)
        visible &= (facing > _MIN_FACING) & (projected[:, 2] < front + _DEPTH_TOLERANCE)
        on_head, _ = sample_image(torch.from_numpy(frame.pictures.mask), projected)
        visible &= on_head > 250
        if frame.pictures.parts is not None:
            part, _ = sample_image(torch.from_numpy(frame.pictures.parts), projected)
            visible &= (inner < 0) | (part == inner)
        share = (visible * facing.clamp_min(0) ** _SHARPNESS)[:, None]
        colour, _ = sample_image(torch.from_numpy(frame.pictures.image), projected)
        total += share * colour / 255
        weight += share
    points, _, _ = carried.to(frames[0])
    colours = _fill_unseen(points, total / weight.clamp_min(1e-6), weight[:, 0] > 1e-3)
    return replace(surfels, colour=torch.logit(colours.clamp(0.02, 0.98)))


def _inner_classes(head: Head, capture: Capture, surfels: Surfels) -> Tensor:
    """(N,) class in the part pictures that alone shows a surfel; -1 where any may."""
    classes, parts = torch.full((len(surfels),), -1), require_parts(head)
    labels = parts.labels[head.faces[surfels.triangle, 0]]
    for index, name in enumerate(parts.names):
        if name in _INNER_PARTS and name in capture.part_names:
            classes[labels == index] = capture.part_names.index(name)
    return classes


def _fill_unseen(points: Tensor, colours: Tensor, seen: Tensor) -> Tensor:
    from scipy.spatial import cKDTree

    if seen.sum() < 4 or seen.all():
        return colours
    _, index = cKDTree(points[seen].numpy()).query(points[~seen].numpy(), k=4)
    filled = colours.clone()
    filled[~seen] = colours[seen][torch.as_tensor(index)].mean(dim=1)
    return filled
