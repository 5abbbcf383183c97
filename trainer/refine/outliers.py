"""Surfels that drifted out of the pictures, where no loss holds them back."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.surfels.attributes import Wardrobe
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import spread_views
from trainer.init.carried_surfels import CarriedSurfels
from trainer.init.tracked_head import sample_image

_NUM_VIEWS = 40
"""More find more specks and take longer."""
_MIN_INSIDE = 0.3
"""of the views, in which a surfel lies within the picture. What most pictures cut off is not
learned: a shirt's lower edge then frays and leaves specks below it."""
_MIN_ON_PERSON = 0.95
"""of those views, in which it lies on the person: a speck below a shirt is before or behind it in
most views, and a few show that it stands alone. More takes what masks cut off in a few frames, less
leaves specks."""
_HIDDEN = -20.0
"""added to the logit of an opacity: nothing is left of it"""
_MARGIN = 0.01
"""of the picture's side, around the person's outline; less takes hair beyond a tight mask, more
leaves specks beside it"""


@torch.no_grad()
def without_outliers(wardrobe: Wardrobe, head: Head, capture: Capture) -> Wardrobe:
    """The same without surfels that hardly a picture can have taught.

    Those of the person that only an attribute moves astray are hidden while it is worn.
    """
    source = _taught(head, capture, wardrobe.source, capture.training[capture.source])
    own, attributes = {}, []
    for attribute in wardrobe.attributes:
        frames, region = capture.training[attribute.name], attribute.region
        own[attribute.name] = _taught(head, capture, attribute.own, frames).nonzero()[:, 0]
        moved = wardrobe.dressed({attribute.name: 1.0}).chosen(region)
        astray = ~_taught(head, capture, moved, frames)
        opacity = torch.where(astray, _HIDDEN, attribute.difference.opacity)
        difference = replace(attribute.difference, opacity=opacity)
        attributes.append(replace(attribute, difference=difference))
    mended = replace(wardrobe, attributes=tuple(attributes))
    return mended.chosen(source.nonzero()[:, 0], own)


def _taught(head: Head, capture: Capture, surfels: Surfels, frames: list[TrainingFrame]) -> Tensor:
    """(N,) bool, which surfels lie in the pictures, and there on the person."""
    import cv2
    import numpy as np

    views = spread_views(frames, _NUM_VIEWS)
    inside, on_person = torch.zeros(2, len(surfels))
    carried = CarriedSurfels(head, capture, surfels)
    for frame in views if len(surfels) else ():
        _, _, projected = carried.to(frame)
        mask = frame.pictures.mask
        side = 2 * round(_MARGIN * len(mask)) + 1
        near = cv2.dilate(mask, np.ones((side, side), np.uint8))
        shown, seen = sample_image(torch.from_numpy(near), projected)
        inside += seen
        on_person += seen & (shown > 127)
    taught: Tensor = inside >= _MIN_INSIDE * len(views)
    taught &= on_person >= _MIN_ON_PERSON * inside
    return taught
