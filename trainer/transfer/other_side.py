"""What hair has covered on one side of a face: a mirror image of the other side.

Nobody has seen it. What a training left there has any colour, and where it took the hair for the
face there is nothing when the hair goes. Faces are as good as symmetrical, and a person with a
fringe before one eye shows the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head.parts import WORN_PARTS
from pegasus_runtime.surfels.attributes import rest_surfels
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.binding import axis_angles, bind_points, triangle_frames
from pegasus_runtime.surfels.parts import is_part, triangle_parts
from pegasus_runtime.surfels.surfels import Surfels, concatenate, new_surfels
from trainer.near_points import are_near
from trainer.transfer.looks import Look, logit_of

_BEFORE, _STRAND = 0.4, 0.03
"""In units of the head, how far before a face hair still covers it, and how near to the line there:
less leaves dark eyes where a fringe was, more takes cheeks from which hair stands off."""
_ACROSS = 0.02
"""In units of the head, how near to the mirror image of a place something has to be seen: less
leaves single surfels of what was never seen, more takes them where the other side has nothing."""
_INNER = ("teeth", "tongue", "mouth")
_EYE = ("eyes", "eyelids", "eyebrows")
"""parts of a head that are one eye"""
_HIDDEN, _LESS = 0.75, 0.25
"""Share of an eye's surfels from which hair has hidden it, and how much less of the other's. A
fringe stands before both: on the one person who has it, all of one and half of the other."""


def other_side(
    look: Look, strands: Tensor, covered: Tensor, beside: Tensor, target: SurfelAvatar
) -> tuple[Tensor, Surfels]:
    """Which surfels of a face (N,) hair has covered, where the other side is bare, and mirror
    images of what that shows.

    Args:
        look: of the person's N surfels.
        strands: (M, 3) of the hair.
        covered: (N,) bool, see `are_behind`.
        beside: (N,) bool, those and what is so near to hair that it has its shade.
        target: the person.
    """
    face = look.is_seen & ~look.on([*WORN_PARTS, *_INNER])
    beyond = are_behind(_mirrored(look.feet), _mirrored(look.frames[:, :, 2]), strands)
    bare = face & ~torch.where(look.on(["skin"]), beside, covered)
    for here, there in _hidden_eyes(look, covered, target):
        covered = covered | here
        bare = (bare | (there & face)) & ~here
        beyond = (beyond | there) & ~here
    index = (bare & beyond).nonzero()[:, 0]
    if not len(index):
        return torch.zeros_like(covered), look.surfels.chosen(index)
    gone = face & covered & ~beyond & are_near(_mirrored(look.feet), look.feet[bare], _ACROSS)
    return gone, _images(look.chosen(index), target)


def _hidden_eyes(
    look: Look, covered: Tensor, target: SurfelAvatar
) -> Iterator[tuple[Tensor, Tensor]]:
    """(N,) bool, the surfels of an eye that is hidden more than not, and of the other that is not:
    half an eye and half an image of the other make none."""
    rides = triangle_parts(target.head)[look.surfels.triangle]
    on_eye = is_part(rides, _EYE) & ~look.on(WORN_PARTS)
    before = look.frames[:, 2, 2] > 0
    for side in (-1.0, 1.0):
        here, there = (on_eye & (way * look.feet[:, 0] > 0) for way in (side, -side))
        hidden, shown = (float(covered[some & before].float().mean()) for some in (here, there))
        if hidden > _HIDDEN and shown < hidden - _LESS:
            yield here, there


def _images(look: Look, target: SurfelAvatar) -> Surfels:
    """Mirror images of surfels, on the same parts of the head; they follow the head alone."""
    corners, parts = target.wardrobe.rest_corners, triangle_parts(target.head)
    vertices, faces = corners.flatten(0, 1), torch.arange(3 * len(corners)).view(-1, 3)
    axes = _mirrored(look.axes.mT).mT
    # An ellipse is its own mirror image, a frame is not.
    axes[:, :, 0] *= -1
    points, here = _mirrored(look.points), parts[look.surfels.triangle]
    found = []
    for part in here.unique():
        rows = (here == part).nonzero()[:, 0]
        bound = bind_points(vertices, faces, points[rows], parts == part)
        frames = triangle_frames(corners[bound.triangle])
        rotation = axis_angles(frames.mT @ axes[rows])
        given = look.surfels.chosen(rows)
        image = new_surfels(bound.triangle, bound.barycentric, bound.offset, rotation, 1.0)
        kept = {name: getattr(given, name) for name in ("log_radius", "opacity", "part")}
        image = replace(image, **kept)
        light = target.light(rest_surfels(image, corners)[1])
        found.append(replace(image, colour=logit_of(look.colour[rows], light)))
    return concatenate(found)


def _mirrored(vectors: Tensor) -> Tensor:
    return vectors * torch.tensor([-1.0, 1.0, 1.0])


def are_behind(feet: Tensor, normals: Tensor, strands: Tensor) -> Tensor:
    """(N,) bool, before which places of the skin, with their normals, there are strands (M, 3)."""
    found = torch.zeros(len(feet), dtype=torch.bool)
    for height in torch.arange(_STRAND, _BEFORE, _STRAND):
        found |= are_near(feet + height * normals, strands, _STRAND)
    return found
