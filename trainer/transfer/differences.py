"""What an attribute changes of a face, carried over to another face.

Noses, mouths and ears are bent as the other person's are (`reshaping`). Each surfel of eyes moves
as the nearest ones of the other person do, of the same part. How much darker, lighter or redder
one becomes is carried over, not its colour: a nose's shade fits any skin. An iris takes the
attribute's own colour, and so do lips where the attribute has painted them. Brows are drawn anew
(`brows`), and eyeballs of the same head carried over whole (`eyes`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.head.parts import WORN_PARTS
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Attribute
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import is_part, triangle_parts
from trainer.near_points import nearest
from trainer.transfer.brows import with_brows
from trainer.transfer.correspondence import Correspondence
from trainer.transfer.looks import Look, logit_of, look_of, ratio_of
from trainer.transfer.replaced import Change
from trainer.transfer.reshaping import bends_at, near_part, part_middles, reshaping_of
from trainer.transfer.worn import dressed_source

ZONES = {
    "nose": ("nose",), "mouth": ("lips", "mouth", "teeth", "tongue"), "ears": ("ears",),
    "eyes": ("eyes", "eyelids"), "eyebrows": ("eyebrows",),
}  # fmt: skip
"""category → parts of the head that it is about"""
RESHAPED = ("nose", "mouth", "ears")
"""categories that are a form; the others are painted for the most part"""
_ALIKE = (
    ("eyes",), ("eyelids",), ("lips",), ("teeth",), ("tongue",), ("mouth",),
    ("skin", "nose", "ears", "eyebrows", "neck", "scalp", *WORN_PARTS),
)  # fmt: skip
"""Parts whose surfels take after one another; a lid never after the eye behind it."""
_NEIGHBOURS = 6
"""that are mixed: one is ragged, many are blurred"""
_CHANGED = 0.1
"""Change of a colour, in 0..1, from which on all of its logit is spent: less makes green and blue
spots where two attributes meet on fair skin, more leaves a dark thing on it pale."""
_PAINTED = (0.02, 0.07)
"""Mean change of an attribute's lips from which on they are painted, none to all: less takes the
source person's lips along, more leaves lips unpainted."""


def carry_difference(
    personal: SurfelAvatar,
    target: SurfelAvatar,
    attribute: Attribute,
    across: Correspondence,
    look: Look,
    change: Change,
) -> None:
    """Add what an attribute changes of a face to the change of the target's.

    Args:
        personal: the avatar that has the attribute.
        target: the avatar that gets it.
        attribute: one of a category of `ZONES`.
        across: from the first to the second.
        look: of the target's surfels.
        change: of the target's surfels.
    """
    category = category_of(attribute.name)
    worn, plain = _looks(personal, attribute)
    if category == "eyebrows":
        rows, colour = with_brows(worn, plain, look, across)
        change.values["colour"][rows] += _logits_between(look, rows, colour)
        return
    near = _Nearest(personal, target, across, worn, look, category)
    if not len(near.rows):
        return
    rows, weight = near.rows, near.weight[:, None]
    if category in RESHAPED:
        colour = _reshape(personal, target, attribute, across, look, change)[rows]
    else:
        colour = _follow(near, worn, plain, look, change)
    own = near.weight * _takes_colour(category, worn, plain, look, rows)
    colour = torch.lerp(colour, near.mean(worn.colour), own[:, None])
    change.values["colour"][rows] += weight * _logits_between(look, rows, colour)


def _follow(near: _Nearest, worn: Look, plain: Look, look: Look, change: Change) -> Tensor:
    """Move surfels as the nearest ones do; the colours (K, 3) that they then have."""
    rows, weight = near.rows, near.weight[:, None]
    surfels, before = worn.surfels, plain.surfels
    moved = near.mean(worn.points - plain.points)
    change.values["offset"][rows] += weight * _in_frames(look.frames[rows], moved)
    change.values["log_radius"][rows] += weight * near.mean(surfels.log_radius - before.log_radius)
    change.values["opacity"][rows] += near.weight * near.mean(surfels.opacity - before.opacity)
    return look.colour[rows] * ratio_of(near.mean(worn.colour), near.mean(plain.colour))


