"""What an attribute takes the place of: hair goes, and the skin below is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head.parts import PART_NAMES, WORN_PARTS, require_parts
from pegasus_runtime.surfels.attributes import CHANGED, Difference, outside_shell
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.binding import triangle_frames
from pegasus_runtime.surfels.parts import triangle_parts
from pegasus_runtime.surfels.surfels import Surfels, new_surfels
from trainer.init.surfel_sampling import sample_triangles
from trainer.transfer.looks import HEAD_SKIN, Look, SkinColour, logit_of

_GONE = -8.0
"""Logit of an opacity of which nothing is left, whatever states of expression add."""
_SPACING = 0.012
"""of surfels on skin that nobody has seen, in units of the head: wider ones let hair shine through,
closer ones take longer to draw"""
_COVERED = 0.014
"""Distance of skin that is there already; less puts skin on skin, more leaves holes."""
_SINK = 0.004
"""by which that skin lies deeper than the head, so that hair lies on it"""
_BARE = ("skin", "scalp", "ears", "neck")
"""parts of the head that hair may cover"""
_UNDER = 0.03
"""in units of the head, below a hat: hair so near to it goes as well; less lets strands through,
more bares the neck below its rim"""
_BEFORE, _OPPOSITE, _MIRRORED, _UNLIKE = 0.07, 0.03, 4, 0.25
"""In units of the head: how far from a place hair that covers it is bound, and how near a place of
the other side has to be; how many places are mixed, and how unlike a colour is that is replaced.
Less leaves dark eyes where a fringe was, more evens out a mole."""
_HAIRLINE = 0.05
"""in units of the head, beside hair that goes: skin so near has its colour; less leaves a dark rim,
more smooths a forehead"""


class Change:
    """A difference to all surfels of a person, of which most are nothing."""

    def __init__(self, source: Surfels) -> None:
        self._source = source
        none = Difference.none(len(source))
        self.values = {name: getattr(none, name) for name in CHANGED}

    def hide(self, which: Tensor) -> None:
        """Let nothing be left of some (N,) bool."""
        opacity = self._source.opacity
        self.values["opacity"] = torch.where(
            which, (_GONE - opacity).clamp_max(0), self.values["opacity"]
        )

    def colour(self, look: Look, which: Tensor, colour: Tensor) -> None:
        """Show colours (K, 3) at some surfels (N,) bool, K of them."""
        logits = logit_of(colour, look.light[which])
        self.values["colour"][which] = logits - self._source.colour[which]

    def region(self, least: float = 1e-3) -> tuple[Tensor, Difference]:
        """Which surfels (M,) are changed, and how."""
        size = sum(v.reshape(len(self._source), -1).abs().sum(dim=1) for v in self.values.values())
        assert isinstance(size, Tensor)
        index = (size > least).nonzero()[:, 0]
        return index, Difference(**{n: v[index] for n, v in self.values.items()})


def without_hair(look: Look, target: SurfelAvatar, skin: SkinColour, change: Change) -> Surfels:
    """Hide a person's hair; the skin that covers the head below it.

    Args:
        look: of the person's surfels.
        target: the person.
        skin: its colour.
        change: to which is added.
    """
    from scipy.spatial import cKDTree

    hair = look.on(["hair"])
    change.hide(hair)
    if not bool(hair.any()):
        return no_skin(look.surfels)
    beside = look.on([*HEAD_SKIN, "scalp"]) & _near(look.points, look.points[hair], _HAIRLINE)
    beside |= look.on(["scalp"])
    change.colour(look, beside, skin.at(look.feet[beside]))
    _mirror_covered(look, hair, triangle_parts(target.head)[look.surfels.triangle], change)
    left = look.points[~hair & look.is_seen]
    found = _sampled(target)
    corners = target.wardrobe.rest_corners
    feet = (corners[found.triangle] * found.barycentric[:, :, None]).sum(dim=1)
    bare = torch.ones(len(feet), dtype=torch.bool)
    if len(left):
        apart, _ = cKDTree(left.numpy()).query(feet.numpy())
        bare = torch.from_numpy(np.asarray(apart)) > _COVERED
    found, feet = found.chosen(bare.nonzero()[:, 0]), feet[bare]
    with torch.no_grad():
        light = target.light(triangle_frames(corners[found.triangle])[:, :, 2])
    return replace(found, colour=logit_of(skin.at(feet), light))


def _mirror_covered(look: Look, hair: Tensor, part: Tensor, change: Change) -> None:
    """Colour what hair covers on one side of a face, and nobody has seen, like the other side.

    Args:
        look: of the person's surfels.
        hair: (N,) bool, which of them are hair.
        part: (N,) of the head on which each rides.
        change: to which is added.
    """
    from scipy.spatial import cKDTree

    face = look.is_seen & ~look.on(WORN_PARTS)
    covered = face & _near(look.feet, look.feet[hair], _BEFORE)
    across = look.feet * torch.tensor([-1.0, 1.0, 1.0])
    for each in part[covered].unique():
        clean, here = face & ~covered & (part == each), covered & (part == each)
        if int(clean.sum()) < _MIRRORED:
            continue
        tree = cKDTree(look.feet[clean].numpy())
        ranks = list(range(1, _MIRRORED + 1))
        apart, index = (np.asarray(found) for found in tree.query(across[here].numpy(), k=ranks))
        colour = look.colour[clean][torch.from_numpy(index)].mean(dim=1)
        differs = (colour - look.colour[here]).norm(dim=1) > _UNLIKE
        wrong = here.nonzero()[:, 0][differs & (torch.from_numpy(apart)[:, 0] < _OPPOSITE)]
        chosen = torch.zeros_like(here)
        chosen[wrong] = True
        change.colour(look, chosen, colour[chosen[here]])


def hide_under(look: Look, shell: Tensor, change: Change) -> None:
    """Hide a person's hair where it would come through a hat, whose points (M, 3) are given."""
    hair = look.on(["hair"])
    reach = 2 * look.surfels.log_radius.max(dim=1).values.exp() + _UNDER
    change.hide(hair & outside_shell(look.points, reach, shell))


def no_skin(like: Surfels) -> Surfels:
    """None at all."""
    return like.chosen(torch.zeros(0, dtype=torch.long))


def _near(points: Tensor, others: Tensor, distance: float) -> Tensor:
    from scipy.spatial import cKDTree

    apart, _ = cKDTree(others.numpy()).query(points.numpy(), distance_upper_bound=distance)
    return torch.from_numpy(np.isfinite(apart))


def _sampled(target: SurfelAvatar) -> Surfels:
    """Surfels all over the parts of a head that hair may cover."""
    corners = target.wardrobe.rest_corners
    edges = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = torch.linalg.cross(*edges).norm(dim=1) / 2
    area = area * require_parts(target.head).on(*_BARE)[target.head.faces].all(dim=1)
    count = int(area.sum() / _SPACING**2)
    triangle, weights = sample_triangles(area, count, torch.Generator().manual_seed(0))
    deeper = torch.tensor([0.0, 0.0, -_SINK]).expand(count, 3)
    found = new_surfels(triangle, weights, deeper, torch.zeros(count, 3), 0.75 * _SPACING, 0.97)
    part = torch.full((count,), PART_NAMES.index("scalp"), dtype=torch.uint8)
    return replace(found, part=part)
