"""Which surfels a person's outlines hold: what is added behind a face may not be seen beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.dataset import Capture
from trainer.data.frame_sampler import spread_views
from trainer.init.carried_surfels import CarriedSurfels
from trainer.init.tracked_head import sample_image

_TAIL = 2.0
"""standard deviations, beyond which nothing of a surfel is seen"""
_NUM_VIEWS = 40
"""More find a few more surfels that show beside somebody in some, and take longer."""


def within_outlines(head: Head, capture: Capture, surfels: Surfels, share: float) -> Tensor:
    """(N,) bool, which surfels lie on the person as far as they reach, in a share of the views."""
    import cv2

    views = spread_views(capture.training[capture.source], _NUM_VIEWS)
    carried, on_person = CarriedSurfels(head, capture, surfels), torch.zeros(len(surfels))
    radius = surfels.log_radius.exp().amax(dim=1)
    for frame in views:
        _, _, projected = carried.to(frame)
        person = (frame.pictures.mask > 127).astype("uint8")
        within = cv2.distanceTransform(person, cv2.DIST_L2, 3) / len(person)
        room, _ = sample_image(torch.from_numpy(within), projected)
        focal = float(frame.record.camera.intrinsics[0, 0]) / 2
        on_person += room > _TAIL * focal * radius / projected[:, 2]
    return on_person >= share * len(views)
