"""Points where a face's motion pulls its skin apart, added when a training is finished.

Points lie evenly on the head as it is stored. Where a smile or an open jaw stretches the skin they
no longer overlap, and what lies inside shows between them as dark specks. All that is known of a
point is a function of its place, so that one between two others needs no training.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.parameters import Parameters
from trainer.data.dataset import Capture
from trainer.stages.skin import (
    NUM_NEIGHBOURS,
    Floats,
    Indices,
    are_alike,
    drawn_at_rest,
    drawn_radius,
    find_pairs,
    lengths,
    pose_places,
    usual_distance,
)
from trainer.stages.spread import throw_darts

_JAW = slice(6, 9)
"""of a pose"""
_NUM_MOTIONS = 24
_BEYOND = 1.5
"""how much farther than the frames sliders are drawn"""
_APART = (0.5, 0.5, 0.25)
"""of the usual distance, between points that are added, and from the others; round by round"""
_WIDE = 1.7
"""radii between neighbours that may have a gap between them"""
_BETWEEN = np.array([4, 2, 6, 1, 3, 5, 7], np.float32) / 8
"""where between two neighbours points are tried: skin may be pulled apart near one of them"""
_COVERING = 6
"""discs that may cover a place"""
_OPEN, _MORE_OPEN = 0.45, 0.2
"""Share of what lies behind that shows through a gap, and by how much more than at rest: what is
open at rest the training has seen."""
_DETOUR = 1.25
"""A place that comes to lie farther off, on the way from one neighbour to the other, is not between
them any more."""


def far_motions(capture: Capture, avatar: PublishedAvatar) -> list[Parameters]:
    """The source person at rest and in the frames that differ most, going a little beyond them.

    Each of those comes once as it is, and once with the jaw as open as in any frame.
    """
    neutral = avatar.neutral()
    frames = [frame.record for frame in capture.training[capture.source]]
    widest = max((frame.pose[_JAW] for frame in frames), key=lambda jaw: float(np.abs(jaw).max()))
    moves = np.array([np.concatenate([r.expression, r.pose[_JAW]]) for r in frames], np.float32)
    moves -= np.concatenate([neutral.expression, neutral.pose[_JAW]])
    moves /= moves.std(axis=0) + 1e-3
    chosen, distance = [], np.linalg.norm(moves, axis=1)
    for _ in range(min(_NUM_MOTIONS, len(frames))):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(moves - moves[chosen[-1]], axis=1))
    motions = [neutral]
    for index in chosen:
        for jaw in (frames[index].pose[_JAW], widest):
            moved = neutral.copy()
            moved.expression += _BEYOND * (frames[index].expression - neutral.expression)
            moved.pose[_JAW] = jaw
            motions.append(moved)
    return motions


@torch.no_grad()
def fill_gaps(
    avatar: PublishedAvatar, motions: list[Parameters], device: str = "auto"
) -> PublishedAvatar:
    """The avatar with points between neighbours that some motion pulls apart.

    Args:
        avatar: a trained one; only points drawn without attributes are looked at.
        motions: the first one is the face at rest.
        device: where it is posed.
    """
    if avatar.num_points <= NUM_NEIGHBOURS:
        return avatar
    usual = usual_distance(avatar.points[drawn_at_rest(avatar)].numpy())
    radius = drawn_radius(avatar)
    for share in _APART:
        added = _find_gaps(avatar, motions, usual, radius, share * usual, device)
        avatar = replace(avatar, points=torch.cat([avatar.points, torch.from_numpy(added)]))
    return avatar


def _find_gaps(
    avatar: PublishedAvatar,
    motions: list[Parameters],
    usual: float,
    radius: float,
    apart: float,
    device: str,
) -> Floats:
    """Places (M, 3) that points are missing at.

    Args:
        avatar: the one with gaps.
        motions: the first one is the face at rest.
        usual: distance between neighbours, where they are stored.
        radius: of points where they are drawn.
        apart: how far places lie at least from each other and from points, where they are stored.
        device: where the avatar is posed.
    """
    places = avatar.points[drawn_at_rest(avatar)].numpy()
    posed, normals = pose_places(avatar, places, motions, device)
    first, second = find_pairs(places, usual)
    longest = np.max([lengths(points, first, second) for points in posed], axis=0)
    wide = (longest > _WIDE * radius) & are_alike(avatar, places, normals, first, second)
    first, second, between = _tried(places, first[wide], second[wide], apart)
    if not len(between):
        return between
    tried = pose_places(avatar, between, motions, device)[0]
    opened = [
        _opened(old, new, first, second, radius) for old, new in zip(posed, tried, strict=True)
    ]
    at_rest, widest = opened[0], np.max(opened, axis=0)
    gaps = np.flatnonzero((widest > _OPEN) & (widest > at_rest + _MORE_OPEN))
    ordered = between[gaps[np.argsort(-widest[gaps])]]
    return ordered[throw_darts(ordered.astype(np.float64), apart)]


def _tried(
    places: Floats, first: Indices, second: Indices, apart: float
) -> tuple[Indices, Indices, Floats]:
    """What might get a point: between which neighbours, and where; clear of all others."""
    from scipy.spatial import cKDTree

    share = np.tile(_BETWEEN, len(first))[:, None]
    first, second = np.repeat(first, len(_BETWEEN)), np.repeat(second, len(_BETWEEN))
    between = places[first] * (1 - share) + places[second] * share
    clear = cKDTree(places).query(between)[0] > apart
    return first[clear], second[clear], between[clear]


def _opened(
    points: Floats, places: Floats, first: Indices, second: Indices, radius: float
) -> Floats:
    """Share of what lies behind places (M, 3) that the discs of points (N, 3) let through.

    It is 0 where a place does not lie between its two neighbours any more.
    """
    from scipy.spatial import cKDTree

    way = sum(np.linalg.norm(places - points[end], axis=1) for end in (first, second))
    between = way < _DETOUR * lengths(points, first, second)
    distances, _ = cKDTree(points).query(places[between], k=_COVERING, workers=-1)
    passed = np.zeros(len(places), np.float32)
    passed[between] = np.minimum((distances / radius) ** 2, 1).prod(axis=1)
    return passed
