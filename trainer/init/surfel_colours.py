"""The colours that pictures show at surfels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import spread_views
from trainer.init.carried_surfels import CarriedSurfels, facing_camera
from trainer.init.covered_parts import inside_mouth, mouth_depth
from trainer.init.thin_structures import depth_of
from trainer.init.tracked_head import sample_image

_NUM_VIEWS = 60
"""That colours are taken from: more are surer and take longer."""
_MIN_FACING = 0.2
"""Cosine to the camera: less takes colours from grazing views, more leaves surfels without any."""
_SHARPNESS = 4
"""views that look straight at a surfel count most for its colour: grazing ones smear; more takes
the colour from ever fewer views"""
_INNER_PARTS = ("eyes", "teeth", "tongue", "mouth")
"""parts that lids and lips cover from so near that depth cannot tell"""
_COVERS = ("hair", "hat", "clothes", "background")
"""classes that lie before the skin of a person whose hair is known"""
_UNSEEN_COLOURS = {
    "teeth": (0.80, 0.75, 0.68), "tongue": (0.60, 0.33, 0.31), "mouth": (0.38, 0.18, 0.17),
}  # fmt: skip
"""of parts that no frame shows: lighter ones glow in a mouth that opens, darker ones are a hole"""
_LIT, _DARK, _DARKEST = 0.12, 0.3, 0.4
"""Units of the head behind the lips: as far as these colours are lit as the lips are, and within
which they grow dark from there on; and what is left of the light then. More makes a throat as red
as a tongue, less a hole of an open mouth, and of a neck that is seen from behind."""
_USUAL_SKIN = 0.6
"""mean of the colour channels of skin that these colours go with; more leaves these colours darker
beside the skin of a person, less lighter"""
_MOST_CLASSES = 256
"""As a byte of a part map can tell apart."""
_GROUPS = 10
"""by height, within each of which hair has a usual colour; more follow it up and down, fewer are
not misled by an ear"""
_USUAL_HAIR, _HEIGHT_WINDOW, _MIXED = 0.8, 0.05, 4
"""For hair that no frame shows: the share of the seen hair that is not far from its usual colour,
how far up and down it is taken from, as a share of it, and how many are mixed: one is speckled,
many are a cap of felt."""
_DEPTH_TOLERANCE = 0.025
"""In units of the head, for an inexact tracking: more takes colours of what lies in front, less
leaves surfels without any."""
_ON_PERSON = 250
"""Of 255, of a mask: less takes background into the outline's colours, more leaves thin hair
without any."""


@torch.no_grad()
def colour_surfels(
    head: Head,
    capture: Capture,
    surfels: Surfels,
    frames: list[TrainingFrame],
    is_hair: Tensor | None = None,
) -> Surfels:
    """The same surfels in the colours that frames show at them.

    What no frame shows has the colour of its nearest neighbours, or, where it is known to be hair
    (N,), of the hair that lies before or behind it.
    """
    if not len(surfels):
        return surfels
    shows = _ShownBy(head, capture, surfels, is_hair)
    carried = CarriedSurfels(head, capture, surfels)
    total, weight = torch.zeros(len(surfels), 3), torch.zeros(len(surfels), 1)
    for frame in spread_views(frames, _NUM_VIEWS):
        points, normals, projected = carried.to(frame)
        facing = facing_camera(frame.record.camera.tensors, points, normals)
        front, visible = sample_image(depth_of(frame.record.camera, points), projected)
        visible &= (facing > _MIN_FACING) & (projected[:, 2] < front + _DEPTH_TOLERANCE)
        on_head, _ = sample_image(torch.from_numpy(frame.pictures.mask), projected)
        visible &= on_head > _ON_PERSON
        if frame.pictures.parts is not None:
            part, _ = sample_image(torch.from_numpy(frame.pictures.parts), projected)
            visible &= shows.allows(part.long())
        share = (visible * facing.clamp_min(0) ** _SHARPNESS)[:, None]
        colour, _ = sample_image(torch.from_numpy(frame.pictures.image), projected)
        total += share * colour / 255
        weight += share
    points, _, _ = carried.to(frames[0])
    colours, seen = total / weight.clamp_min(1e-6), weight[:, 0] > 1e-3
    if is_hair is not None:
        _fill_hair(points[:, 1], colours, seen, is_hair, capture)
        for alike in shows.alike():
            colours[alike] = _fill_unseen(points[alike], colours[alike], seen[alike])
        shows.paint_unseen(colours, seen)
    else:
        colours = _fill_unseen(points, colours, seen)
    return replace(surfels, colour=torch.logit(colours.clamp(0.02, 0.98)))


class _ShownBy:
    """Which classes of the part pictures a surfel takes its colour from.

    Depth cannot tell a lid from the eye under it, or hair from the skin beside it; part pictures
    can. Without this lids begin as dark as eyes, and a temple is speckled with hair.
    """

    def __init__(
        self, head: Head, capture: Capture, surfels: Surfels, is_hair: Tensor | None
    ) -> None:
        names, parts = capture.part_names, require_parts(head)
        labels = parts.labels[head.faces[surfels.triangle, 0]]
        kind = torch.zeros(len(surfels), dtype=torch.long)
        inner = [name for name in _INNER_PARTS if name in names]
        for number, name in enumerate(inner, 1):
            if name in parts.names:
                kind[labels == parts.names.index(name)] = number
        self._num_kinds = len(inner) + 1
        self._table = torch.ones(len(inner) + 2, _MOST_CLASSES, dtype=torch.bool)
        for number, name in enumerate(inner, 1):
            self._table[number] = False
            self._table[number, names.index(name)] = True
            self._table[0, names.index(name)] = False
        if is_hair is not None:
            kind[is_hair] = len(inner) + 1
            for index, name in enumerate(names):
                self._table[-1, index] = name == "hair"
                self._table[0, index] &= name not in _COVERS
        self._kind = kind
        self._painted = torch.full((len(surfels), 3), torch.nan)
        light = (1 - (mouth_depth(head) - _LIT) / _DARK).clamp(_DARKEST, 1)[surfels.triangle]
        for name, colour in _UNSEEN_COLOURS.items():
            inside = inside_mouth(head, name)[surfels.triangle]
            self._painted[inside] = light[inside, None] * torch.tensor(colour)

    def allows(self, part: Tensor) -> Tensor:
        """(N,) whether the class of a pixel (N,) is one that shows the surfel."""
        return self._table[self._kind, part]

    def alike(self) -> list[Tensor]:
        """Indices of skin, and of each part behind lids and lips; hair is with none of them.

        What is seen of one says nothing of the others: a throat is dark, the nape beside it is not.
        """
        return [(self._kind == kind).nonzero()[:, 0] for kind in range(self._num_kinds)]

    def paint_unseen(self, colours: Tensor, seen: Tensor) -> None:
        """Give the inside of a mouth that no frame has shown usual colours, in place.

        They are as bright as the skin that was seen: a dark film has no shining teeth.
        """
        painted = ~seen & self._painted[:, 0].isfinite()
        skin = colours[seen & (self._kind == 0)]
        light = float(skin.mean()) / _USUAL_SKIN if len(skin) else 1.0
        colours[painted] = (light * self._painted[painted]).clamp(0, 1)


def _fill_hair(
    height: Tensor, colours: Tensor, seen: Tensor, is_hair: Tensor, capture: Capture
) -> None:
    """Colour hair that no frame shows, in place, like hair of about the same height (N,).

    Each takes the mean of some at random: the back of a head is then a little streaked, as its
    front is, and what part pictures call hair by mistake is outvoted.
    """
    known, unknown = (is_hair & seen).nonzero()[:, 0], (is_hair & ~seen).nonzero()[:, 0]
    if not len(known) or not len(unknown):
        return
    generator = torch.Generator().manual_seed(len(capture.training[capture.source]))
    known = known[height[known].argsort()]
    away = (colours[known] - _median_along(colours[known])).abs().sum(dim=1)
    known = known[away <= away.quantile(_USUAL_HAIR)]
    place = torch.searchsorted(height[known].contiguous(), height[unknown].contiguous())
    window = max(int(_HEIGHT_WINDOW * len(known)), 1)
    beside = torch.randint(-window, window + 1, (len(unknown), _MIXED), generator=generator)
    chosen = (place[:, None] + beside).clamp(0, len(known) - 1)
    colours[unknown] = colours[known[chosen]].mean(dim=1)


def _median_along(colours: Tensor) -> Tensor:
    """(N, 3) the usual colour around each place of a row of colours (N, 3): dark temples are no
    mistake below a fair crown."""
    groups = colours.chunk(_GROUPS)
    middles = torch.stack([group.median(dim=0).values for group in groups]).T
    places = (torch.arange(len(colours)) + 0.5) / len(groups[0]) - 0.5
    places = places.clamp(0, len(groups) - 1)
    low = places.long().clamp_max(max(len(groups) - 2, 0))
    high = (low + 1).clamp_max(len(groups) - 1)
    mixed: Tensor = middles[:, low] + (places - low) * (middles[:, high] - middles[:, low])
    return mixed.T


def _fill_unseen(points: Tensor, colours: Tensor, seen: Tensor) -> Tensor:
    from scipy.spatial import cKDTree

    if seen.sum() < 4 or seen.all():
        return colours
    _, index = cKDTree(points[seen].numpy()).query(points[~seen].numpy(), k=4)
    filled = colours.clone()
    filled[~seen] = colours[seen][torch.as_tensor(index)].mean(dim=1)
    return filled
