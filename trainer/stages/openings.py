"""Points of the lids that would cover the eyes.

A point is a disc: one on the edge of a lid reaches half its radius into the eye. On a small
picture that is most of the white.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.nearest import nearest_vertices
from pegasus_runtime.head import Head
from trainer.data.dataset import Capture
from trainer.stages.bare_head import BareHead, Votes
from trainer.stages.riding import look_up, ride_on_head

_EYES = "eyes"
_NUM_VIEWS = 60
_NEAR = 0.08
"""points farther from the eyes are not looked at"""
_REACH = 0.6
"""of its radius by which a point covers what is behind it"""
_MIN_SHARE = 0.3
"""of the views that see a point: in some the eyes are shut"""


def cover_eyes(
    head: Head,
    canonical: CanonicalHead,
    capture: Capture,
    bare: BareHead,
    points: Tensor,
    normals: Tensor,
    radius: float,
) -> Tensor:
    """(M,) which canonical points (M, 3) of the source person stand on the rim of an open eye.

    Args:
        head: with part labels; without them nothing is found.
        canonical: its canonical head.
        capture: with part pictures that know eyes.
        bare: the head's surface.
        points: of the source person.
        normals: (M, 3)
        radius: of a point in a view of usual size, in NDC.
    """
    found = torch.zeros(len(points), dtype=torch.bool)
    if head.part_labels is None or _EYES not in (set(capture.part_names) & set(head.part_names)):
        return found
    labels = head.part_labels == head.part_names.index(_EYES)
    riders = nearest_vertices(points, canonical.vertices)
    eyes = canonical.vertices[labels]
    near = (points - eyes[nearest_vertices(points, eyes)]).norm(dim=1) < _NEAR
    chosen = (near & ~labels[riders]).nonzero()[:, 0]
    eye_class = capture.part_names.index(_EYES)
    votes = Votes(len(points))
    frames = capture.training[capture.source]
    for frame in frames[:: max(1, len(frames) // _NUM_VIEWS)]:
        ride = ride_on_head(head, canonical, capture, frame)
        view = bare.in_view(frame, ride)
        if view is None or frame.pictures.parts is None:
            continue
        own = ride.of(riders[chosen])
        posed = own.carry(points[chosen])
        reach = _REACH * radius * frame.pictures.parts.shape[0] / 2
        shown, _ = look_up(
            _widen(frame.pictures.parts == eye_class, reach), frame.record.camera.project(posed)
        )
        votes.add(chosen, view.sees(posed, own.turn(normals[chosen])), shown)
    return votes.result(_MIN_SHARE)


def _widen(mask: np.typing.NDArray[np.bool_], pixels: float) -> Tensor:
    """(H, W) where a pixel of the mask is within a number of pixels."""
    import cv2

    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return torch.from_numpy(away <= pixels)
