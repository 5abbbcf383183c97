"""The underside of a neck, of a head that was filmed from the front.

A head's mesh ends in a ring that is higher behind than in front: from behind, and from below, one
looks under the nape into the hollow head, and on the back of the throat. Drawn people have a bust
there; masks of videos end at the neck, and no frame tells what is below.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.canonical import make_canonical_head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.attributes import Wardrobe
from pegasus_runtime.surfels.binding import place_on_triangles
from pegasus_runtime.surfels.surfels import Surfels, concatenate
from trainer.data.dataset import Capture
from trainer.data.frame_sampler import is_one_sided
from trainer.head_regions import neck_rim
from trainer.init.covered_parts import inside_mouth
from trainer.init.surfel_sampling import bound_surfels
from trainer.refine.outlines import within_outlines

_COUNT = 600
"""of surfels, over about 150 cm²; fewer are coarse at the ring, more cost time and show no more"""
_RAISED = 0.12
"""units of the head, from the ring into the neck: less is cut off with the neck's edge by masks,
more shows in an open mouth. What of the mouth is lower goes."""
_APART = 0.01
"""units of the head, within which most points of a base that is there have a surfel: less doubles
one that was trained further, more takes a throat for one"""
_WITHIN = 0.9
"""of views, in which a surfel lies on the person, and so behind neck and chin: with less it shows
below the neck's edge"""
_SHADE = 0.6
"""of the neck's light: as dark as what is turned to the floor"""
_JAW, _HARDLY = 2, 0.02
"""a joint, and its share of a triangle's motion that opens no gap: more swings the base out beside
the neck"""
_OPAQUE = 4.0
"""logit of the opacity"""


@torch.no_grad()
def with_neck_base(wardrobe: Wardrobe, head: Head, capture: Capture) -> Wardrobe:
    """The same with surfels across the ring in which the neck ends, where frames do not see it."""
    from scipy.spatial import cKDTree

    frames = capture.training[capture.source]
    ring, source = neck_rim(head), wardrobe.source
    on_neck = require_parts(head).on("neck")[head.faces].all(dim=1)[source.triangle]
    if not is_one_sided(frames) or not len(ring) or not bool(on_neck.any()):
        return wardrobe
    canonical = make_canonical_head(head, capture.mean_expression, shape=capture.shape)
    points, normals = _across(canonical.vertices[ring])
    base = bound_surfels(head, canonical, points, normals, carriers=_still_neck(head))
    hidden = within_outlines(head, capture, base, _WITHIN)
    places, _ = place_on_triangles(
        canonical.vertices[head.faces], source.triangle, source.barycentric, source.offset
    )
    distance, _ = cKDTree(places.numpy()).query(points[hidden].numpy())
    if not len(distance) or (distance < _APART).mean() > 0.5:
        # Nothing is hidden, or a training that began with an earlier avatar has its base.
        return wardrobe
    base = base.chosen(hidden.nonzero()[:, 0])
    below = ((places - points.mean(dim=0)) * normals[0]).sum(dim=1) > 0
    stays = ~(below & inside_mouth(head)[source.triangle])
    base = _shaded(base, source.colour[on_neck].sigmoid().median(dim=0).values)
    every = {each.name: torch.arange(len(each.own)) for each in wardrobe.attributes}
    kept = wardrobe.chosen(stays.nonzero()[:, 0], every)
    return replace(kept, source=concatenate([kept.source, base]))


def _still_neck(head: Head) -> Tensor:
    """(F,) bool, triangles of the neck that stay where they are when the jaw opens."""
    neck = require_parts(head).on("neck")[head.faces].all(dim=1)
    still = neck & (head.skinning_weights[head.faces, _JAW].amax(dim=1) < _HARDLY)
    return still if bool(still.any()) else neck


def _shaded(base: Surfels, skin: Tensor) -> Surfels:
    """The same, opaque and in a colour (3,) that is turned to the floor."""
    colour = torch.logit(_SHADE * skin).expand(len(base), 3).clone()
    return replace(base, colour=colour, opacity=torch.full((len(base),), _OPAQUE))


def _across(ring: Tensor) -> tuple[Tensor, Tensor]:
    """Points and normals, which look down, spread over the flat region within a ring (R, 3)."""
    middle = ring.mean(dim=0)
    _, _, axes = torch.linalg.svd(ring - middle, full_matrices=False)
    normal = axes[2] * -torch.sign(axes[2, 1])
    flat = (ring - middle) @ axes[:2].T
    angle, order = torch.atan2(flat[:, 1], flat[:, 0]).sort()
    radius = flat.norm(dim=1)[order]
    # Vogel's spiral is even over a disc.
    number = torch.arange(_COUNT) + 0.5
    turn = (number * torch.pi * (3 - 5**0.5) + torch.pi) % (2 * torch.pi) - torch.pi
    reach = np.interp(turn.numpy(), angle.numpy(), radius.numpy(), period=2 * np.pi)
    out = (number / _COUNT).sqrt() * torch.from_numpy(reach).float()
    places = torch.stack([out * turn.cos(), out * turn.sin()], dim=1)
    return middle - _RAISED * normal + places @ axes[:2], normal.expand(_COUNT, 3)
