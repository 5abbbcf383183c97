"""Binding points to the head's triangles, and the frames in which they are carried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts

_NO_SKIN = ("eyes", "eyelids", "teeth", "tongue", "mouth", "lips")
"""Parts that move against the skin around them: what stands off the head is not bound to them."""
_NUM_CANDIDATES = 8
"""Triangles with the nearest centres that are looked at for each point; on the free head the
nearest triangle is always among the first five."""


def triangle_frames(corners: Tensor) -> Tensor:
    """Orthonormal frames (F, 3, 3) of triangles (F, 3, 3); their columns are the axes.

    The first axis lies along the first edge, the third is the outward normal. A triangle without
    area has the frame of zeros.
    """
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    along = torch.nn.functional.normalize(first, dim=1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(first, second), dim=1)
    return torch.stack([along, torch.linalg.cross(normal, along), normal], dim=2)


def place_on_triangles(
    corners: Tensor, triangle: Tensor, barycentric: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor]:
    """Points (N, 3) bound to triangles whose corners (F, 3, 3) are given, and frames (N, 3, 3).

    Args:
        corners: of the posed head.
        triangle: (N,)
        barycentric: (N, 3)
        offset: (N, 3) in the triangle's frame.
    """
    frames = triangle_frames(corners)[triangle]
    foot = (corners[triangle] * barycentric[:, :, None]).sum(dim=1)
    return foot + (frames @ offset[:, :, None])[:, :, 0], frames


def axis_angles(rotations: Tensor) -> Tensor:
    """Axis-angle vectors (N, 3) of rotations (N, 3, 3)."""
    from scipy.spatial.transform import Rotation

    return torch.from_numpy(Rotation.from_matrix(rotations.numpy()).as_rotvec()).float()


@dataclass(frozen=True, eq=False)
class Binding:
    """Where points sit on a head: triangle, barycentric weights and offset in its frame."""

    triangle: Tensor
    """(N,)"""
    barycentric: Tensor
    """(N, 3)"""
    offset: Tensor
    """(N, 3)"""


def bind_points(vertices: Tensor, faces: Tensor, points: Tensor, allowed: Tensor) -> Binding:
    """Bind points to the nearest allowed triangles of a posed head.

    Args:
        vertices: (V, 3) of the head.
        faces: (F, 3)
        points: (N, 3) in the same pose.
        allowed: (F,) bool, triangles that may be chosen.
    """
    from scipy.spatial import cKDTree

    known = allowed.nonzero()[:, 0]
    corners = vertices[faces]
    tree = cKDTree(corners[known].mean(dim=1).numpy())
    count = min(_NUM_CANDIDATES, len(known))
    _, found = tree.query(points.numpy(), k=list(range(1, count + 1)))
    candidates = known[torch.from_numpy(np.asarray(found)).long()]
    feet, _ = _closest_on_triangles(points[:, None], corners[candidates])
    best = (points[:, None] - feet).square().sum(dim=2).argmin(dim=1)
    rows = torch.arange(len(points))
    triangle = candidates[rows, best]
    return Binding(triangle, *barycentric_on(corners[triangle], points))


def barycentric_on(corners: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Barycentric weights (N, 3) of the feet of points (N, 3), and offsets (N, 3) from there.

    Args:
        corners: (N, 3, 3) of the triangle to which each point is bound.
        points: in the same pose.
    """
    feet, weights = _closest_on_triangles(points, corners)
    local = triangle_frames(corners).transpose(1, 2) @ (points - feet)[:, :, None]
    return weights, local[:, :, 0]


def skin_triangles(head: Head) -> Tensor:
    """(F,) bool, triangles to which hair, hats, glasses and clothes may be bound.

    Raises:
        InvalidInput: nothing tells the head's lids and lips from its skin.
    """
    return ~require_parts(head).on(*_NO_SKIN)[head.faces].any(dim=1)


def plane_weights(points: Tensor, corners: Tensor) -> Tensor:
    """Barycentric weights (…, 3) of points (…, 3) projected onto the planes of (…, 3, 3)."""
    a, b, c = corners.unbind(dim=-2)
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    area = (d00 * d11 - d01 * d01).clamp_min(1e-20)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    return torch.stack([1 - v - w, v, w], dim=-1)


def _closest_on_triangles(points: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Closest points of triangles and their barycentric weights.

    The closest point of the plane where it lies inside, else that of the three edges (Ericson
    2005, section 5.1.5, without its case distinctions).

    Args:
        points: (…, 3)
        corners: (…, 3, 3)
    """
    plane = plane_weights(points, corners)
    options = [plane]
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, edge = corners[..., first, :], corners[..., second, :] - corners[..., first, :]
        along = ((points - start) * edge).sum(-1) / (edge * edge).sum(-1).clamp_min(1e-20)
        along = along.clamp(0, 1)
        weights = torch.zeros_like(plane)
        weights[..., first], weights[..., second] = 1 - along, along
        options.append(weights)
    weights = torch.stack(options, dim=-2)
    feet = weights @ corners
    distance = (feet - points[..., None, :]).square().sum(-1)
    outside = (plane < 0).any(dim=-1) | ~plane.isfinite().all(dim=-1)
    distance[..., 0] = torch.where(outside, torch.inf, distance[..., 0])
    best = distance.argmin(dim=-1)[..., None, None].expand(*distance.shape[:-1], 1, 3)
    return feet.gather(-2, best)[..., 0, :], weights.gather(-2, best)[..., 0, :]
