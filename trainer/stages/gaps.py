"""Points where a face's motion pulls its skin apart, added when a training is finished.

Points lie evenly on the head as it is stored. Where a smile or an open jaw stretches the skin they
no longer overlap, and what lies inside shows between them as dark specks. All that is known of a
point is a function of its place, so that one between two others needs no training.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.deform.drawn import find_drawn
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.session import Session
from trainer.data.dataset import Capture
from trainer.stages.spread import throw_darts

_NUM_MOTIONS = 24
_BEYOND = 1.5
"""how much farther than the frames sliders are drawn"""
_ROUNDS = 3
"""a gap three points wide is halved, and halved again"""
_NEIGHBOURS, _NEAR = 8, 1.5
"""of a point, and how far they lie at most, in the usual distance"""
_WIDE = 1.35
"""times the usual distance between neighbours is too far: discs overlap no longer"""
_PULLED = 1.25
"""times as far apart as they are stored is due to the motion"""
_APART = 0.5
"""of the usual distance, between points that are added, and from the others"""
_SAME_COLOUR, _SAME_SIDE = 0.08, 0.8
"""Neighbours of unlike colour or direction are an edge, which is not to be blurred."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def far_motions(capture: Capture, avatar: Avatar) -> list[Parameters]:
    """The source person at rest and in the frames that differ most, going a little beyond them."""
    neutral = avatar.neutral()
    frames = [frame.record for frame in capture.training[capture.source]]
    moves = np.array([np.concatenate([r.expression, r.pose[6:9]]) for r in frames], np.float32)
    moves -= np.concatenate([neutral.expression, neutral.pose[6:9]])
    moves /= moves.std(axis=0) + 1e-3
    chosen, distance = [], np.linalg.norm(moves, axis=1)
    for _ in range(min(_NUM_MOTIONS, len(frames))):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(moves - moves[chosen[-1]], axis=1))
    motions = [neutral]
    for index in chosen:
        moved = neutral.copy()
        moved.expression += _BEYOND * (frames[index].expression - neutral.expression)
        moved.pose[6:9] = frames[index].pose[6:9]  # the jaw
        motions.append(moved)
    return motions


@torch.no_grad()
def fill_gaps(avatar: Avatar, motions: list[Parameters], device: str = "auto") -> Avatar:
    """The avatar with points between neighbours that some motion pulls apart.

    Args:
        avatar: a trained one; only points drawn without attributes are looked at.
        motions: the first one is the face at rest.
        device: where it is posed.
    """
    if avatar.num_points <= _NEIGHBOURS:
        return avatar
    usual = grown = 0.0
    for number in range(_ROUNDS):
        seen = _drawn_at_rest(avatar)
        places = avatar.points[seen].numpy()
        distances, near = _neighbours(places)
        if number == 0:
            usual = float(np.median(distances[:, :4]))
        first, second, distance = _pairs(distances, near, _NEAR * usual)
        session = Session(replace(avatar, points=avatar.points[seen], store=None), device)
        points, normals = _pose(session, motions[0])
        alike = _are_alike(avatar, places, normals, first, second)
        if number == 0:
            grown = float(np.median(_lengths(points, first, second) / distance))
        first, second, distance = first[alike], second[alike], distance[alike]
        widest = np.zeros(len(first), np.float32)
        for motion in motions:
            widest = np.maximum(widest, _lengths(_pose(session, motion)[0], first, second))
        apart = widest > grown * np.maximum(_WIDE * usual, _PULLED * distance)
        order = np.flatnonzero(apart)[np.argsort(-widest[apart])]
        between = (places[first[order]] + places[second[order]]) / 2
        added = _apart_from(places, between, _APART * usual)
        if not len(added):
            break
        avatar = replace(avatar, points=torch.cat([avatar.points, torch.from_numpy(added)]))
    return avatar


def _drawn_at_rest(avatar: Avatar) -> Indices:
    """Points that are drawn without attributes where they are stored."""
    if avatar.store is None or not avatar.moves_points:
        return np.arange(avatar.num_points)
    low, high = avatar.store
    stored = ((avatar.points > low) & (avatar.points < high)).all(dim=1)
    deformer = avatar.networks.deformer.at(avatar.codes.compose({}))
    drawn = find_drawn(deformer, avatar.points, avatar.store).index
    return drawn[~stored[drawn]].numpy()


def _neighbours(places: Floats) -> tuple[Floats, Indices]:
    """Distances (N, K) of each point's nearest, from near to far, and which they are (N, K)."""
    from scipy.spatial import cKDTree

    distances, near = cKDTree(places).query(places, k=_NEIGHBOURS + 1, workers=-1)
    return distances[:, 1:].astype(np.float32), near[:, 1:]


def _pairs(distances: Floats, near: Indices, reach: float) -> tuple[Indices, Indices, Floats]:
    """Neighbours within reach of each other, each pair once, and how far apart they lie."""
    first, second = np.repeat(np.arange(len(near)), _NEIGHBOURS), near.ravel()
    chosen = (first < second) & (distances.ravel() < reach)
    return first[chosen], second[chosen], distances.ravel()[chosen]


def _pose(session: Session, motion: Parameters) -> tuple[Floats, Floats]:
    frame = session.render(motion, session.avatar.default_camera((16, 16)), ("alpha",))
    return frame.points, frame.normals


def _lengths(points: Floats, first: Indices, second: Indices) -> Floats:
    found: Floats = np.linalg.norm(points[first] - points[second], axis=1)
    return found


def _are_alike(
    avatar: Avatar, places: Floats, normals: Floats, first: Indices, second: Indices
) -> npt.NDArray[np.bool_]:
    """Whether neighbours lie on one piece of skin."""
    geometry = avatar.networks.geometry.at(avatar.codes.compose({}))
    colours = torch.cat([geometry(p).albedo for p in torch.from_numpy(places).split(8192)]).numpy()
    same_colour = np.abs(colours[first] - colours[second]).max(axis=1) < _SAME_COLOUR
    same_side = (normals[first] * normals[second]).sum(axis=1) > _SAME_SIDE
    alike: npt.NDArray[np.bool_] = same_colour & same_side
    return alike


def _apart_from(places: Floats, between: Floats, radius: float) -> Floats:
    """Of new places, the first first, those that are no nearer to each other or to any other."""
    from scipy.spatial import cKDTree

    between = between[cKDTree(places).query(between)[0] > radius]
    return between[throw_darts(between.astype(np.float64), radius)]
