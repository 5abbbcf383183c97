"""What an attribute takes the place of: hair goes, and the skin below is shown."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head.parts import PART_NAMES, WORN_PARTS, require_parts
from pegasus_runtime.surfels.attributes import CHANGED, Difference, outside_shell
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import is_part, triangle_parts
from pegasus_runtime.surfels.surfels import Surfels, concatenate, new_surfels
from trainer.init.surfel_sampling import sample_triangles
from trainer.near_points import are_near
from trainer.transfer.looks import HEAD_SKIN, Look, SkinColour, logit_of, look_of
from trainer.transfer.other_side import are_behind, other_side

_GONE = -8.0
"""Logit of an opacity of which nothing is left, whatever states of expression add."""
_SPACING = 0.012
"""of surfels on skin that nobody has seen, in units of the head: wider ones let hair shine through,
closer ones take longer to draw"""
_COVERED = 0.009
"""Distance of skin that is there already; less puts skin on skin, more leaves holes."""
_SINK = 0.008
"""by which that skin lies deeper than the head, so that hair lies on it"""
_BARE = ("skin", "nose", "eyebrows", "scalp", "ears", "neck")
"""parts of the head that hair may cover"""
_EYE_RIMS = ("eyebrows", "eyelids")
_UNDER = 0.03
"""in units of the head, below a hat: hair so near to it goes as well; less lets strands through,
more bares the neck below its rim"""
_TEMPLES = 0.12
"""the same where skin has the colour of hair: more smooths beards, less leaves strands"""
_HAIRLINE = 0.05
"""in units of the head, beside hair that goes: skin so near has its colour; less leaves a dark rim,
more smooths a forehead"""
_LEAST_SKIN = 200
"""surfels that no hair has touched, by which skin is coloured; with fewer a speck colours a face"""
_NECK_EDGE = 0.01
"""Share of surfels that may lie below a person's lower edge: less puts skin below it, more leaves
the nape open where hair hung."""


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


def without_hair(look: Look, target: SurfelAvatar, change: Change) -> Surfels:
    """Hide a person's hair; the skin that covers the head below it.

    Args:
        look: of the person's surfels.
        target: the person.
        change: to which is added.
    """
    hair = look.on(["hair"])
    change.hide(hair)
    if not bool(hair.any()):
        return no_skin(look.surfels)
    strands = look.points[hair & look.is_seen]
    covered = are_behind(look.feet, look.frames[:, :, 2], strands)
    # What hair has covered has any colour; nobody has seen it. Beside it skin has that of its
    # shade, and of strands finer than surfels.
    beside = covered | are_near(look.points, strands, _HAIRLINE)
    loose = beside & (_on_scalp(look, target) | _strands_on_cloth(look, beside))
    change.hide(loose)
    shown = look.is_seen & ~hair & ~loose
    gone, images = other_side(look, strands, covered, beside, target)
    change.hide(gone)

    def without(some: Tensor) -> Look:
        left = look.surfels.chosen((shown & ~some).nonzero()[:, 0])
        return look_of(target, concatenate([left, images]))

    known, bare = without(beside), without(gone)
    if int(known.on(HEAD_SKIN).sum()) < _LEAST_SKIN:
        known = without(covered) if not bool(covered[shown].all()) else bare
    skin = SkinColour(known)
    beside &= look.on(HEAD_SKIN)
    beside |= _strands_on_skin(look, target, strands, look.colour[hair].median(dim=0).values, skin)
    change.colour(look, beside, skin.at(look.feet[beside]))
    below = look_of(target, _sampled(target))
    # Masks of films end within the neck, and so does the person.
    edge = look.points[look.is_seen, 1].quantile(_NECK_EDGE)
    is_open = (below.points[:, 1] > edge) & ~are_near(below.points, bare.points, _COVERED)
    below = below.chosen(is_open.nonzero()[:, 0])
    colour = logit_of(skin.at(below.feet), below.light)
    return concatenate([images, replace(below.surfels, colour=colour)])


def _on_scalp(look: Look, target: SurfelAvatar) -> Tensor:
    """(N,) bool, what lies on the scalp and is not worn. Beside hair it is as large and as far off
    as hair could use it; votes of few frames call a tuft an eyebrow."""
    rides = triangle_parts(target.head)[look.surfels.triangle]
    return is_part(rides, ["scalp"]) & ~look.on(WORN_PARTS)


def _strands_on_cloth(look: Look, beside: Tensor) -> Tensor:
    """(N,) bool, what is called clothes and is hair on a neck: of what lies beside hair (N,) that
    which has rather its colour than that of the clothes elsewhere."""
    cloth = look.on(["clothes"]) & look.is_seen
    away = cloth & ~beside
    if not bool(away.any()):
        return cloth
    hair, usual = (look.colour[some].median(dim=0).values for some in (look.on(["hair"]), away))
    is_hair: Tensor = (look.colour - hair).norm(dim=1) < (look.colour - usual).norm(dim=1)
    is_hair &= cloth
    return is_hair


def _strands_on_skin(
    look: Look, target: SurfelAvatar, strands: Tensor, hair: Tensor, skin: SkinColour
) -> Tensor:
    """(N,) bool, which surfels are called skin and have rather the hair's colour (3,), where there
    is hair near by: fine hair over temples, which no part picture shows."""
    # Not within ears, where it is dark. Beside an eye hair is called a brow, or a lid.
    rides = triangle_parts(target.head)[look.surfels.triangle]
    astray = look.on(_EYE_RIMS) & ~is_part(rides, _EYE_RIMS)
    near = (look.on(["skin", "neck"]) | astray) & are_near(look.points, strands, _TEMPLES)
    index = near.nonzero()[:, 0]
    colour = look.colour[index]
    apart = (colour - hair).norm(dim=1) < (colour - skin.at(look.feet[index])).norm(dim=1)
    near[index] = apart
    return near


def hide_under(look: Look, target: SurfelAvatar, shell: Tensor, change: Change) -> None:
    """Hide a person's hair where it would come through a hat, whose points (M, 3) are given."""
    hair = look.on(["hair"])
    if bool(hair.any()):
        near = are_near(look.points, look.points[hair & look.is_seen], _HAIRLINE)
        hair |= near & _on_scalp(look, target)
    reach = 2 * look.surfels.log_radius.max(dim=1).values.exp() + _UNDER
    change.hide(hair & outside_shell(look.points, reach, shell))


def no_skin(like: Surfels) -> Surfels:
    """None at all."""
    return like.chosen(torch.zeros(0, dtype=torch.long))


def _sampled(target: SurfelAvatar) -> Surfels:
    """Surfels all over the parts of a head that hair may cover."""
    corners = target.wardrobe.rest_corners
    edges = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = torch.linalg.cross(*edges).norm(dim=1) / 2
    area = area * require_parts(target.head).on(*_BARE)[target.head.faces].all(dim=1)
    count = int(area.sum() / _SPACING**2)
    triangle, weights = sample_triangles(area, count, torch.Generator().manual_seed(0))
    deeper = torch.tensor([0.0, 0.0, -_SINK]).expand(count, 3)
    found = new_surfels(triangle, weights, deeper, torch.zeros(count, 3), _SPACING, 0.97)
    part = torch.full((count,), PART_NAMES.index("scalp"), dtype=torch.uint8)
    return replace(found, part=part)
