"""Surfels that drifted out of the pictures, or away from what they belong to, where no loss holds
them back."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Wardrobe, rest_surfels
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import is_one_sided, spread_views
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
_LARGEST = 0.05
"""units of the head: what is hidden in hair grows unhindered, and shines around it as a haze. On a
clip's held-out frames this limit changed nothing, and a half of it took 0.03 dB."""
_TURNING, _ARM = ("eyelids", "lips", "eyes"), 0.025
"""parts of the head, and in units of it how far from them a surfel that rides on them may be: less
takes lashes, more leaves blots on a forehead below which eyes close"""
_CONNECTED = ("hair", "hat")
"""categories that are one thing, or a few large ones"""
_GAP, _SMALLEST = 0.05, 0.01
"""Distance in units of the head from which two surfels do not belong together, and the share of
all below which a group of them is a speck in the air: behind long hair of the demo there were 68 of
13,700. Less of the first takes the ends of locks, more of the second whole thin ones."""


@torch.no_grad()
def without_outliers(wardrobe: Wardrobe, head: Head, capture: Capture) -> Wardrobe:
    """The same without surfels that hardly a picture can have taught.

    Those of the person that only an attribute moves astray are hidden while it is worn.
    """
    frames = capture.training[capture.source]
    source = _taught(head, capture, wardrobe.source, frames)
    if is_one_sided(frames):
        source &= ~_levers(head, wardrobe.source)
    own, attributes = {}, []
    for attribute in wardrobe.attributes:
        frames, region = capture.training[attribute.name], attribute.region
        stays = _taught(head, capture, attribute.own, frames)
        if category_of(attribute.name) in _CONNECTED:
            points, _ = rest_surfels(attribute.own, wardrobe.rest_corners)
            stays[stays.clone()] = _connected(points[stays])
        own[attribute.name] = stays.nonzero()[:, 0]
        moved = wardrobe.dressed({attribute.name: 1.0}).chosen(region)
        astray = ~_taught(head, capture, moved, frames)
        opacity = torch.where(astray, _HIDDEN, attribute.difference.opacity)
        difference = replace(attribute.difference, opacity=opacity)
        attributes.append(replace(attribute, difference=difference))
    mended = replace(wardrobe, attributes=tuple(attributes))
    return _not_too_large(mended.chosen(source.nonzero()[:, 0], own))


def _levers(head: Head, surfels: Surfels) -> Tensor:
    """(N,) bool, which ride on what turns, far from it: hidden in a brow at rest, one on a lid
    swings out before the forehead when the lid closes, as nobody did in the film."""
    on_it = require_parts(head).on(*_TURNING)[head.faces].all(dim=1)[surfels.triangle]
    found: Tensor = on_it & (surfels.offset.norm(dim=1) > _ARM)
    return found


def _not_too_large(wardrobe: Wardrobe) -> Wardrobe:
    def limited(surfels: Surfels) -> Surfels:
        return replace(surfels, log_radius=surfels.log_radius.clamp_max(math.log(_LARGEST)))

    attributes = tuple(replace(each, own=limited(each.own)) for each in wardrobe.attributes)
    return replace(wardrobe, source=limited(wardrobe.source), attributes=attributes)


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


def _connected(points: Tensor) -> Tensor:
    """(N,) bool, which points (N, 3) belong to a group that is no speck."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = cKDTree(points.numpy()).query_pairs(_GAP, output_type="ndarray")
    count = len(points)
    beside = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    _, group = connected_components(beside, directed=False)
    return torch.from_numpy(np.bincount(group, minlength=1)[group] >= _SMALLEST * count)
