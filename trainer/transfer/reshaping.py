"""How an attribute reshapes a part of a face: found by looking at it, and put onto another face.

A training makes an ear larger as it can: a few surfels slide, others widen, some hide. What
neighbours did on the mean is a fraction of that ear. So the person without the attribute is bent,
smoothly, until pictures from around that part show them with it (analysis by synthesis). What bends
one face bends another, whatever surfels that one is made of.

1. Bells of three widths stand on the head's skin around the part; each moves, shades and, where a
   part is thin, widens the surfels below it.
2. Pictures are drawn of the person who wears the attribute, small ones first, whose pixels reach as
   far as the part may have moved.
3. Gradients through the same drawing of the person without it bring the two together (Adam).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pegasus_runtime.head.parts import WORN_PARTS, require_parts
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Attribute
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.surfels import concatenate
from trainer.near_points import are_near, nearness
from trainer.transfer.correspondence import Correspondence
from trainer.transfer.looks import Look, look_of
from trainer.transfer.scene import Scene
from trainer.transfer.worn import dressed_source

_SPACINGS = (0.12, 0.06, 0.03)
"""of the bells of each width, in units of the head: only wide ones miss a nostril, only narrow ones
follow noise"""
_WIDTH = 1.1
"""of a bell, in spacings: less makes bumps, more makes the narrow ones as smooth as the wide"""
_AROUND, _FADES = 0.12, 0.4
"""in units of the head, how far around a part's triangles a face is bent, and the share of it over
which that fades: more takes eyes along with a nose, less cuts off a wide one"""
_ALL_BELLS = 0.7
"""of that, where bells stand"""
_PYRAMID = ((24, 60), (48, 40), (96, 15))
"""Side of the pictures in pixels, and steps: smaller ones see farther moves, larger ones copy what
the training left ragged."""
_MOVE_RATE, _SHADE_RATE, _WIDEN_RATE, _SLOWER = 5e-4, 6e-3, 4e-2, 0.8
"""Of Adam, for moves in units of the head and for logarithms; and by how much less on the larger
pictures. Ten bells overlap: with twice as much moves swing."""
_CALM, _USUAL_MOVE, _USUAL_LOGARITHM = 1e-4, 0.02, 0.1
"""What a usual change costs, which should show for it: more flattens noses, less leaves what nobody
sees at chance."""
_NONE = 1e-5
"""Mean difference of pictures, in 0..1, below which an attribute changes nothing of a part."""
_THIN = ("ears",)
"""Categories whose parts are sheets, of which most is rim. A training widens what lies on a rim;
elsewhere wider surfels blur what they should have shaped."""
_PAIRED = ("ears",)
_STIFF = ("eyes", "teeth", "tongue", "mouth")
"""parts that no attribute of a face bends"""


@dataclass(frozen=True, eq=False)
class Reshaping:
    """C bells, and what each does around it; of it counts the sum."""

    centres: Tensor
    """(C, 3) at rest"""
    width: Tensor
    """(C,)"""
    move: Tensor
    """(C, 3)"""
    shade: Tensor
    """(C, 3) logarithm of how many times as bright"""
    widen: Tensor
    """(C, 1) logarithm of how many times as wide"""

    def bells(self, points: Tensor) -> Tensor:
        """(P, C) in 0..1, how much of each is at points (P, 3)."""
        return torch.exp(-0.5 * (torch.cdist(points, self.centres) / self.width).square())

    def on(self, across: Correspondence, triangle: Tensor) -> Reshaping:
        """The same on another head.

        Args:
            across: from the one to the other.
            triangle: (C,) of the one on which the centres are.
        """
        if not len(triangle):
            return self
        thirds = torch.full((len(triangle), 3), 1 / 3)
        there, weights = across.feet(triangle, thirds)
        centres = (across.target.wardrobe.rest_corners[there] * weights[:, :, None]).sum(dim=1)
        # How the space turns on the skin itself follows every wrinkle: mouths were 0.4 dB worse.
        _, _, stretch = across.carry(self.centres)
        move = self.move * stretch[:, None]
        return replace(self, centres=centres, width=self.width * stretch, move=move)


def reshaping_of(
    personal: SurfelAvatar, attribute: Attribute, names: Sequence[str], across: Correspondence
) -> Reshaping:
    """What an attribute does to a person's face, as it would be done to another's.

    Args:
        personal: the avatar that has the attribute.
        attribute: that reshapes a part.
        names: of the parts of the head that it is about.
        across: to the other person.
    """
    category = category_of(attribute.name)
    plain = look_of(personal, personal.wardrobe.source)
    worn = look_of(personal, concatenate([dressed_source(personal, attribute), attribute.own]))
    corners = personal.wardrobe.rest_corners
    of_part = part_middles(personal, names)
    triangle, spacing = _stands(personal, of_part)
    zeros = torch.zeros(len(triangle), 3)
    bells = Reshaping(corners[triangle].mean(dim=1), _WIDTH * spacing, zeros, zeros, zeros[:, :1])
    bends = bends_at(plain, of_part)
    sides = [of_part]
    if category in _PAIRED:
        sides = [of_part[of_part[:, 0] * side > 0] for side in (1, -1)]
    scenes = [
        Scene(worn, plain, bells.bells(plain.feet), bends, side, category in _PAIRED)
        for side in sides
        if len(side)
    ]
    shades = (spacing == max(_SPACINGS)).float()[:, None]
    return _fitted(bells, scenes, shades, category in _THIN).on(across, triangle)


def near_part(look: Look, of_part: Tensor) -> Tensor:
    """(N,) in 0..1, how much surfels are of a part or around it, whose middles (T, 3) are given."""
    return nearness(look.feet, of_part, _AROUND, _FADES)


def bends_at(look: Look, of_part: Tensor) -> Tensor:
    """(N,) in 0..1, how far surfels follow what bends a part, whose middles (T, 3) are given."""
    follows: Tensor = near_part(look, of_part) * ~look.on([*WORN_PARTS, *_STIFF])
    return follows


def part_middles(avatar: SurfelAvatar, names: Sequence[str]) -> Tensor:
    """(T, 3) middles of the triangles of some of the head's parts, at rest."""
    return avatar.wardrobe.rest_corners[_has(avatar, names)].mean(dim=1)