def _reshape(
    personal: SurfelAvatar,
    target: SurfelAvatar,
    attribute: Attribute,
    across: Correspondence,
    look: Look,
    change: Change,
) -> Tensor:
    """Bend a face as an attribute bends the other; the colours (N, 3) that it then has."""
    category = category_of(attribute.name)
    reshaping = reshaping_of(personal, attribute, ZONES[category], across)
    bends = bends_at(look, part_middles(target, ZONES[category]))
    bells = reshaping.bells(look.feet) * bends[:, None]
    change.values["offset"] += _in_frames(look.frames, bells @ reshaping.move)
    change.values["log_radius"] += bells @ reshaping.widen
    return look.colour * torch.exp(bells @ reshaping.shade)


def _in_frames(frames: Tensor, moved: Tensor) -> Tensor:
    """Moves (N, 3) in the frames (N, 3, 3) of triangles."""
    return (frames.transpose(1, 2) @ moved[:, :, None])[:, :, 0]


def _logits_between(look: Look, rows: Tensor, colour: Tensor) -> Tensor:
    """Logits (K, 3) from the colours of some surfels to others (K, 3).

    White skin may have any large logit. What hardly changes keeps it: each attribute that brought
    it back to where it is just white would, with others, make a hole in that colour.
    """
    before, light = look.colour[rows], look.light[rows]
    least = logit_of(before, light)
    share = ((colour - before).abs() / _CHANGED).clamp(0, 1)
    return logit_of(colour, light) - torch.lerp(least, look.surfels.colour[rows], share)


def _looks(personal: SurfelAvatar, attribute: Attribute) -> tuple[Look, Look]:
    """The person with and without the attribute."""
    worn = look_of(personal, dressed_source(personal, attribute))
    return worn, look_of(personal, personal.wardrobe.source)


def _takes_colour(category: str, worn: Look, plain: Look, look: Look, rows: Tensor) -> Tensor:
    """(K,) in 0..1, how much of the attribute's own colour each of the target's surfels takes."""
    if category == "eyes":
        return look.on(["eyes"])[rows].float()
    if category != "mouth":
        return torch.zeros(len(rows))
    lips = worn.on(["lips"]) & plain.on(["lips"])
    if not bool(lips.any()):
        return torch.zeros(len(rows))
    painted = (worn.colour[lips] - plain.colour[lips]).mean(dim=0).abs().max()
    low, high = _PAINTED
    return look.on(["lips"])[rows] * ((painted - low) / (high - low)).clamp(0, 1)


class _Nearest:
    """For each of the target's surfels in an attribute's zone, the other's nearest ones."""

    rows: Tensor
    """(K,) of the target's surfels"""
    weight: Tensor
    """(K,) in 0..1, how much of the difference is theirs"""

    def __init__(
        self,
        personal: SurfelAvatar,
        target: SurfelAvatar,
        across: Correspondence,
        worn: Look,
        look: Look,
        category: str,
    ) -> None:
        weight = near_part(look, part_middles(target, ZONES[category]))
        theirs = triangle_parts(target.head)[look.surfels.triangle]
        ours = triangle_parts(personal.head)[worn.surfels.triangle]
        corners = target.wardrobe.rest_corners
        triangle, barycentric = across.feet(worn.surfels.triangle, worn.surfels.barycentric)
        feet = (corners[triangle] * barycentric[:, :, None]).sum(dim=1)
        is_head = worn.is_seen & ~worn.on(WORN_PARTS)
        may = ~look.on(WORN_PARTS) & (weight > 0)
        index, share, rows = [], [], []
        for names in _ALIKE:
            among = (is_head & is_part(ours, names)).nonzero()[:, 0]
            wanted = (may & is_part(theirs, names)).nonzero()[:, 0]
            if not len(among) or not len(wanted):
                continue
            count = min(_NEIGHBOURS, len(among))
            apart, found = nearest(look.feet[wanted], feet[among], count)
            near = (1 / (apart + 2e-3)).float()
            share.append(torch.nn.functional.pad(near, (0, _NEIGHBOURS - count)))
            chosen = among[found]
            index.append(torch.nn.functional.pad(chosen, (0, _NEIGHBOURS - count)))
            rows.append(wanted)
        none = torch.zeros(0, dtype=torch.long)
        self.rows = torch.cat([none, *rows])
        self.weight = weight[self.rows]
        self._index = torch.cat([none.view(0, _NEIGHBOURS), *index])
        near = torch.cat([torch.zeros(0, _NEIGHBOURS), *share])
        self._share = near / near.sum(dim=1, keepdim=True)

    def mean(self, values: Tensor) -> Tensor:
        """What the other person's surfels have (N, …), at the target's (K, …)."""
        share = self._share.view(*self._share.shape, *[1] * (values.ndim - 1))
        return (values[self._index] * share).sum(dim=1)
