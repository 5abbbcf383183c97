"""What colour each point of the start cloud has, looked up in the pictures.

Colours that are there from the start spare the training most of its steps: it then begins with a
recognisable face and with every attribute in its own colour.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.head import Head
from trainer.data.choosing import spread_views
from trainer.data.dataset import Capture, TrainingFrame
from trainer.stages.cloud import StartCloud
from trainer.stages.riding import look_up, ride_on_head
from trainer.stages.thin_parts import depth_of

_NUM_VIEWS = 60
_DEPTH_TOLERANCE = 0.025
_MIN_FACING = 0.2
_SHARPNESS = 4
"""views that look straight at a point count most: grazing ones smear"""
_NUM_NEIGHBOURS = 4
_COVERED_PARTS = ("eyes", "teeth", "tongue", "mouth")
"""parts that lids and lips cover from so near that depth cannot tell"""


def colour_cloud(
    head: Head, canonical: CanonicalHead, capture: Capture, cloud: StartCloud
) -> dict[str, Tensor]:
    """Colours (M, 3) in 0..1 of the cloud by subject; what no view sees has its neighbours'.

    A point that a subject keeps in the store has no colour there: it is NaN.
    """
    return {
        subject: _colour_subject(head, canonical, capture, cloud, subject, frames)
        for subject, frames in capture.training.items()
    }


def _colour_subject(
    head: Head,
    canonical: CanonicalHead,
    capture: Capture,
    cloud: StartCloud,
    subject: str,
    frames: list[TrainingFrame],
) -> Tensor:
    worn = cloud.worn(subject)
    points, outward = cloud.places[subject][worn], cloud.normals[worn]
    parts = _parts_of(head, capture, cloud)[worn]
    total, weight = torch.zeros(len(points), 3), torch.zeros(len(points), 1)
    for frame in spread_views(frames, _NUM_VIEWS):
        ride = ride_on_head(head, canonical, capture, frame).of(cloud.nearest[worn])
        posed, normals = ride.carry(points), ride.turn(outward)
        seen = _visibility(frame, posed, normals, parts)[:, None]
        picture, projected = frame.pictures.image, frame.record.camera.project(posed)
        colour, _ = look_up(torch.from_numpy(picture), projected)
        total += seen * colour / 255
        weight += seen
    colours = torch.full((len(worn), 3), torch.nan)
    colours[worn] = _fill(points, total / weight.clamp_min(1e-6), weight[:, 0] > 1e-3)
    return colours


def _parts_of(head: Head, capture: Capture, cloud: StartCloud) -> Tensor:
    """(M,) class in the frames' part pictures that alone shows a point; -1 where any may."""
    parts = torch.full((len(cloud.points),), -1)
    if head.part_labels is None:
        return parts
    for index, name in enumerate(head.part_names):
        if name in _COVERED_PARTS and name in capture.part_names:
            on_part = (head.part_labels[cloud.nearest] == index) & (cloud.owner == 0)
            parts[on_part] = capture.part_names.index(name)
    return parts


def _visibility(frame: TrainingFrame, posed: Tensor, normals: Tensor, parts: Tensor) -> Tensor:
    """(M,) how well a frame sees each point, 0 for not at all."""
    camera = frame.record.camera
    projected = camera.project(posed)
    away = torch.nn.functional.normalize(torch.from_numpy(camera.centre) - posed, dim=1)
    facing = (normals * away).sum(dim=1)
    front, visible = look_up(depth_of(camera, posed), projected)
    on_head, _ = look_up(torch.from_numpy(frame.pictures.mask), projected)
    visible &= (on_head > 250) & (facing > _MIN_FACING)
    visible &= projected[:, 2] < front + _DEPTH_TOLERANCE
    if frame.pictures.parts is not None:
        shown, _ = look_up(torch.from_numpy(frame.pictures.parts), projected)
        visible &= (parts < 0) | (shown == parts)
    return visible * facing.clamp_min(0) ** _SHARPNESS


def _fill(points: Tensor, colours: Tensor, seen: Tensor) -> Tensor:
    """Colours (M, 3) with those of the nearest seen points where a point is not seen."""
    from scipy.spatial import cKDTree

    if seen.sum() < _NUM_NEIGHBOURS or seen.all():
        return colours
    _, index = cKDTree(points[seen].numpy()).query(points[~seen].numpy(), k=_NUM_NEIGHBOURS)
    filled = colours.clone()
    filled[~seen] = colours[seen][torch.as_tensor(index)].mean(dim=1)
    return filled