def _has(avatar: SurfelAvatar, names: Sequence[str]) -> Tensor:
    return require_parts(avatar.head).on(*names)[avatar.head.faces].any(dim=1)


def _stands(avatar: SurfelAvatar, of_part: Tensor) -> tuple[Tensor, Tensor]:
    """Triangles (C,) on which bells stand, and the spacing (C,) of each one's kind."""
    middles = avatar.wardrobe.rest_corners.mean(dim=1)
    near = are_near(middles, of_part, _ALL_BELLS * _AROUND)
    known = (near & ~_has(avatar, _STIFF)).nonzero()[:, 0]
    chosen = [known[_spread(middles[known], spacing)] for spacing in _SPACINGS]
    spacing = [torch.full((len(c),), s) for c, s in zip(chosen, _SPACINGS, strict=True)]
    return torch.cat(chosen), torch.cat(spacing)


def _spread(points: Tensor, spacing: float) -> Tensor:
    """Some of points (N, 3) so that none is farther than that from one: the farthest, each time."""
    apart, found = torch.full((len(points),), torch.inf), list[int]()
    while len(points) and (not found or bool(apart.max() > spacing)):
        found.append(int(apart.argmax()))
        apart = torch.minimum(apart, (points - points[found[-1]]).norm(dim=1))
    return torch.tensor(found, dtype=torch.long)


def _fitted(bells: Reshaping, scenes: list[Scene], shades: Tensor, widens: bool) -> Reshaping:
    """What the bells have to do that all scenes show the attribute.

    Args:
        bells: where they stand.
        scenes: of the part.
        shades: (C, 1) 0 or 1, which of them shade: the wide ones, or all would be painted.
        widens: the surfels may become wider.
    """
    if max((scene.difference() for scene in scenes), default=0.0) < _NONE:
        return bells
    move, shade = (torch.zeros_like(bells.move, requires_grad=True) for _ in range(2))
    widen = torch.zeros_like(bells.widen, requires_grad=True)
    rates = (move, _MOVE_RATE), (shade, _SHADE_RATE), (widen, _WIDEN_RATE if widens else 0.0)
    optimiser = torch.optim.Adam([{"params": [values], "lr": rate} for values, rate in rates])
    for side, steps in _PYRAMID:
        goals = [scene.goals(side) for scene in scenes]
        for step in range(steps):
            optimiser.zero_grad()
            with torch.enable_grad():
                loss = torch.zeros(())
                for scene, goal in zip(scenes, goals, strict=True):
                    loss = loss + scene.loss(step, goal, move, shade * shades, widen)
                    loss = loss + _cost(scene.follows, shade * shades) + _cost(scene.follows, widen)
                size = (move.square().mean() + 1e-10).sqrt()
                (loss + _CALM * size / _USUAL_MOVE).backward()
            optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] *= _SLOWER
    return replace(bells, move=move.detach(), shade=(shade * shades).detach(), widen=widen.detach())


def _cost(bells: Tensor, change: Tensor) -> Tensor:
    return _CALM * (bells @ change).abs().mean() / _USUAL_LOGARITHM
