"""An avatar's skin as points side by side: which are neighbours, and on one piece of skin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.avatar.geometry import CodedGeometry
from pegasus_runtime.deform.drawn import find_drawn
from pegasus_runtime.parameters import Parameters
from pegasus_runtime.session import Session

NUM_NEIGHBOURS, _NEAREST = 16, 4
"""of a point, and of those that say how far apart they usually are"""
_NEAR = 3.2
"""how far neighbours lie at most, in the usual distance"""
_AT_ONCE, _COLOURED_AT_ONCE = 1 << 16, 8192
"""points that are posed together, for what is known of one takes two kilobytes; and coloured"""
_FRONT = 0.01
"""Of all points, this share lies before what is taken for the head's front."""
_SAME_COLOUR, _SAME_SIDE = 0.08, 0.7
"""Neighbours of unlike colour or direction are an edge."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def drawn_at_rest(avatar: PublishedAvatar) -> Indices:
    """Points that are drawn without attributes where they are stored."""
    if avatar.store is None or not avatar.moves_points:
        return np.arange(avatar.num_points)
    low, high = avatar.store
    stored = ((avatar.points > low) & (avatar.points < high)).all(dim=1)
    deformer = avatar.networks.deformer.at(avatar.codes.compose({}))
    drawn = find_drawn(deformer, avatar.points, avatar.store).index
    return drawn[~stored[drawn]].numpy()


def drawn_radius(avatar: PublishedAvatar) -> float:
    """Radius of points on the head's front, where they are nearest to the camera."""
    camera = avatar.default_camera()
    depth = float(np.quantile(camera.project(avatar.points)[:, 2].numpy(), _FRONT))
    return avatar.radius_in(camera) * depth / float(camera.intrinsics[1, 1])


def usual_distance(places: Floats) -> float:
    """Between neighbours among points (N, 3)."""
    distances, _ = _neighbours(places)
    return float(np.median(distances[:, :_NEAREST]))


def _neighbours(places: Floats) -> tuple[Floats, Indices]:
    """Distances (N, K) of each point's nearest, from near to far, and which they are (N, K)."""
    from scipy.spatial import cKDTree

    distances, near = cKDTree(places).query(places, k=NUM_NEIGHBOURS + 1, workers=-1)
    return distances[:, 1:].astype(np.float32), near[:, 1:]


def find_pairs(places: Floats, usual: float) -> tuple[Indices, Indices]:
    """Neighbours that lie near for their usual distance, each pair once."""
    distances, near = _neighbours(places)
    first, second = np.repeat(np.arange(len(near)), NUM_NEIGHBOURS), near.ravel()
    chosen = (first < second) & (distances.ravel() < _NEAR * usual)
    return first[chosen], second[chosen]


def pose_places(
    avatar: PublishedAvatar, places: Floats, motions: list[Parameters], device: str
) -> tuple[list[Floats], Floats]:
    """Where points (N, 3) come to lie in every motion, and their normals (N, 3) in the first."""
    camera = avatar.default_camera((16, 16))
    parts: list[list[Floats]] = []
    normals = []
    for some in torch.from_numpy(places).split(_AT_ONCE):
        session = Session(replace(avatar, points=some, store=None), device)
        at_rest = session.render(motions[0], camera, ("alpha",))
        # A frame holds on to all that is known of its points.
        others = [session.render(motion, camera, ("alpha",)).points for motion in motions[1:]]
        parts.append([at_rest.points, *others])
        normals.append(at_rest.normals)
    return [np.concatenate(each) for each in zip(*parts, strict=True)], np.concatenate(normals)


def lengths(points: Floats, first: Indices, second: Indices) -> Floats:
    """Of the ways between points, (M,)."""
    found: Floats = np.linalg.norm(points[first] - points[second], axis=1)
    return found


def find_albedo(geometry: CodedGeometry, places: Tensor) -> Tensor:
    """Colours (N, 3) without light at places (N, 3)."""
    return torch.cat([geometry(part).albedo for part in places.split(_COLOURED_AT_ONCE)])


def are_alike(
    avatar: PublishedAvatar, places: Floats, normals: Floats, first: Indices, second: Indices
) -> npt.NDArray[np.bool_]:
    """Whether neighbours lie on one piece of skin."""
    geometry = avatar.networks.geometry.at(avatar.codes.compose({}))
    colours = find_albedo(geometry, torch.from_numpy(places)).numpy()
    same_colour = np.abs(colours[first] - colours[second]).max(axis=1) < _SAME_COLOUR
    same_side = (normals[first] * normals[second]).sum(axis=1) > _SAME_SIDE
    alike: npt.NDArray[np.bool_] = same_colour & same_side
    return alike
