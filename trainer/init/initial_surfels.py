"""The surfels that training starts from: the head's skin, what stands off it, what is put on.

1. Skin, lids, eyes, teeth and tongue are sampled on the head's own triangles, finer where a face is
   recognised by (`sample_skin`).
2. What stands off the source person's head (hair, collar) is the visual hull of all masks, bound to
   the nearest skin; where the head was filmed from one side only, hair is a cap (`hair_cap`).
3. What an attribute adds beyond that, a brim or a longer cut, becomes surfels of its own.
4. Each attribute's region are the source person's surfels that its part pictures show, or that its
   outline contradicts (`attribute_regions`).
5. Everything takes its colour from the pictures.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import make_canonical_head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import (
    HIDDEN,
    Attribute,
    Difference,
    Wardrobe,
    rest_corners,
)
from pegasus_runtime.surfels.parts import FAR_OFF, STANDS_OFF
from pegasus_runtime.surfels.surfels import Surfels, concatenate
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import is_one_sided, spread_views
from trainer.data.image_file import Bytes
from trainer.init.carried_surfels import CarriedSurfels, facing_camera
from trainer.init.hair_cap import find_hair
from trainer.init.mesh_sampling import on_parts, sample_head
from trainer.init.skin_visibility import HeadVisibility
from trainer.init.surfel_colours import colour_surfels
from trainer.init.surfel_sampling import bound_surfels, no_surfels, sample_skin
from trainer.init.thin_structures import find_thin_part
from trainer.init.tracked_head import sample_image
from trainer.init.visual_hull import Grid, Hull, make_hull

_HULL_SHARE = 0.35
"""of the source person's surfels, for hair and clothes: about their share of the pictures; more of
them leave fewer for the face"""
_OWN_SHARE = 0.2
"""of the same number, for each attribute that adds something solid; fewer show it coarser, more
make the avatar larger and slower"""
_HAIR_SHARE, _REPLACED = 0.3, -5.0
"""The same for hair, which is all its own, as bringing short hair into the shape of another cut
leaves it patchy; and the logit by which the person's own hair then fades at the start: less leaves
it visible, much more keeps it from coming back where that helps."""
_HULL_CANDIDATES = 60_000
"""Of which hair and clothes are chosen: more are spread more evenly and take longer."""
_COVERED_PARTS, _HAIRY_PARTS = ("scalp", "neck"), ("scalp",)
"""parts of the head that something may hide or stand off, and those on which that is hair"""
_BEYOND = 0.015
"""Distance in units of the head of an attribute's hull from the source person's: less takes errors
of the hulls for the attribute, more bares its edge."""
_SOLID_CATEGORIES, _THIN_CATEGORIES = ("hair", "hat"), ("eyeglasses",)
_NUM_VIEWS = 60
"""That colours are taken from: more are surer and take longer."""
_MIN_REGION_SHARE = 0.3
"""of the views that face a surfel, in which it has to lie in the attribute's part picture; less
takes in what stray labels touch, more loses what is often hidden"""
_GLASSES, _GLASSES_SHARE = "glasses", 0.06
"""The class of part pictures that shows them, and how many surfels they have at most, as a share of
all others: fewer leave gaps in their rims, more take longer."""
_DILATION = 0.008
"""of the picture's side, around a part picture: soft edges belong to it; more takes in what lies
beside it"""


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
    frames = capture.training[capture.source]
    # Where little yaw was seen, masks say nothing of depth.
    make = _with_cap if is_one_sided(frames) else _with_hull
    source, is_hair = make(carver, num_surfels, generator)
    worn = _glasses(carver, frames, int(_GLASSES_SHARE * num_surfels), generator)
    source = concatenate([source, worn])
    if is_hair is not None:
        is_hair = torch.nn.functional.pad(is_hair, (0, len(worn)))
    attributes = tuple(
        _attribute(carver, source, name, generator) for name in capture.attribute_names
    )
    source = colour_surfels(head, capture, source, frames, is_hair)
    return Wardrobe(source, attributes, carver.rest)


def _glasses(
    carver: _Carver, frames: list[TrainingFrame], most: int, generator: torch.Generator
) -> Surfels:
    """Of a person who always wears them: no outline shows what stands before the face."""
    names = carver.capture.part_names
    if _GLASSES not in names:
        return no_surfels()
    number = names.index(_GLASSES)

    def marked_in(frame: TrainingFrame) -> Bytes | None:
        parts = frame.pictures.parts
        return None if parts is None else ((parts == number) * 255).astype("uint8")

    chosen = spread_views(frames, _NUM_VIEWS)
    if not any(mask is not None and mask.any() for mask in map(marked_in, chosen)):
        return no_surfels()
    given = carver.head, carver.canonical, carver.capture, chosen, marked_in
    found, normals = _some(*find_thin_part(*given), most, generator)
    return bound_surfels(carver.head, carver.canonical, found, normals)


def _with_hull(
    carver: _Carver, num_surfels: int, generator: torch.Generator
) -> tuple[Surfels, None]:
    """A person who was seen from all sides, without colours."""
    off, outward = carver.off_head(generator)
    num_off = min(int(_HULL_SHARE * num_surfels), len(off))
    off, outward = _some(off, outward, num_off, generator)
    vertices = carver.canonical.vertices
    skin = sample_skin(carver.head, vertices, num_surfels - num_off, generator)
    hangs = on_parts(carver.head, nearest_vertices(off, vertices), _HAIRY_PARTS)
    return concatenate(
        [
            skin,
            bound_surfels(carver.head, carver.canonical, off[hangs], outward[hangs], hangs=True),
            bound_surfels(carver.head, carver.canonical, off[~hangs], outward[~hangs]),
        ]
    ), None


def _with_cap(
    carver: _Carver, num_surfels: int, generator: torch.Generator
) -> tuple[Surfels, Tensor]:
    """A person who was seen from about one side, without colours, and which surfels are hair."""
    head, capture = carver.head, carver.capture
    hair = find_hair(head, capture, capture.training[capture.source])
    cap = hair.surfels(carver.rest, head, int(_HULL_SHARE * num_surfels), generator)
    skin = sample_skin(head, carver.canonical.vertices, num_surfels - len(cap), generator)
    source = concatenate([skin, cap])
    return source, hair.covers(head)[source.triangle]


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
    share = _HAIR_SHARE if category_of(name) == HIDDEN else _OWN_SHARE
    found, normals = _some(found, normals, int(share * len(source)), generator)
    own = bound_surfels(head, carver.canonical, found, normals, hangs=True)
    own = colour_surfels(head, capture, own, capture.training[name])
    region = attribute_region(head, capture, source, name)
    difference = Difference.none(len(region))
    if len(own) and category_of(name) == HIDDEN:
        difference.opacity[_is_hair(carver, source)[region]] = _REPLACED
    return Attribute(name, region, difference, own)


def _is_hair(carver: _Carver, source: Surfels) -> Tensor:
    """(N,) which of the source person's surfels are hair that other hair replaces."""
    stands_off = source.offset.norm(dim=1) > STANDS_OFF
    is_hairy = on_parts(carver.head, carver.head.faces[source.triangle, 0], _HAIRY_PARTS)
    hair: Tensor = stands_off & is_hairy
    return hair


