"""The surfels that are a worn thing: hair, a hat, glasses.

Those that an attribute brings, and those of its own person that it has turned into itself: hair
into a bob, a forehead into the rim of a hat.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Attribute, Wardrobe
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import WORN
from pegasus_runtime.surfels.surfels import Surfels, concatenate
from trainer.transfer.looks import Look, SkinColour, look_of, seen_surfels

_BECAME = 0.5
"""How much a surfel has to change (`Difference.size`) to become the attribute: less takes shaded
skin for hair, more leaves holes."""
LEAST_OPACITY = -4.0
"""Logit below which nothing is to be seen, and nothing carried."""
_AROUND = 24
"""Neighbours whose median is the colour of a thing at a place; more blur stripes, fewer keep
specks."""
_STRANGE = 0.2
"""How far from a thing's colour, in 0..1, that of the person is whose traces are looked for: less
takes highlights of fair hair for skin, more leaves specks."""
_ALIKE, _BESIDE = 0.12, 0.06
"""Difference of colour, and distance in units of the head, of what is a part of a thing though no
part picture shows it: more takes in what lies near, less leaves holes on the crown."""
_PURE, _FAIR = 0.75, 0.3
"""Share of a thing's own colour from which on a surfel shows nothing else, and below which it shows
skin. Hair's highlights lie in between. Less leaves specks, more blurs what a thing is painted
with."""
_NEAR_LINE = 0.25
"""How far from the line between a thing's colour and the skin's mixtures of the two may lie, for
what is not hair: shaded or shining skin is off it."""
_PUREST = 0.75
"""Of how far the purest of glasses are from the skin's colour: less takes a mixture for the rim's
colour, more a shadow."""
_FEWEST = 50
"""surfels that a thing's colour is told by"""


def dressed_source(avatar: SurfelAvatar, attribute: Attribute) -> Surfels:
    """The person's surfels with an attribute on, and what they then show."""
    wardrobe = avatar.wardrobe
    count = len(wardrobe.source)
    dressed = wardrobe.dressed({attribute.name: 1.0}).chosen(torch.arange(count))
    part = wardrobe.source.part.clone()
    part[attribute.region] = _worn_part(attribute, wardrobe)
    return replace(dressed, part=part)


def _worn_part(attribute: Attribute, wardrobe: Wardrobe) -> Tensor:
    """(M,) uint8, what each surfel of an attribute's region shows while it is worn."""
    if attribute.part is not None:
        return attribute.part
    part, worn = wardrobe.source.part[attribute.region], WORN.get(category_of(attribute.name))
    if worn is None:
        return part
    return torch.where(_has_become(attribute), PART_NAMES.index(worn), part.long()).byte()


def _has_become(attribute: Attribute) -> Tensor:
    """(M,) bool, which surfels of a region have changed so much that they are something else."""
    has_become: Tensor = attribute.difference.size() > _BECAME
    return has_become


def worn_look(personal: SurfelAvatar, attribute: Attribute) -> Look:
    """The surfels of a worn attribute, as they look on the person who has it."""
    part = WORN[category_of(attribute.name)]
    source = dressed_source(personal, attribute)
    became = torch.zeros(len(source), dtype=torch.bool)
    became[attribute.region] = _has_become(attribute)
    among = torch.zeros(len(source), dtype=torch.bool)
    # What hair leaves as it was is part of it as well.
    among[attribute.region if part != "hair" else slice(None)] = True
    from_source = among & (source.opacity > LEAST_OPACITY)
    from_own = attribute.own.opacity > LEAST_OPACITY
    if part != "hair":
        # What lies hidden has learned any colour, and would be seen on another head. Hair is not
        # all opaque, and what lies in it belongs to it.
        seen = seen_surfels(personal, concatenate([source, attribute.own]))
        from_source &= seen[: len(source)]
        from_own &= seen[len(source) :]
    rows = from_source.nonzero()[:, 0]
    own = attribute.own.chosen(from_own.nonzero()[:, 0])
    surfels = concatenate([source.chosen(rows), own])
    may = torch.cat([became[rows], torch.ones(len(own), dtype=torch.bool)])
    look = look_of(personal, surfels)
    return _chosen_and_cleaned(look, part, may, personal)


def _chosen_and_cleaned(look: Look, part: str, may: Tensor, personal: SurfelAvatar) -> Look:
    """Those that show a thing, in its colours.

    At its edge a surfel shows a little of the skin beside it. On other skin such specks would be
    seen: they take the colour of the thing around them.

    Args:
        look: of surfels.
        part: which is the thing.
        may: (N,) bool, which of the others may be, for they have its colour.
        personal: who wears it.
    """
    from scipy.spatial import cKDTree

    shown = look.on([part])
    skin = SkinColour(look_of(personal, personal.wardrobe.source)).at(look.feet)
    away = (look.colour - skin).norm(dim=1)
    # Thin rims are mixed with skin in most of their surfels: the purest tell their colour.
    purest = (
        _PUREST * float(away[shown].quantile(0.9)) if part == "glasses" and shown.any() else 0.0
    )
    sure = shown & (away > max(_STRANGE, purest))
    if int(sure.sum()) < _FEWEST:
        return look.chosen(shown.nonzero()[:, 0])
    tree, known = cKDTree(look.points[sure].numpy()), look.colour[sure]
    found, near = tree.query(look.points.numpy(), k=_AROUND)
    near_colours = known[torch.from_numpy(np.asarray(near))]
    around = near_colours.median(dim=1).values
    left = _left_of(look.colour, around, skin, _ALIKE if part == "hair" else _NEAR_LINE)
    beside = may & (torch.from_numpy(np.asarray(found))[:, 0] < _BESIDE)
    surfels, is_mixed = look.surfels, left < _FAIR
    alike = (look.colour - around).norm(dim=1) < _ALIKE
    if part == "glasses":
        # Their rims are thinner than surfels: as much is left of one as was of the rim.
        is_thing, is_mixed = (shown | beside) & (left > _FAIR) & (alike | (left < 1)), left < 1
        thinned = torch.logit(torch.sigmoid(surfels.opacity) * left.clamp_min(_FAIR))
        surfels = replace(surfels, opacity=torch.where(is_mixed, thinned, surfels.opacity))
    else:
        is_thing = shown | (beside & alike & (left == 1))
    colour = torch.where(is_mixed[:, None], around, look.colour)
    mended = replace(look, surfels=surfels, colour=colour)
    return mended.chosen(is_thing.nonzero()[:, 0])


def _left_of(colour: Tensor, thing: Tensor, beside: Tensor, near: float) -> Tensor:
    """(N,) how much of colours (N, 3) is of a thing and not of what is beside it; 1 where they are
    no mixture of the two, which lies as near to the line between them, or the two are alike."""
    line = thing - beside
    length = line.norm(dim=1).clamp_min(1e-6)
    share = ((colour - beside) * line).sum(dim=1) / length.square()
    off_line = (colour - beside - share[:, None] * line).norm(dim=1)
    is_mixed = (length > _STRANGE) & (off_line < near) & (share < _PURE)
    return torch.where(is_mixed, share.clamp(0, 1), 1.0)
