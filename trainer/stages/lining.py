"""Points beneath the skin where what lies behind shows through it, added when a training is
finished.

A disc lets more and more through towards its rim. Where points lie apart, a tenth of what is behind
them, the inside of the face or the hair at its back, is seen between them as a pattern of dots. A
point a little below makes it skin that is seen. It is hidden by those above from all sides, so that
outlines stay as they are, and what is known of a point is a function of its place, so that it needs
no training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.drawn import DrawnPoints, find_drawn
from pegasus_runtime.export.turntable import avatar_centre, turned
from pegasus_runtime.raster import Fragments, rasterize
from pegasus_runtime.session import Session
from trainer.stages.skin import (
    NUM_NEIGHBOURS,
    Floats,
    are_alike,
    drawn_at_rest,
    drawn_radius,
    find_albedo,
    find_pairs,
    lengths,
    pose_places,
    usual_distance,
)
from trainer.stages.spread import throw_darts

_NUM_VIEWS, _SIDE = 12, 768
"""from all around, and of their pictures"""
_LAYERS = 20
"""points that are looked through in a pixel"""
_LEAK = 0.014
"""of a colour's range, by which something behind changes it, is seen as a pattern"""
_SHEET = 4.0
"""radii behind the first point of a pixel within which points belong to the same skin"""
_APART, _FARTHEST = 0.9, 2.5
"""radii between neighbours beneath the middle of which a point may be needed"""
_ON_TOP = 2.0
"""radii from the first point of a pixel within which a place is seen"""
_FACING = 0.5
"""cosine between the view and a place's normal: seen aslant, discs overlap"""
_BELOW = 1.0
"""radii beneath the skin"""
_CLEAR = 0.5
"""of the usual distance, between points that are added and from all others"""
_ROUNDS = 2


@dataclass
class _Seen:
    """The points of the source person's face at rest, as they are drawn."""

    points: Tensor
    """(N, 3)"""
    albedo: Tensor
    """(N, 3)"""


@torch.no_grad()
def line_skin(avatar: PublishedAvatar, device: str = "auto") -> PublishedAvatar:
    """The avatar with points beneath those that what lies behind shows between.

    Args:
        avatar: a trained one; only points drawn without attributes are looked at.
        device: where it is posed and drawn.
    """
    if avatar.num_points <= NUM_NEIGHBOURS:
        return avatar
    usual = usual_distance(avatar.points[drawn_at_rest(avatar)].numpy())
    radius = drawn_radius(avatar)
    for _ in range(_ROUNDS):
        added = torch.from_numpy(_find_lining(avatar, usual, radius, device))
        avatar = replace(avatar, points=torch.cat([avatar.points, added]))
    return avatar


def _find_lining(avatar: PublishedAvatar, usual: float, radius: float, device: str) -> Floats:
    """Places (M, 3) beneath the skin that points are missing at.

    Args:
        avatar: the one that is looked through.
        usual: distance between neighbours, where they are stored.
        radius: of points where they are drawn.
        device: where the avatar is posed and drawn.
    """
    from scipy.spatial import cKDTree

    places = avatar.points[drawn_at_rest(avatar)].numpy()
    (posed,), normals = pose_places(avatar, places, [avatar.neutral()], device)
    first, second = find_pairs(places, usual)
    apart = lengths(posed, first, second) / radius
    chosen = (apart > _APART) & (apart < _FARTHEST)
    chosen &= are_alike(avatar, places, normals, first, second)
    first, second = first[chosen], second[chosen]
    outward = normals[first] + normals[second]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    middle = (posed[first] + posed[second]) / np.float32(2)
    leaks = _leaks_at(avatar, middle, outward, radius, device)
    # Skin lies almost as it is stored when it is at rest, and its normals do.
    below = (places[first] + places[second]) / np.float32(2)
    below -= np.float32(_BELOW * radius) * outward
    wanted = np.flatnonzero(leaks > _LEAK)
    wanted = wanted[cKDTree(places).query(below[wanted])[0] > _CLEAR * usual]
    ordered: Floats = below[wanted[np.argsort(-leaks[wanted])]]
    return ordered[throw_darts(ordered.astype(np.float64), _CLEAR * usual)]


