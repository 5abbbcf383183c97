"""Worn things carried over to another person: where they lie there, and how they are turned."""

from __future__ import annotations

from dataclasses import replace

import torch

from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Attribute, rest_surfels
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.binding import axis_angles, triangle_frames
from pegasus_runtime.surfels.parts import WORN
from pegasus_runtime.surfels.surfels import Surfels
from trainer.transfer.correspondence import Correspondence, Similarity, eyes_of
from trainer.transfer.looks import Look, logit_of
from trainer.transfer.states import with_states_of
from trainer.transfer.worn import worn_look


def carried(
    personal: SurfelAvatar, target: SurfelAvatar, attribute: Attribute, across: Correspondence
) -> Surfels:
    """The surfels of an attribute on the target person; none of one that is only a change."""
    category = category_of(attribute.name)
    if category not in WORN:
        return attribute.own.chosen(torch.zeros(0, dtype=torch.long))
    return _placed(worn_look(personal, attribute), target, across, category)


def _placed(look: Look, target: SurfelAvatar, across: Correspondence, category: str) -> Surfels:
    """Surfels around the target's head as they lie around their own."""
    if not len(look.points):
        return look.surfels
    surfels = laid_around(look, target, across, category)
    with torch.no_grad():
        light = target.light(rest_surfels(surfels, target.wardrobe.rest_corners)[1])
    surfels = replace(surfels, colour=logit_of(look.colour, light))
    return with_states_of(surfels, across.states)


def laid_around(look: Look, target: SurfelAvatar, across: Correspondence, category: str) -> Surfels:
    """Surfels bound to another head, around which they lie as they did around their own.

    Hair and hats stand off the skin as far as they did, hair in proportion to the head, and far
    from it grow with the head. Glasses keep their form and size, which do not grow with a head,
    and stay before the eyes.

    Args:
        look: of N surfels, at least one.
        target: the person with that head.
        across: from theirs to it.
        category: of what is worn.

    Returns:
        the surfels, in the colours that they had.
    """
    surfels = look.surfels
    points, turn, stretch = across.carry(look.points)
    if category == "eyeglasses":
        # Other heads may be in other units, and look elsewhere at rest. Among people with the same
        # head glasses that turn as one is bent to the other sit askew: 4.3 dB on one of three.
        linear = torch.eye(3) if across.same_head else Similarity.fit(look.points, points).linear
        scale = torch.linalg.det(linear).abs() ** (1 / 3)
        turn = linear / scale
        points = scale * (look.points - eyes_of(across.source)) @ turn.T + eyes_of(target)
        stretch = scale.expand(len(points))
        turn = turn.expand(len(points), 3, 3)
    else:
        points = across.around(look.points, points, is_cloth=category == "hat")
    bound = across.bind(points, surfels.triangle, surfels.barycentric)
    frames = triangle_frames(target.wardrobe.rest_corners[bound.triangle])
    return replace(
        surfels,
        triangle=bound.triangle,
        barycentric=bound.barycentric,
        offset=bound.offset,
        rotation=axis_angles(frames.transpose(1, 2) @ turn @ look.axes),
        log_radius=surfels.log_radius + stretch.log()[:, None],
    )
