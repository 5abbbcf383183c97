"""A person's part as another person wears it: which surfels, and in which colours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.attributes import outside_shell, rest_surfels
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.surfels import Surfels
from trainer.database.bare_skin import (
    at_surfels,
    parts_of,
    skin_colours,
    skin_underlay,
    unlike_skin,
)
from trainer.database.layers import Layer
from trainer.database.people import PARTS_OF
from trainer.head_regions import SHAPED_BY, lent_shape, region_weights
from trainer.near_points import are_near
from trainer.transfer.carried import laid_around
from trainer.transfer.correspondence import Correspondence
from trainer.transfer.looks import look_of

_FEWEST = 12
"""Surfels of a part: fewer are stray votes. More refuses thin brows and rims."""
_FEWEST_TO_MATCH = 60
"""of the source's own part, to match its usual colour rather than that of all skin: fewer are a
matter of chance, more gives lips of small pictures the colour of a cheek"""
_SKIN_OF = {"nose": ("nose",), "ears": ("ears",), "mouth": ("lips",), "eyes": ("eyelids",)}
"""category → its parts whose usual colour becomes that of the source's own"""
_GLOSSY = ("nose", "ears")
"""Parts whose lighter spots are gloss, which light skin has no more of than dark skin. Of lips
they are another colour: taken for gloss, mouths were 0.4 to 1.1 dB worse where they change the
picture."""
_NEAR_HAIR = 0.05
"""In units of the head, how far from hair what is called skin may have its colour; less leaves a
fringe, more repaints cheeks."""
_LEAST_HAIR = 0.15
"""Of a brow's surfel: less brings the other person's skin along, more loses thin brows."""
_DARKEST = 0.2
"""Share of a brow's surfels whose colour is that of its hair: more mixes skin in and makes brows
lighter, less follows single dark surfels."""
_PRESSED = 0.08
"""In units of the head, how far under a hat hair is hidden all the same: less lets it shine through
gaps between surfels, more takes hair below the rim."""
_OPAQUE = 0.5
"""Of a hat's surfels, from which they hide hair: less takes hair away under stray transparent ones,
more lets it through at thin brims."""
_LAID_AROUND = ("hair", "eyeglasses")
"""Hair of a smaller head lacks a rim all around, and glasses belong before the eyes. A hat is as
thick on any head, and stays as it is bound."""


@dataclass(frozen=True, eq=False)
class SourcePerson:
    """The source person's avatar, and their skin where nothing was on it."""

    avatar: SurfelAvatar
    skin: Tensor
    """(V, 3) albedo"""
    underlay: Surfels

    @classmethod
    def of(cls, avatar: SurfelAvatar) -> SourcePerson:
        """Of an avatar without attributes."""
        skin = skin_colours(avatar)
        return cls(avatar, skin, skin_underlay(avatar, skin))


@dataclass(frozen=True, eq=False)
class LentPart:
    """What is drawn to put one person's part on another."""

    category: str
    before: tuple[Layer, ...]
    """the source person as they are, with what goes marked"""
    after: tuple[Layer, ...]
    """the same without it, with what is new marked"""
    head: Head
    """with the other person's shape where that comes along"""
    weights: Tensor
    """(V,) where the shape is another's"""


def lend(source: SourcePerson, person: SurfelAvatar, category: str) -> LentPart:
    """Take a part of a person to the source person.

    Raises:
        InvalidInput: the person's avatar has no such part.
    """
    theirs = person.wardrobe.source
    new = theirs.chosen(parts_of(theirs, *PARTS_OF[category]).nonzero()[:, 0])
    if len(new) < _FEWEST:
        raise InvalidInput(f"{category}: {person.name}'s avatar has none; give clearer frames.")
    is_skin = category in SHAPED_BY or category == "eyebrows"
    if is_skin:
        new = _matched(source, person, new, category)
    if category in _LAID_AROUND:
        across = Correspondence.between(person, source.avatar)
        new = laid_around(look_of(person, new), source.avatar, across, category)
    own = source.avatar.wardrobe.source
    gone = _gone(source, new, category)
    head, weights = source.avatar.head, torch.zeros(source.avatar.head.num_vertices)
    if category in SHAPED_BY:
        change = person.shape - source.avatar.shape
        moved = lent_shape(head, category, change, head.template, head.identity_directions)
        weights = region_weights(head, category, head.template)
        head = replace(head, template=head.template + moved)
    states, light = source.avatar.states, source.avatar.light
    rest = own.chosen((~gone).nonzero()[:, 0])
    return LentPart(
        category,
        before=(Layer(own, states, light, gone),),
        after=(
            Layer(rest, states, light),
            Layer(source.underlay, states, light),
            # Hair, hats and glasses stay in the light that they were filmed in.
            Layer(new, person.states, light if is_skin else person.light, is_marked=True),
        ),
        head=head,
        weights=weights,
    )


