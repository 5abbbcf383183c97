"""Worn things carried over to another person: where they lie there, and how they are turned."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Attribute
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.binding import axis_angles, triangle_frames
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels
from trainer.transfer.correspondence import Correspondence, Similarity
from trainer.transfer.looks import Look, logit_of
from trainer.transfer.worn import WORN, worn_look

_STIFF = ("eyeglasses",)
"""categories that keep their form on another face"""
_CONTACT = 0.03
"""in units of the head: what lies so near to the skin touches it; with more a brim would count"""
_FARTHEST_SHIFT = 0.05
"""in units of the head, by which glasses are moved to sit as they did"""


def carried(
    personal: SurfelAvatar, target: SurfelAvatar, attribute: Attribute, across: Correspondence
) -> Surfels:
    """The surfels of an attribute on the target person; none of one that is only a change."""
    category = category_of(attribute.name)
    if category not in WORN:
        return attribute.own.chosen(torch.zeros(0, dtype=torch.long))
    return _placed(worn_look(personal, attribute), target, across, category in _STIFF)


def _placed(look: Look, target: SurfelAvatar, across: Correspondence, is_stiff: bool) -> Surfels:
    """Surfels around the target's head as they lie around their own."""
    if not len(look.points):
        return look.surfels
    points, turn, stretch = across.carry(look.points)
    if is_stiff:
        fit = Similarity.fit(look.points, points)
        points = fit.apply(look.points)
        scale = torch.linalg.det(fit.linear).abs() ** (1 / 3)
        turn, stretch = fit.linear / scale, scale.expand(len(points))
        turn = turn.expand(len(points), 3, 3)
        points = points + _settled(look, points, target, across)
    surfels = look.surfels
    bound = across.bind(points, surfels.triangle, surfels.barycentric)
    frames = triangle_frames(target.wardrobe.rest_corners[bound.triangle])
    axes = turn @ look.axes
    with torch.no_grad():
        light = target.light(axes[:, :, 2])
    return replace(
        surfels,
        triangle=bound.triangle,
        barycentric=bound.barycentric,
        offset=bound.offset,
        rotation=axis_angles(frames.transpose(1, 2) @ axes),
        log_radius=surfels.log_radius + stretch.log()[:, None],
        colour=logit_of(look.colour, light),
        # Its states are those of another face.
        offset_states=torch.zeros(len(points), NUM_STATES, 3),
        colour_states=torch.zeros(len(points), NUM_STATES, 3),
        opacity_states=torch.zeros(len(points), NUM_STATES),
    )


def _settled(look: Look, points: Tensor, target: SurfelAvatar, across: Correspondence) -> Tensor:
    """(3,) by which a stiff thing has to move to lie on the skin where it lay on it."""
    surfels = look.surfels
    before = ((look.points - look.feet) * look.frames[:, :, 2]).sum(dim=1)
    near = before.abs() < _CONTACT
    if int(near.sum()) < 8:
        return torch.zeros(3)
    bound = across.bind(points, surfels.triangle, surfels.barycentric)
    normals = triangle_frames(target.wardrobe.rest_corners[bound.triangle])[:, :, 2]
    missing = (before - bound.offset[:, 2])[near]
    rows = normals[near]
    # A little of every direction is held, for a temple says nothing of forth and back.
    square = rows.T @ rows + 0.05 * len(rows) * torch.eye(3)
    shift = torch.linalg.solve(square, rows.T @ missing)
    settled: Tensor = shift.clamp(-_FARTHEST_SHIFT, _FARTHEST_SHIFT)
    return settled
