"""Thin things that stand before the face, such as eyeglasses, found from their part masks.

No outline carves them, for the head is behind them in nearly every view. But a place that belongs
to them falls into their part mask in every view that sees it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.deform.nearest_vertex import nearest_vertices
from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import CanonicalHead
from pegasus_runtime.raster import rasterize
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.image_file import Bytes
from trainer.init.mesh_sampling import sample_head
from trainer.init.tracked_head import head_vertex_motion, sample_image

_SPACING = 0.007
"""Of places tried, in units of the head: wider ones miss the bars of glasses, finer ones take its
cube as long."""
_REACH = 0.16
"""How far from the head is looked; more takes longer and finds specks."""
_MIN_GAP = 0.004
"""From the skin: less finds skin again, more misses what lies close to it."""
_MIN_SHARE, _MIN_VIEWS = 0.8, 8
"""Of the views, and least number of them: less finds shadows in the masks, more loses what one bad
mask cuts off."""
_NUM_OCCLUDERS = 40_000
"""Fewer let views look through the head, more take longer."""
_DEPTH_SIZE, _DEPTH_RADIUS, _DEPTH_TOLERANCE = 192, 0.02, 0.02
"""Of the depth picture: pixels, a point's radius, and what counts as in front; coarser ones hide
thin things behind the head."""


def _marked_attribute(frame: TrainingFrame) -> Bytes | None:
    return frame.pictures.part_mask


def find_thin_part(
    head: Head,
    canonical: CanonicalHead,
    capture: Capture,
    frames: list[TrainingFrame],
    marked_in: Callable[[TrainingFrame], Bytes | None] = _marked_attribute,
) -> tuple[Tensor, Tensor]:
    """Points (M, 3) of the part that masks mark, and the head's normals behind them.

    Args:
        head: the head.
        canonical: it at rest.
        capture: whose frames they are.
        frames: that are looked at.
        marked_in: gives the mask (S, S) of a frame, 0..255, or None; usually the attribute's.
    """
    generator = torch.Generator().manual_seed(0)
    surface, normals = sample_head(head, canonical, _NUM_OCCLUDERS, generator)
    places, foot = _places_around(surface, canonical)
    riders = nearest_vertices(surface, canonical.vertices)
    carried = nearest_vertices(places, canonical.vertices)
    hits, views = torch.zeros(len(places)), torch.zeros(len(places))
    for frame in frames:
        mask = marked_in(frame)
        if mask is None:
            continue
        ride = head_vertex_motion(head, canonical, capture, frame)
        camera = frame.record.camera
        depth = depth_of(camera, ride.of(riders).transform(surface))
        projected = camera.project(ride.of(carried).transform(places))
        front, seen = sample_image(depth, projected)
        seen &= projected[:, 2] < front + _DEPTH_TOLERANCE
        marked, _ = sample_image(_widen(mask), projected)
        hits += seen & marked
        views += seen
    found = (views >= _MIN_VIEWS) & (hits >= _MIN_SHARE * views)
    jitter = (torch.rand(int(found.sum()), 3, generator=generator) - 0.5) * _SPACING
    return places[found] + jitter, normals[foot[found]]


def depth_of(
    camera: Camera, points: Tensor, size: int = _DEPTH_SIZE, radius: float = _DEPTH_RADIUS
) -> Tensor:
    """(size, size) depth of the nearest of posed points (M, 3), infinite where there is none."""
    depth = rasterize(camera.project(points), (size, size), radius, 1).depth[:, :, 0]
    return torch.where(depth > 0, depth, torch.inf)


def _places_around(surface: Tensor, canonical: CanonicalHead) -> tuple[Tensor, Tensor]:
    """Grid places (K, 3) outside the front of the head, and the surface point behind each."""
    low, high = surface.min(dim=0).values, surface.max(dim=0).values
    # Nothing of this kind is worn on the neck or behind the ears.
    low = torch.stack([low[0] - _REACH, canonical.vertices[:, 1].median() - _REACH, low[2] / 2])
    high = torch.stack([high[0] + _REACH, high[1] / 2, high[2] + _REACH])
    axes = [torch.arange(float(a), float(b), _SPACING) for a, b in zip(low, high, strict=True)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    foot = nearest_vertices(places, surface)
    gap = (places - surface[foot]).norm(dim=1)
    kept = (gap > _MIN_GAP) & (gap < _REACH)
    return places[kept], foot[kept]


def _widen(mask: Bytes) -> Tensor:
    """A part mask (H, W) as booleans, one pixel wider."""
    import cv2

    kernel = np.ones((3, 3), np.uint8)
    return torch.from_numpy(cv2.dilate((mask > 127).astype(np.uint8), kernel) > 0)
