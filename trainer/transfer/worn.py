"""The surfels that are a worn thing: hair, a hat, glasses.

Those that an attribute brings, and those of its own person that it has turned into itself: hair
into a bob, a forehead into the rim of a hat.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Attribute, Wardrobe
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import WORN
from pegasus_runtime.surfels.surfels import Surfels, concatenate
from trainer.near_points import are_near, nearest
from trainer.transfer.looks import HEAD_SKIN, Look, SkinColour, look_of, seen_surfels

_BECAME = 0.5
"""How much a surfel has to change (`Difference.size`) to become the attribute: less takes shaded
skin for hair, more leaves holes."""
LEAST_OPACITY = -4.0
"""Logit below which nothing is to be seen, and nothing carried."""
_AROUND = 24
"""Neighbours whose median is the colour of a thing at a place; more blur stripes, fewer keep
specks."""
_WIDELY = 200
"""the same by and large: fewer follow a patch of forehead that is called a hat, more lose a band"""
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
_ON_CLOTH = 0.12
"""in units of the head, from cloth, within which hair of rather its colour is cloth: more takes
highlights, less leaves a collar on who has none"""
_LONE, _FEW_BESIDE = 3.0, 8
"""times as far from its neighbours as most, from which hair is a speck: more leaves some at eyes,
less thins the ends of long hair; and how many neighbours of cloth, which has no loose ends, tell
it: more take thin rims for specks, fewer leave pairs of them"""
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
    everything = concatenate([source, attribute.own])
    seen = seen_surfels(personal, everything)
    there = torch.cat([among, torch.ones(len(attribute.own), dtype=torch.bool)])
    there &= everything.opacity > LEAST_OPACITY
    if part != "hair":
        # What lies hidden has learned any colour, and would be seen on another head. Hair is not
        # all opaque, and what lies in it belongs to it.
        there &= seen
    rows = there.nonzero()[:, 0]
    may = torch.cat([became, torch.ones(len(attribute.own), dtype=torch.bool)])[rows]
    whole = look_of(personal, everything)
    skin = whole.points[seen & whole.on(HEAD_SKIN)]
    look = _chosen_and_cleaned(whole.chosen(rows), part, may, seen[rows], skin, personal)
    if part == "hair" and len(look.points) > _FEWEST:
        cloth = whole.chosen((whole.is_seen & whole.on(["clothes"])).nonzero()[:, 0])
        return look.chosen(_is_hair(look, cloth).nonzero()[:, 0])
    if part == "hat" and len(look.points) > _FEWEST:
        return look.chosen((~_are_lone(look, _FEW_BESIDE)).nonzero()[:, 0])
    return look


def _is_hair(look: Look, cloth: Look) -> Tensor:
    """(N,) bool, which of what is called hair is neither cloth on which hair lies, nor one of
    those that are hidden within a head and would show on another."""
    is_hair = ~_are_lone(look, _AROUND)
    if len(cloth.points) >= _FEWEST:
        usual = (each.colour.median(dim=0).values for each in (look, cloth))
        hair, worn = ((look.colour - colour).norm(dim=1) for colour in usual)
        is_hair &= (hair < worn) | ~are_near(look.points, cloth.points, _ON_CLOTH)
    return is_hair


def _are_lone(look: Look, count: int) -> Tensor:
    """(N,) bool, which are specks: far from some of the others."""
    apart, _ = nearest(look.points, look.points, count + 1)
    are_lone: Tensor = apart[:, -1] >= _LONE * apart[:, -1].median()
    return are_lone


def _chosen_and_cleaned(
    look: Look, part: str, may: Tensor, seen: Tensor, bare: Tensor, personal: SurfelAvatar
) -> Look:
    """Those that show a thing, in its colours.

    At its edge a surfel shows a little of the skin beside it. On other skin such specks would be
    seen: they take the colour of the thing around them.

    Args:
        look: of surfels.
        part: which is the thing.
        may: (N,) bool, which of the others may be, for they have its colour.
        seen: (N,) bool, which are seen at all.
        bare: (M, 3) points of skin that is seen.
        personal: who wears it.
    """
    shown = look.on([part])
    skin = SkinColour(look_of(personal, personal.wardrobe.source)).at(look.feet)
    away = (look.colour - skin).norm(dim=1)
    strange = _STRANGE
    # Elsewhere what is like skin is light hair and cloth.
    by_skin = are_near(look.points, bare, _BESIDE) | (part == "glasses")
    if part == "glasses" and bool(shown.any()):
        # Thin rims are mixed with skin in most of their surfels: the purest tell their colour.
        strange = max(_STRANGE, _PUREST * float(away[shown].quantile(0.9)))
    sure = shown & seen & ((away > strange) | ~by_skin)
    if int(sure.sum()) < _FEWEST:
        return look.chosen(shown.nonzero()[:, 0])
    apart, around = _colour_around(look, sure, _AROUND)
    left = _left_of(look.colour, around, skin, _ALIKE if part == "hair" else _NEAR_LINE)
    left[~by_skin] = 1.0
    beside = may & (apart < _BESIDE)
    surfels, is_mixed = look.surfels, left < _FAIR
    alike = (look.colour - around).norm(dim=1) < _ALIKE
    if part == "glasses":
        # Their rims are thinner than surfels: as much is left of one as was of the rim.
        is_thing, is_mixed = (shown | beside) & (left > _FAIR) & (alike | (left < 1)), left < 1
        thinned = torch.logit(torch.sigmoid(surfels.opacity) * left.clamp_min(_FAIR))
        surfels = replace(surfels, opacity=torch.where(is_mixed, thinned, surfels.opacity))
    else:
        is_thing = shown | (beside & alike & (left == 1))
    if part == "hat":
        # On the edge of what a forehead shows below a brim, the other forehead shows.
        _, usual = _colour_around(look, sure, min(_WIDELY, int(sure.sum())))
        is_thing &= ~is_mixed & (((look.colour - usual).norm(dim=1) < away) | ~by_skin)
    colour = torch.where(is_mixed[:, None], around, look.colour)
    mended = replace(look, surfels=surfels, colour=colour)
    return mended.chosen(is_thing.nonzero()[:, 0])


def _colour_around(look: Look, sure: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """How far surfels are (N,) from those that are surely (N,) a part of a thing, and its colour
    (N, 3) among so many of them."""
    apart, near = nearest(look.points, look.points[sure], count)
    return apart[:, 0], look.colour[sure][near].median(dim=1).values


def _left_of(colour: Tensor, thing: Tensor, beside: Tensor, near: float) -> Tensor:
    """(N,) how much of colours (N, 3) is of a thing and not of what is beside it; 1 where they are
    no mixture of the two, which lies as near to the line between them, or the two are alike."""
    line = thing - beside
    length = line.norm(dim=1).clamp_min(1e-6)
    share = ((colour - beside) * line).sum(dim=1) / length.square()
    off_line = (colour - beside - share[:, None] * line).norm(dim=1)
    is_mixed = (length > _STRANGE) & (off_line < near) & (share < _PURE)
    return torch.where(is_mixed, share.clamp(0, 1), 1.0)