def _gone(source: SourcePerson, new: Surfels, category: str) -> Tensor:
    """(N,) bool, which of the source's surfels are not there with the new part."""
    avatar, own = source.avatar, source.avatar.wardrobe.source
    gone = parts_of(own, *PARTS_OF[category])
    if category == "hair":
        gone |= parts_of(own, "hat")
        scalp = require_parts(avatar.head).on("scalp")[avatar.head.faces[own.triangle]].all(dim=1)
        # What was seen between hairs has something of their colour.
        gone |= scalp & ~parts_of(own, "ears", "glasses")
        gone |= _fringe(source, parts_of(own, "hair"))
    if category == "hat":
        corners = avatar.wardrobe.rest_corners
        opaque = new.chosen((torch.sigmoid(new.opacity) > _OPAQUE).nonzero()[:, 0])
        shell, _ = rest_surfels(opaque, corners)
        hair = parts_of(own, "hair").nonzero()[:, 0]
        points, _ = rest_surfels(own.chosen(hair), corners)
        reach = _PRESSED + 2 * own.log_radius[hair].max(dim=1).values.exp()
        gone[hair[outside_shell(points, reach, shell)]] = True
    return gone


def _fringe(source: SourcePerson, is_hair: Tensor) -> Tensor:
    """(N,) bool, what is called skin, has another colour, and lies beside hair."""
    found = unlike_skin(source.avatar, source.skin)
    if not bool(is_hair.any()):
        return torch.zeros_like(found)
    wardrobe = source.avatar.wardrobe
    points, _ = rest_surfels(wardrobe.source, wardrobe.rest_corners)
    return found & are_near(points, points[is_hair], _NEAR_HAIR)


def _matched(source: SourcePerson, person: SurfelAvatar, new: Surfels, category: str) -> Surfels:
    """A part of skin in albedos that go with the source's light and skin."""
    own = source.avatar
    albedo = torch.sigmoid(new.colour)
    # Albedo and light are known up to a factor, which each avatar has put elsewhere.
    theirs = person.light(rest_surfels(new, person.wardrobe.rest_corners)[1]).mean()
    mine = own.light(rest_surfels(new, own.wardrobe.rest_corners)[1]).mean()
    plain = albedo * theirs / mine.clamp_min(0.02)
    skin = at_surfels(own.head, source.skin, new)
    if category == "eyebrows":
        share = _hair_share(albedo, at_surfels(person.head, skin_colours(person), new))
        hair = _darkest(plain)
        kept = (share > _LEAST_HAIR).nonzero()[:, 0]
        mixed = share[:, None] * hair + (1 - share[:, None]) * skin
        return replace(new, colour=_logit(mixed)).chosen(kept)
    changed = plain
    for name in _SKIN_OF[category]:
        mine, theirs = _usual_albedos(own, person, name)
        changed = torch.where(
            parts_of(new, name)[:, None], _carried(albedo, mine, theirs, name in _GLOSSY), changed
        )
    if category in ("nose", "ears"):
        inside = _inside(own.head, category, new)[:, None]
        changed = inside * changed + (1 - inside) * skin
    return replace(new, colour=_logit(changed))


def _hair_share(albedo: Tensor, skin: Tensor) -> Tensor:
    """(N,) in 0..1, how much of each surfel of a brow is hair."""
    line = _darkest(albedo) - skin
    share: Tensor = ((albedo - skin) * line).sum(dim=1) / line.square().sum(dim=1).clamp_min(1e-4)
    return share.clamp(0, 1)


def _darkest(albedo: Tensor) -> Tensor:
    """(3,) colour of a brow's hair, which is darker than the skin around it."""
    light = albedo.mean(dim=1)
    dark: Tensor = albedo[light <= light.quantile(_DARKEST)].median(dim=0).values
    return dark


def _usual_albedos(own: SurfelAvatar, other: SurfelAvatar, part: str) -> tuple[Tensor, Tensor]:
    """(3,) and (3,), one's own usual albedo of a part, and the other person's.

    A dark lip on dark skin has no counterpart on light skin but a lip of that person.
    """
    found = [(a.wardrobe.source, parts_of(a.wardrobe.source, part)) for a in (own, other)]
    if any(int(of.sum()) < _FEWEST_TO_MATCH for _, of in found):
        found = [(a.wardrobe.source, parts_of(a.wardrobe.source, "skin")) for a in (own, other)]
    if not all(bool(of.any()) for _, of in found):
        return torch.ones(3), torch.ones(3)
    mine, theirs = (torch.sigmoid(s.colour[of]).median(dim=0).values for s, of in found)
    return mine, theirs.clamp_min(0.02)


def _carried(albedo: Tensor, mine: Tensor, theirs: Tensor, is_glossy: bool) -> Tensor:
    """(N, 3), another person's albedos as much darker or lighter than one's own usual (3,).

    Shade takes a share of any skin. Gloss adds to it what it adds to dark skin, and no more: by the
    ratio of two skins the tip of a dark nose would be yellow on a light face.
    """
    ratio = mine / theirs
    lighter = mine + (albedo - theirs) * (ratio.clamp_max(1) if is_glossy else ratio)
    return torch.where(albedo > theirs, lighter, albedo * ratio)


def _inside(head: Head, category: str, surfels: Surfels) -> Tensor:
    """(N,) 1 within a part of the head, fading to 0 at its border."""
    on = require_parts(head).on(*SHAPED_BY[category]).float()
    neighbours = torch.zeros(head.num_vertices)
    count = torch.zeros(head.num_vertices)
    for first, second in ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)):
        neighbours.index_add_(0, head.faces[:, first], on[head.faces[:, second]])
        count.index_add_(0, head.faces[:, first], torch.ones(len(head.faces)))
    smooth = on * neighbours / count.clamp_min(1)
    return at_surfels(head, smooth[:, None], surfels)[:, 0].clamp(0, 1)


def _logit(albedo: Tensor) -> Tensor:
    return torch.logit(albedo.clamp(0.02, 0.98))
