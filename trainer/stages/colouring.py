"""What colour each point of the start cloud has, looked up in the pictures.

Colours that are there from the start spare the training most of its steps: it then begins with a
recognisable face and with every attribute in its own colour.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.head import Head
from pegasus_runtime.raster import rasterize
from trainer.data.dataset import Capture, TrainingFrame
from trainer.stages.carving import StartCloud
from trainer.stages.riding import pixels_of, ride_on_head

_NUM_VIEWS = 40
_DEPTH_SIZE = 160
_DEPTH_RADIUS = 0.03
_DEPTH_TOLERANCE = 0.03
_MIN_FACING = 0.25
_SHARPNESS = 6
"""views that look straight at a point count most: grazing ones smear"""


def colour_cloud(
    head: Head, canonical: CanonicalHead, capture: Capture, cloud: StartCloud
) -> dict[str, tuple[Tensor, Tensor]]:
    """Colours (M, 3) in 0..1 of the cloud by subject, and (M,) whether they were ever seen."""
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
) -> tuple[Tensor, Tensor]:
    points = cloud.points + cloud.offsets[subject]
    total, weight = torch.zeros(len(points), 3), torch.zeros(len(points), 1)
    for frame in frames[:: max(1, len(frames) // _NUM_VIEWS)]:
        ride = ride_on_head(head, canonical, capture, frame, cloud.nearest)
        posed, normals = ride.carry(points), ride.turn(cloud.normals)
        seen = _visibility(frame, posed, normals)[:, None]
        row, column, _ = pixels_of(frame, frame.record.camera.project(posed))
        total += seen * torch.from_numpy(frame.image)[row, column] / 255
        weight += seen
    return total / weight.clamp_min(1e-6), weight[:, 0] > 1e-3


def _visibility(frame: TrainingFrame, posed: Tensor, normals: Tensor) -> Tensor:
    """(M,) how well a frame sees each point, 0 for not at all."""
    camera = frame.record.camera
    projected = camera.project(posed)
    away = torch.nn.functional.normalize(torch.from_numpy(camera.centre) - posed, dim=1)
    facing = (normals * away).sum(dim=1)
    size = (_DEPTH_SIZE, _DEPTH_SIZE)
    depth = rasterize(projected, size, _DEPTH_RADIUS, 1).depth[:, :, 0]
    row, column, inside = pixels_of(frame, projected)
    scale = _DEPTH_SIZE / frame.mask.shape[0]
    front = depth[(row * scale).long(), (column * scale).long()]
    on_head = torch.from_numpy(frame.mask)[row, column] > 250
    visible = inside & on_head & (facing > _MIN_FACING)
    visible &= projected[:, 2] < front + _DEPTH_TOLERANCE
    return visible * facing.clamp_min(0) ** _SHARPNESS
