"""Another person's brows, drawn where the own ones were.

A change of the own colours has no place for a brow that is wider or higher than they are: it would
make a thin brow darker. So the own brow goes, and hairs are drawn where the other's are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.transfer.looks import Look, SkinColour, ratio_of

_PART = ("eyebrows",)
_HAIRIEST = 0.8
"""Share of a brow's surfels that are more like skin than its hairs are: less takes skin between the
hairs for their colour, more a single dark surfel."""
_PLAIN = 0.15
"""Difference of brows from the skin, in 0..1, from which on their colour is kept: less draws brows
of skin on who has none, more gives fair people the other's colour."""
_LEAST_AWAY = 1e-4
"""Squared distance of hairs from skin by which is divided; only where there are no brows."""


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
    among: Tensor
    """(N,) 0 or 1, which surfels are of brows, with the attribute or without"""

    @classmethod
    def of(cls, worn: Look, plain: Look) -> Brows:
        """The brows of a person with an attribute, whom the second shows without it."""
        skin = SkinColour(plain).at(worn.feet)
        among = worn.on(_PART) | plain.on(_PART)
        tone = _tone(worn, skin)
        away = skin - tone
        share = ((skin - worn.colour) * away).sum(dim=1)
        share = share / away.square().sum(dim=1).clamp_min(_LEAST_AWAY)
        below = skin[among] if bool(among.any()) else skin
        return cls(
            tone, _tone(plain, skin), skin, below.mean(dim=0), share.clamp(0, 1), among.float()
        )


def _tone(look: Look, skin: Tensor) -> Tensor:
    """(3,) the colour of brows where they are least like the skin (N, 3)."""
    brows = look.on(_PART) & look.is_seen
    if not bool(brows.any()):
        return skin.mean(dim=0)
    away = (look.colour[brows] - skin[brows]).norm(dim=1)
    return look.colour[brows][away >= away.quantile(_HAIRIEST)].mean(dim=0)


def with_brows(
    colour: Tensor,
    look: Look,
    rows: Tensor,
    brows: tuple[Brows, Brows],
    share: Tensor,
    among: Tensor,
) -> Tensor:
    """Colours (K, 3) of some of a person's surfels, with brows of another's form.

    Hair keeps its colour, and becomes as much darker as the attribute made it; who has no brows
    that are seen gets the other's.

    Args:
        colour: (K, 3) of what is no brow.
        look: of N surfels of the person.
        rows: (K,) of them.
        brows: the other's, and the person's own.
        share: (K,) `Brows.share` of the other at each of those.
        among: (K,) `Brows.among` of the other, likewise.
    """
    theirs, ours = brows
    lent = (ours.usual_skin * ratio_of(theirs.plain_tone, theirs.usual_skin)).clamp(0, 1)
    contrast = (ours.usual_skin - ours.tone).norm()
    own = torch.lerp(lent, ours.tone, (contrast / _PLAIN).clamp(0, 1))
    # What looks lighter is as often skin between finer hairs, which their share tells already.
    tone = own * ratio_of(theirs.tone, theirs.plain_tone).clamp_max(1)
    bare = torch.lerp(look.colour[rows], ours.skin[rows], ours.share[rows][:, None])
    drawn = torch.lerp(bare, tone.expand_as(bare), share[:, None])
    # A lid's lashes are as dark, and are none.
    among = torch.maximum(among, ours.among[rows]) * ~look.on(["eyes", "eyelids"])[rows]
    return torch.lerp(colour, drawn, among[:, None])
