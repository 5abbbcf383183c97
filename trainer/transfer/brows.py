"""Another person's brows, drawn where the own ones were.

A change of the own colours has no place for a brow that is wider or higher than they are: it would
make a thin brow darker. So the own brow goes, and hairs are drawn where the other's are seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.near_points import nearest, nearness
from trainer.transfer.correspondence import Correspondence
from trainer.transfer.looks import Look, SkinColour, ratio_of

_PART = ("eyebrows",)
_GROUND = ("skin", "nose", "eyebrows")
"""parts whose surfels may show a brow: a training need not call its thin end one; a lid's lashes
are as dark, and are none"""
_HAIRIEST = 0.8
"""Share of a brow's surfels that are more like skin than its hairs are: less takes skin between the
hairs for their colour, more a single dark surfel."""
_PLAIN = 0.15
"""Difference of brows from the skin, in 0..1, from which on their colour is kept: less draws brows
of skin on who has none, more gives fair people the other's colour."""
_LEAST_AWAY = 1e-4
"""Squared distance of hairs from skin by which is divided; only where there are no brows."""
_REACH, _FADES = 0.03, 0.5
"""In units of the head, how far from what is called a brow hairs are looked for, and the share of
it over which they fade: less cuts ends off, more takes shaded skin for hair."""
_NEIGHBOURS, _NEAREST = 3, 5e-4
"""whose mean a place shows, and the distance within which they count alike: more blur a brow"""


@dataclass(frozen=True, eq=False)
class Brows:
    """Where somebody's brows are, and what colour they have."""

    tone: Tensor
    """(3,) of their hairs"""
    plain_tone: Tensor
    """(3,) of those without the attribute"""
    skin: Tensor
    """(N, 3) without brows, at each surfel"""
    usual_skin: Tensor
    """(3,) below the brows"""
    share: Tensor
    """(N,) in 0..1, how much of each surfel is hair"""

    @classmethod
    def of(cls, worn: Look, plain: Look) -> Brows:
        """The brows of a person with an attribute, whom the second shows without it."""
        skin = SkinColour(plain).at(worn.feet)
        among = worn.on(_PART) | plain.on(_PART)
        tone = _tone(worn, skin)
        away = skin - tone
        share = ((skin - worn.colour) * away).sum(dim=1)
        share = share / away.square().sum(dim=1).clamp_min(_LEAST_AWAY)
        around = nearness(worn.points, worn.points[among], _REACH, _FADES) * worn.on(_GROUND)
        below = skin[among] if bool(among.any()) else skin
        share = share.clamp(0, 1) * around
        return cls(tone, _tone(plain, skin), skin, below.mean(dim=0), share)


def _tone(look: Look, skin: Tensor) -> Tensor:
    """(3,) the colour of brows where they are least like the skin (N, 3)."""
    brows = look.on(_PART) & look.is_seen
    if not bool(brows.any()):
        return skin.mean(dim=0)
    away = (look.colour[brows] - skin[brows]).norm(dim=1)
    return look.colour[brows][away >= away.quantile(_HAIRIEST)].mean(dim=0)


def with_brows(
    worn: Look, plain: Look, look: Look, across: Correspondence
) -> tuple[Tensor, Tensor]:
    """Colours of a person's surfels with brows of another's form.

    Hair keeps its colour, and becomes as much darker as the attribute made it; who has no brows
    that are seen gets the other's. Where the brows are as they were, nothing changes.

    Args:
        worn: of the other person with the attribute.
        plain: of the same without it.
        look: of N surfels of the person.
        across: from the first to this one.

    Returns:
        Indices (K,) of surfels, and their colours (K, 3).
    """
    theirs, ours = Brows.of(worn, plain), Brows.of(look, look)
    share = _share_at(theirs, worn, look, across)
    rows = (look.on(_GROUND) & ((share > 0) | (ours.share > 0))).nonzero()[:, 0]
    skin, tone = ours.skin[rows], _tone_of(theirs, ours)
    # What shades the skin shades the hairs on it, and stays.
    gone = ours.share[rows][:, None] * (skin - ours.tone)
    drawn = share[rows][:, None] * (skin - tone)
    return rows, (look.colour[rows] + gone - drawn).clamp(0, 1)


def _share_at(theirs: Brows, worn: Look, look: Look, across: Correspondence) -> Tensor:
    """(N,) how much hair the other person has where each surfel is seen.

    Surfels slide off the triangles that they are bound to. What counts is the skin right below.
    """
    among = (worn.on(_GROUND) & worn.is_seen).nonzero()[:, 0]
    if not bool((theirs.share[among] > 0).any()):
        return torch.zeros(len(look.points))
    there = across.below(worn.points, worn.surfels.triangle)[among]
    apart, index = nearest(look.below, there, min(_NEIGHBOURS, len(among)))
    weight = (1 / (apart + _NEAREST)).float()
    share = (theirs.share[among][index] * weight).sum(dim=1)
    found: Tensor = share / weight.sum(dim=1)
    return found


def _tone_of(theirs: Brows, ours: Brows) -> Tensor:
    """(3,) the colour of hairs of the other's form on this person."""
    lent = (ours.usual_skin * ratio_of(theirs.plain_tone, theirs.usual_skin)).clamp(0, 1)
    contrast = (ours.usual_skin - ours.tone).norm()
    own = torch.lerp(lent, ours.tone, (contrast / _PLAIN).clamp(0, 1))
    # What looks lighter is as often skin between finer hairs, which their share tells already.
    return own * ratio_of(theirs.tone, theirs.plain_tone).clamp_max(1)
