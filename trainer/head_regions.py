"""Where on a head the parts are that one person can lend to another, and how their shape moves."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts

SHAPED_BY: dict[str, tuple[str, ...]] = {
    "eyes": ("eyes", "eyelids"),
    "nose": ("nose",),
    "mouth": ("lips", "mouth", "teeth", "tongue"),
    "ears": ("ears",),
}
"""category → the head's parts whose shape is another's; what is worn, and hair, has none"""
_FADE = {"eyes": 0.05, "nose": 0.07, "mouth": 0.07, "ears": 0.06}
"""In units of the head, over which the other shape goes over into one's own: less makes a step,
more takes cheeks along."""
_PAIRED = ("eyes", "ears")
_RIM = (0.02, 0.5)
"""Weights of the vertices by which a part is put where one's own was: nearer to 0 are vertices that
hardly move, nearer to 1 the part itself, whose shape then shifts it."""


def neck_rim(head: Head) -> Tensor:
    """(R,) vertices at the open edge at which a head's neck is cut; none of a closed mesh."""
    faces = head.faces
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(dim=1).values
    found, count = edges.unique(dim=0, return_counts=True)
    border = found[count == 1].unique()
    rim: Tensor = border[require_parts(head).on("neck")[border]]
    return rim


def region_weights(head: Head, category: str, points: Tensor) -> Tensor:
    """(P,) 1 on a category's parts of the head, fading to 0 around them.

    Args:
        head: the head.
        category: of an attribute; of one that has no shape all are 0.
        points: (P, 3) on or about the template.
    """
    if category not in SHAPED_BY:
        return torch.zeros(len(points))
    from scipy.spatial import cKDTree

    anchors = _anchors(head, category)
    distance, _ = cKDTree(anchors.numpy()).query(points.detach().numpy())
    near = (1 - torch.from_numpy(distance).float() / _FADE[category]).clamp(0, 1)
    weights: Tensor = near * near * (3 - 2 * near)
    return weights


def lent_shape(
    head: Head, category: str, change: Tensor, points: Tensor, directions: Tensor
) -> Tensor:
    """Displacements (P, 3) that give points of the template another's shape of a category's parts.

    The parts are put where one's own were: by the mean of how far their rim would move.

    Args:
        head: the head.
        category: of the attribute.
        change: (100,) the other person's shape less one's own.
        points: (P, 3) on or about the template.
        directions: (P, 3, 100) the identity directions of the points.
    """
    moved = directions @ change
    weights = region_weights(head, category, points)
    found = torch.zeros_like(points)
    if category not in SHAPED_BY:
        return found
    of_head = _weights_of(head, category)
    by_head = head.identity_directions @ change
    sides = (1.0, -1.0) if category in _PAIRED else (0.0,)
    for side in sides:
        rim = (of_head > _RIM[0]) & (of_head < _RIM[1]) & (head.template[:, 0] * side >= 0)
        mine = points[:, 0] * side >= 0
        found[mine] = (weights[:, None] * (moved - by_head[rim].mean(dim=0)))[mine]
    return found


@lru_cache(maxsize=16)
def _anchors(head: Head, category: str) -> Tensor:
    return head.template[require_parts(head).on(*SHAPED_BY[category])]


@lru_cache(maxsize=16)
def _weights_of(head: Head, category: str) -> Tensor:
    return region_weights(head, category, head.template)