class _Carver:
    """The visual hulls of a capture's subjects, each made when it is asked for."""

    def __init__(self, head: Head, capture: Capture) -> None:
        self.head, self.capture = head, capture
        # Of this person's shape: what is bound far off a triangle goes astray with each degree by
        # which another shape turns that, long hair of the demo's person by 20 of 512 pixels.
        self.canonical = make_canonical_head(head, capture.mean_expression, shape=capture.shape)
        self.rest = rest_corners(head, capture.shape)
        """(F, 3, 3)"""
        self._hulls: dict[str, Hull] = {}

    @cached_property
    def _bare(self) -> HeadVisibility:
        return HeadVisibility.of(self.head, self.canonical, self.capture)

    @cached_property
    def _grid(self) -> Grid:
        return Grid.around(self.canonical)

    @cached_property
    def _scalp_grid(self) -> Grid:
        scalp = require_parts(self.head).on("scalp")
        return self._grid.on(self.canonical.vertices, scalp) if bool(scalp.any()) else self._grid

    def hull(self, name: str) -> Hull:
        """Of a subject."""
        if name not in self._hulls:
            frames = self.capture.training[name]
            grid = self._scalp_grid if category_of(name) in _SOLID_CATEGORIES else self._grid
            given = self.head, self.canonical, self.capture, frames, grid, self._bare
            self._hulls[name] = make_hull(*given)
        return self._hulls[name]

    def off_head(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points and normals (M, 3) of the source person's hull where it stands off the head."""
        hull = self.hull(self.capture.source)
        found, outward = hull.sample_surface(_HULL_CANDIDATES, generator)
        gap = self._gap(found, generator)
        off = self._stands_on(_COVERED_PARTS, found, gap) | (gap > FAR_OFF)
        off &= self._may_be(found, hull)
        return found[off], outward[off]

    def added(self, name: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points and normals (M, 3) of what an attribute adds to the source person."""
        if category_of(name) in _THIN_CATEGORIES:
            frames = self.capture.training[name]
            return find_thin_part(self.head, self.canonical, self.capture, frames)
        if category_of(name) in _SOLID_CATEGORIES:
            found, outward = self.hull(name).sample_surface(_HULL_CANDIDATES, generator)
            gap, may_be = self._gap(found, generator), self._may_be(found, self.hull(name))
            own = self.hull(self.capture.source).distance(found) < -_BEYOND
            # Fewer views carve less: what lies close before skin that they show is not put on.
            own &= may_be | (gap > FAR_OFF)
            if category_of(name) == HIDDEN:
                own |= may_be & self._stands_on(_HAIRY_PARTS, found, gap)
            return found[own], outward[own]
        return torch.zeros(0, 3), torch.zeros(0, 3)

    def _gap(self, found: Tensor, generator: torch.Generator) -> Tensor:
        """(M,) how far points are from the head."""
        mesh, _ = sample_head(self.head, self.canonical, _HULL_CANDIDATES, generator)
        gap: Tensor = (found - mesh[nearest_vertices(found, mesh)]).norm(dim=1)
        return gap

    def _stands_on(self, parts: tuple[str, ...], found: Tensor, gap: Tensor) -> Tensor:
        """(M,) which points stand off the named parts of the head, more than hulls err."""
        riders = nearest_vertices(found, self.canonical.vertices)
        return on_parts(self.head, riders, parts) & (gap > STANDS_OFF)

    def _may_be(self, found: Tensor, hull: Hull) -> Tensor:
        """(M,) which points of a hull no picture contradicts."""
        riders = nearest_vertices(found, self.canonical.vertices)
        return ~hull.bare[riders] & ~self._bare.is_inside(found)


def _some(
    points: Tensor, normals: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    chosen = torch.randperm(len(points), generator=generator)[:count]
    return points[chosen], normals[chosen]


@torch.no_grad()
def attribute_region(head: Head, capture: Capture, source: Surfels, name: str) -> Tensor:
    """Indices (M,) of the source person's surfels that an attribute may change."""
    import cv2
    import numpy as np

    votes, views = torch.zeros(2, len(source))
    carried = CarriedSurfels(head, capture, source)
    for frame in spread_views(capture.training[name], _NUM_VIEWS):
        points, normals, projected = carried.to(frame)
        facing = facing_camera(frame.record.camera.tensors, points, normals) > 0
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