def _leaks_at(
    avatar: PublishedAvatar, places: Floats, outward: Floats, radius: float, device: str
) -> Floats:
    """By how much of a colour's range what lies behind shows at places (M, 3), at most.

    Args:
        avatar: the one that is looked through.
        places: on the skin at rest.
        outward: (M, 3) the skin's normals there.
        radius: of points where they are drawn.
        device: where the avatar is posed.
    """
    seen = _see(avatar, device)
    leaks = torch.zeros(len(places))
    for camera in _views(avatar):
        fragments = rasterize(
            camera.project(seen.points), (_SIDE, _SIDE), avatar.radius_in(camera), _LAYERS
        )
        picture = _leaks_of(fragments, seen.albedo, _SHEET * radius)
        left, up, depth = camera.project(torch.from_numpy(places)).unbind(dim=1)
        column, row = (
            ((1 - along) * (_SIDE / 2)).long().clamp(0, _SIDE - 1) for along in (left, up)
        )
        facing = -(torch.from_numpy(outward) @ torch.from_numpy(camera.rotation[:, 2])) > _FACING
        on_top = (depth - fragments.depth[row, column, 0]).abs() < _ON_TOP * radius
        leaks = torch.maximum(leaks, picture[row, column] * (facing & on_top))
    found: Floats = leaks.numpy()
    return found


def _see(avatar: PublishedAvatar, device: str) -> _Seen:
    session = Session(avatar, device)
    points = session.render(avatar.neutral(), avatar.default_camera((16, 16)), ("alpha",)).points
    networks = avatar.networks.at(avatar.codes.compose({}))
    drawn = DrawnPoints.all_of(avatar.points)
    if avatar.moves_points:
        drawn = find_drawn(networks.deformer, avatar.points, avatar.store)
    albedo = find_albedo(networks.geometry, drawn.points)
    return _Seen(torch.from_numpy(points)[drawn.index], albedo)


def _views(avatar: PublishedAvatar) -> Iterator[Camera]:
    front, centre = avatar.default_camera((_SIDE, _SIDE)), avatar_centre(avatar)
    for number in range(_NUM_VIEWS):
        yield turned(front, centre, 2 * math.pi * number / _NUM_VIEWS)


def _leaks_of(fragments: Fragments, albedo: Tensor, sheet: float) -> Tensor:
    """A picture (H, W): what shows between the first points of a pixel, and how unlike it is.

    Args:
        fragments: of all points.
        albedo: (N, 3) of the points.
        sheet: how far behind the first one points belong to it.
    """
    there = fragments.index >= 0
    alpha = torch.where(there, 1 - fragments.distance2 / fragments.radius**2, 0.0)
    front = there & (fragments.depth - fragments.depth[:, :, :1] < sheet)
    colours = albedo[fragments.index.clamp_min(0).long()]
    before, covered = _blend(torch.where(front, alpha, 0.0), colours)
    behind, shown = _blend(torch.where(front, 0.0, alpha), colours)
    unlike = (before - behind).abs().amax(dim=2)
    leaks = (1 - covered) * shown * unlike
    # A dot is as large as a few pixels.
    return torch.nn.functional.avg_pool2d(leaks[None, None], 3, 1, 1)[0, 0]


def _blend(alpha: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
    """Mean colour (H, W, 3) of layers (H, W, K) front to back, and what they cover (H, W)."""
    through = torch.cumprod(1 - alpha, dim=2)
    weights = alpha * torch.cat([torch.ones_like(through[:, :, :1]), through[:, :, :-1]], dim=2)
    covered = weights.sum(dim=2)
    colour = (weights[..., None] * colours).sum(dim=2) / covered.clamp_min(1e-6)[..., None]
    return colour, covered
