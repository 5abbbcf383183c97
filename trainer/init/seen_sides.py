"""What the frames of a capture show of a person: from which sides, and which surfels."""

from __future__ import annotations

import torch

from pegasus_runtime.avatar.seen_sides import SeenSides
from pegasus_runtime.head import Head
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.dataset import Capture
from trainer.data.frame_sampler import seen_yaw_range_deg, spread_views
from trainer.init.carried_surfels import CarriedSurfels, facing_camera

_NUM_VIEWS = 30
"""More find a few more surfels that a camera faced for a moment, and take longer."""
_FACES = 0.2
"""Cosine to the camera, from which surfels learn their colours; less counts grazing views."""


@torch.no_grad()
def seen_sides(head: Head, capture: Capture, surfels: Surfels) -> SeenSides | None:
    """Of the source person, whose surfels are given as they are at rest; None without frames."""
    frames = capture.training.get(capture.source)
    if not frames:
        return None
    faced = torch.zeros(len(surfels), dtype=torch.bool)
    carried = CarriedSurfels(head, capture, surfels)
    for frame in spread_views(frames, _NUM_VIEWS):
        points, normals, _ = carried.to(frame)
        faced |= facing_camera(frame.record.camera.tensors, points, normals) > _FACES
    share = 1 - float(faced.float().mean()) if len(surfels) else 0.0
    return SeenSides(seen_yaw_range_deg(frames), share)
