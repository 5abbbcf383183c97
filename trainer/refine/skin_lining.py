"""A lining under the skin of a filmed person, so that no hole of it opens into the head.

Surfels cover what frames saw from where they saw it. From farther around, and where an expression
stretches skin, there is room between them, through which one looks at the mouth's inside and at
hair from within: dark specks. The lining lies a little deeper and has the skin's own colours there.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.attributes import Wardrobe, rest_surfels
from pegasus_runtime.surfels.parts import is_part
from pegasus_runtime.surfels.surfels import concatenate, new_surfels
from trainer.data.dataset import Capture
from trainer.data.frame_sampler import is_one_sided
from trainer.init.surfel_sampling import sample_triangles, triangle_areas
from trainer.near_points import are_near, nearest
from trainer.refine.outlines import within_outlines

_PARTS = ("skin", "neck")
_SPACING, _RADIUS = 0.013, 0.009
"""units of the head: wider ones are holes themselves, closer ones take longer to draw"""
_DEEPER = 0.012
"""units of the head, below the skin: less shows through it, more is seen beside it where the skin
turns away"""
_NEIGHBOURS = 12
"""of the skin, that tell how deep it lies and its colour: fewer copy a speck, more blur a beard"""
_FAR = 0.05
"""units of the head, from the skin's nearest surfel, beyond which there is none to line"""
_WITHIN = 0.4
"""of views, in which the lining lies on the person: less shows below the neck's edge, more leaves
specks on cheeks that are the outline of many frames"""
_LINED = 0.006
"""units of the head, so near that something is there already: an earlier avatar's lining"""


@torch.no_grad()
def with_lining(wardrobe: Wardrobe, head: Head, capture: Capture) -> Wardrobe:
    """The same with a lining, where a person was filmed from one side."""
    source = wardrobe.source
    if not is_one_sided(capture.training[capture.source]):
        return wardrobe
    skin = is_part(source.part, _PARTS) & (source.opacity > 0)
    corners = wardrobe.rest_corners
    areas = triangle_areas(corners) * require_parts(head).on(*_PARTS)[head.faces].all(dim=1)
    count = int(areas.sum() / _SPACING**2)
    if int(skin.sum()) < count:
        # Surfels so few are larger than holes.
        return wardrobe
    random = torch.Generator().manual_seed(0)
    triangle, weights = sample_triangles(areas, count, random)
    points, _ = rest_surfels(source, corners)
    feet = (corners[triangle] * weights[:, :, None]).sum(dim=1)
    apart, found = nearest(feet, points[skin], _NEIGHBOURS)
    beside = skin.nonzero()[:, 0][found]
    # The upper ones: of an avatar that was trained further some are its lining.
    height = source.offset[beside, 2].quantile(0.75, dim=1) - _DEEPER
    offset = torch.nn.functional.pad(height[:, None], (2, 0))
    lining = new_surfels(triangle, weights, offset, torch.zeros(count, 3), _RADIUS, 0.97)
    colour = source.colour[beside].median(dim=1).values
    lining = replace(lining, colour=colour, part=source.part[beside[:, 0]])
    there, _ = rest_surfels(lining, corners)
    is_bare = (apart[:, 0] < _FAR) & ~are_near(there, points, _LINED)
    lining = lining.chosen(is_bare.nonzero()[:, 0])
    lining = lining.chosen(within_outlines(head, capture, lining, _WITHIN).nonzero()[:, 0])
    return replace(wardrobe, source=concatenate([source, lining]))
