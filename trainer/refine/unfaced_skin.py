"""Skin that no camera has faced: as smooth as the skin beside it.

A cheek that is only seen from its side takes whatever makes outlines a little better: a grazing
view tells little of colours, and less of how surfels are turned. Seen from a little farther around
than any frame, it is a mosaic. What was not faced takes its colours from the nearest skin that was,
and lies flat on the head. It stays where it is: outlines are all that was seen of it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.parts import WORN_PARTS
from pegasus_runtime.raster.surfels import largest_weights
from pegasus_runtime.surfels.attributes import Wardrobe, rest_surfels
from pegasus_runtime.surfels.parts import is_part, triangle_parts
from pegasus_runtime.surfels.pose import pose_surfels, project_surfels
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels
from trainer.data.dataset import Capture
from trainer.data.frame_sampler import is_one_sided, spread_views
from trainer.init.carried_surfels import facing_camera
from trainer.near_points import nearest

_NUM_VIEWS = 30
"""More find a few more surfels that a camera faced for a moment, and take longer."""
_UNKNOWN, _KNOWN = 0.2, 0.5
"""Cosines of skin to the camera that faced it most, up to which nothing of a surfel is kept, and
from which all is: more of either smooths what was seen, less leaves speckles."""
_SEEN = 0.1
"""Weight in a pixel from which a surfel is seen: less trusts what shines through, more smooths what
is thin."""
_PARTS = ("skin", "neck", "ears")
_NEIGHBOURS, _NEAR = 48, 0.02
"""How many that were faced are mixed, and a distance in units of the head that is added before
nearer ones count more: fewer and less are blotches, more and more all one colour."""


@torch.no_grad()
def with_smooth_sides(wardrobe: Wardrobe, head: Head, capture: Capture) -> Wardrobe:
    """The same with smooth skin on the sides of a person who was filmed from one."""
    frames = capture.training[capture.source]
    if not is_one_sided(frames):
        return wardrobe
    source = wardrobe.source
    trust = ((_faced(head, capture, source) - _UNKNOWN) / (_KNOWN - _UNKNOWN)).clamp(0, 1)
    points, _ = rest_surfels(source, wardrobe.rest_corners)
    rides = triangle_parts(head)[source.triangle]
    is_bare = (source.opacity > 0) & ~is_part(source.part, WORN_PARTS)
    for name in _PARTS:
        here = is_bare & is_part(rides, [name])
        source = _smoothed(source, points, trust, here)
    return replace(wardrobe, source=source)


def _faced(head: Head, capture: Capture, source: Surfels) -> Tensor:
    """(N,) the largest cosine to a camera that saw a surfel; 0 for what none has seen."""
    found = torch.zeros(len(source))
    for frame in spread_views(capture.training[capture.source], _NUM_VIEWS):
        camera = frame.record.camera
        expression, pose = map(torch.from_numpy, (frame.record.expression, frame.record.pose))
        vertices = pose_head(head, capture.shape, expression, pose).vertices
        posed = pose_surfels(source, vertices, head.faces, torch.zeros(NUM_STATES))
        size = camera.image_size
        places, conics = project_surfels(posed, camera.tensors, size)
        weights = largest_weights(places, conics=conics, opacities=posed.opacity, image_size=size)
        facing = facing_camera(camera.tensors, posed.points, posed.normals)
        found = torch.maximum(found, torch.where(weights > _SEEN, facing, 0))
    return found


def _smoothed(source: Surfels, points: Tensor, trust: Tensor, here: Tensor) -> Surfels:
    known = (here & is_part(source.part, _PARTS) & (trust == 1)).nonzero()[:, 0]
    wanted = (here & (trust < 1)).nonzero()[:, 0]
    if len(known) < _NEIGHBOURS or not len(wanted):
        return source
    apart, found = nearest(points[wanted], points[known], _NEIGHBOURS)
    weights = 1 / (apart.float() + _NEAR)
    weights /= weights.sum(dim=1, keepdim=True)
    beside, own = known[found], trust[wanted]

    new = {}
    for name in ("colour", "colour_states"):
        values = getattr(source, name)
        smooth = torch.einsum("nk,nk...->n...", weights, values[beside])
        new[name] = values.clone()
        new[name][wanted] = torch.lerp(
            smooth, values[wanted], own.view(-1, *[1] * (smooth.ndim - 1))
        )
    rotation = source.rotation.clone()
    rotation[wanted] *= own[:, None]
    return replace(source, rotation=rotation, **new)
