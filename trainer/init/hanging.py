"""What hangs from a head or is worn on it, bound to the triangles that carry it best.

The nearest skin is a poor carrier of what stands off it: hair before a cheek would smile along,
glasses would rise with the brows, and a lock on a shoulder turns with a small triangle of the neck.
Such things go with the scalp from which they hang. Far from it a triangle's own turns are
magnified, so each point rides on that triangle of the scalp around which goes most nearly as
skinning weights taken from the scalp would have it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.canonical import CANONICAL_JAW_ANGLE_RAD, CanonicalHead
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.parameters import JAW_OPEN_INDEX
from pegasus_runtime.surfels.binding import (
    Binding,
    barycentric_on,
    bind_points,
    skin_triangles,
    triangle_frames,
)

_NUM_CARRIERS = 96
"""Triangles of the scalp that are tried for each point. On long hair with the neck turned in the
frames of the demo, in pixels of 512: nearest skin 3.9, 16 triangles 1.6, 64 1.1, 200 0.9, and the
skinning weights themselves, which no triangle follows exactly, 0.4."""
_TURN_RAD = 0.3
"""of the neck, to each side and about each axis: as far as a head turns in a capture"""


def bind_hanging(head: Head, canonical: CanonicalHead, points: Tensor) -> Binding:
    """Bind canonical points (N, 3) of hair, a hat or glasses to the triangles that carry them best.

    Raises:
        InvalidInput: nothing tells the head's scalp from its skin.
    """
    from scipy.spatial import cKDTree

    allowed = _scalp_triangles(head)
    foot = bind_points(canonical.vertices, head.faces, points, allowed)
    corners = canonical.vertices[head.faces]
    weights = _carried(head.skinning_weights[head.faces], foot)
    known = allowed.nonzero()[:, 0]
    tree = cKDTree(corners[known].mean(dim=1).numpy())
    count = min(_NUM_CARRIERS, len(known))
    _, near = tree.query(_carried(corners, foot).numpy(), k=list(range(1, count + 1)))
    candidates = known[torch.from_numpy(np.asarray(near)).long()]
    errors = _errors(head, canonical, points, weights, candidates)
    triangle = candidates[torch.arange(len(points)), errors.argmin(dim=1)]
    barycentric, offset = barycentric_on(corners[triangle], points)
    return Binding(triangle, barycentric, offset)


def _scalp_triangles(head: Head) -> Tensor:
    """(F,) bool; all skin of a head that has no scalp of its own."""
    scalp = require_parts(head).on("scalp")[head.faces].all(dim=1)
    return scalp if bool(scalp.any()) else skin_triangles(head)


def _carried(of_corners: Tensor, foot: Binding) -> Tensor:
    """Values (N, C) at feet, of values (F, 3, C) at the corners of triangles."""
    mixed: Tensor = (of_corners[foot.triangle] * foot.barycentric[:, :, None]).sum(dim=1)
    return mixed


def _errors(
    head: Head, canonical: CanonicalHead, points: Tensor, weights: Tensor, candidates: Tensor
) -> Tensor:
    """(N, K) squares of how far points go astray on candidates (N, K), summed over poses."""
    start = _rigid(triangle_frames(canonical.vertices[head.faces]), canonical.vertices[head.faces])
    back = torch.linalg.inv(start)
    unposed = torch.linalg.inv(_blended(weights, canonical.transforms[1:]))
    ends = torch.cat([points, torch.ones(len(points), 1)], dim=1)
    errors = torch.zeros(candidates.shape)
    for expression, pose in _poses(canonical):
        posed = pose_head(head, canonical.shape, expression, pose)
        corners = posed.vertices[head.faces]
        motion = (_rigid(triangle_frames(corners), corners) @ back)[:, :3]
        wanted = _blended(weights, posed.transforms) @ unposed @ ends[:, :, None]
        found = torch.einsum("nkab,nb->nka", motion[candidates], ends)
        errors += (found - wanted[:, None, :3, 0]).square().sum(dim=2)
    return errors


def _poses(canonical: CanonicalHead) -> Iterator[tuple[Tensor, Tensor]]:
    """Turns of the neck, and every expression by itself."""
    rest = torch.zeros(15)
    rest[JAW_OPEN_INDEX] = CANONICAL_JAW_ANGLE_RAD
    yield canonical.expression, torch.zeros(15)
    for axis in (3, 4, 5):
        for turn in (-_TURN_RAD, _TURN_RAD):
            pose = rest.clone()
            pose[axis] = turn
            yield canonical.expression, pose
    for number in range(len(canonical.expression)):
        expression = canonical.expression.clone()
        expression[number] += 1
        yield expression, rest


def _rigid(frames: Tensor, corners: Tensor) -> Tensor:
    """(F, 4, 4) from triangles' frames (F, 3, 3) to the world; without area the identity."""
    whole = torch.eye(4).repeat(len(frames), 1, 1)
    flat = frames.flatten(1).abs().sum(dim=1) < 1
    whole[:, :3, :3] = torch.where(flat[:, None, None], torch.eye(3), frames)
    whole[:, :3, 3] = corners.mean(dim=1)
    return whole


def _blended(weights: Tensor, transforms: Tensor) -> Tensor:
    """(N, 4, 4) mixed of those of joints (J, 4, 4) by weights (N, J)."""
    return torch.einsum("nj,jab->nab", weights, transforms)
