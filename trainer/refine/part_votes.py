"""What each surfel shows: the class of the part pictures under it, by how much it is seen there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.parts import HEAD_PARTS, PART_NAMES
from pegasus_runtime.raster import blend
from pegasus_runtime.surfels.attributes import Wardrobe, rest_surfels
from pegasus_runtime.surfels.binding import triangle_frames
from pegasus_runtime.surfels.parts import FAR_OFF, is_part, triangle_parts, with_guessed_parts
from pegasus_runtime.surfels.pose import pose_surfels, project_surfels
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels
from trainer.data.dataset import Capture, TrainingFrame
from trainer.data.frame_sampler import spread_views
from trainer.init.carried_surfels import facing_camera
from trainer.near_points import nearest

_SOURCE_VIEWS, _ATTRIBUTE_VIEWS = 32, 10
"""More are surer of what is seldom seen, as the inside of a mouth is, and take longer."""
_SIDE = 256
"""of the pictures in which is looked, in pixels; smaller ones lose brows and lids, larger ones take
longer"""
_SEEN = 0.05
"""Sum of a surfel's weights over pixels and views, in pixels, from which it was seen: less listens
to what shines through, more leaves what is small to its neighbours."""
_AWAY = -0.3
"""Cosine of skin's normals to the camera from which what rides on it is seen: less lets the back of
a head shine through its mouth and vote, more leaves out hair at the head's sides."""
_SURE = ("teeth", "tongue", "mouth", "eyes", "hair")
"""parts of which a guess from the head is better than what neighbours show"""
_NEIGHBOURS = 24
"""whose votes are taken for what none shows: fewer let one that shines through decide, more let
hair reach down the forehead"""


@torch.no_grad()
def with_parts(wardrobe: Wardrobe, head: Head, capture: Capture) -> Wardrobe:
    """The same with the parts that surfels show; without part pictures they are guessed.

    Those of the person are told by pictures of the person alone; an attribute's own, and what its
    region shows while it is worn, by its pictures. What none shows is as its neighbours are.
    """
    guessed = with_guessed_parts(wardrobe, head)
    table = _columns(capture)
    if not bool((table >= 0).any()):
        return guessed
    source = _voted(head, capture, guessed, "", table)
    own, regions = [], []
    for attribute in guessed.attributes:
        part = _voted(head, capture, guessed, attribute.name, table)
        own.append(part[len(source) :])
        regions.append(part[attribute.region])
    return guessed.with_parts(torch.cat([source, *own]), regions)


def _columns(capture: Capture) -> Tensor:
    """(256,) index into `PART_NAMES` of each value of part pictures, -1 for none of them."""
    known = [PART_NAMES.index(n) if n in PART_NAMES else -1 for n in capture.part_names]
    return torch.tensor([*known, *[-1] * (256 - len(known))], dtype=torch.long)


def _voted(head: Head, capture: Capture, wardrobe: Wardrobe, name: str, table: Tensor) -> Tensor:
    """(N,) uint8, parts of the person's surfels, with an attribute's own after them if one is worn.

    Args:
        head: of the capture.
        capture: with the part pictures.
        wardrobe: with a guess, which is kept where no picture shows the part.
        name: of the attribute, "" for none.
        table: (256,) of `_columns`.
    """
    index = torch.cat([
        torch.arange(len(wardrobe.source)), torch.tensor(wardrobe.ranges.get(name, ())).long()
    ])  # fmt: skip
    surfels = wardrobe.dressed({name: 1.0} if name else {}).chosen(index)
    frames = capture.training[name or capture.source]
    votes = torch.zeros(len(surfels), len(PART_NAMES))
    for frame in spread_views(frames, _ATTRIBUTE_VIEWS if name else _SOURCE_VIEWS):
        if frame.pictures.parts is not None:
            votes += _votes(head, capture, surfels, frame, frame.pictures.parts, table)
    # What stands so far off is no part of a head, and the guess says what it is instead.
    votes[surfels.offset.norm(dim=1) > FAR_OFF, : len(HEAD_PARTS)] = 0
    seen = votes.sum(dim=1) > _SEEN
    part = torch.where(seen, votes.argmax(dim=1).byte(), surfels.part)
    points, _ = rest_surfels(surfels, wardrobe.rest_corners)
    return _like_neighbours(points, votes, part, triangle_parts(head)[surfels.triangle])


def _votes(
    head: Head,
    capture: Capture,
    surfels: Surfels,
    frame: TrainingFrame,
    parts: NDArray[np.uint8],
    table: Tensor,
) -> Tensor:
    """(N, P): how much of each surfel's weight in a picture lies on pixels of each part.

    A picture is a sum of features by weight, so that its gradient by a feature is the weight.
    """
    record = frame.record
    expression, pose = torch.from_numpy(record.expression), torch.from_numpy(record.pose)
    vertices = pose_head(head, capture.shape, expression, pose).vertices
    posed = pose_surfels(surfels, vertices, head.faces, torch.zeros(NUM_STATES))
    places = (np.arange(_SIDE) + 0.5) * (np.array(parts.shape)[:, None] / _SIDE)
    labels = torch.from_numpy(parts[np.ix_(*places.astype(int))]).long()
    points, conics = project_surfels(posed, record.camera.tensors, (_SIDE, _SIDE))
    shown = table[labels]
    present = shown[shown >= 0].unique()
    features = torch.zeros(len(points), len(present), requires_grad=True)
    with torch.enable_grad():
        image, _ = blend(
            points, features, conics=conics, opacities=posed.opacity, image_size=(_SIDE, _SIDE)
        )
        (image * (shown[:, :, None] == present)).sum().backward()
    votes = torch.zeros(len(points), len(PART_NAMES))
    assert features.grad is not None
    corners = vertices[head.faces[surfels.triangle]]
    normals = triangle_frames(corners)[:, :, 2]
    facing = facing_camera(record.camera.tensors, corners.mean(dim=1), normals)
    votes[:, present] = features.grad * (facing > _AWAY)[:, None]
    return votes


def _like_neighbours(points: Tensor, votes: Tensor, part: Tensor, rides: Tensor) -> Tensor:
    """Parts (N,) of what has no votes (N, P), by those of its nearest neighbours together.

    They ride on the same part of the head (N,): through a head that was filmed from the front, what
    lies nearest to the nape is a mouth. And what little shines through them is outvoted.
    """
    # Within a mouth no picture shows much, and what stands off a scalp is no skin, whatever is
    # seen beside it: there the head says more than what lies nearest.
    seen = votes.sum(dim=1) > _SEEN
    unknown = ~seen & ~is_part(part, _SURE)
    found = part.clone()
    for each in rides[unknown].unique():
        known = (seen & (rides == each)).nonzero()[:, 0]
        wanted = (unknown & (rides == each)).nonzero()[:, 0]
        if len(known):
            _, beside = nearest(points[wanted], points[known], min(_NEIGHBOURS, len(known)))
            found[wanted] = votes[known[beside]].sum(dim=1).argmax(dim=1).byte()
    return found
