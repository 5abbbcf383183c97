"""Surfels of two people drawn on one head, so that each hides what lies behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.raster import blend
from pegasus_runtime.surfels.pose import LightNetwork, StateNetwork, pose_surfels, project_surfels
from pegasus_runtime.surfels.surfels import Surfels
from trainer.data.capture_folder import FrameRecord

FloatArray = npt.NDArray[np.float32]
_MARKED = slice(8, 11)
_FIRST_PART = 11
"""columns: colour 0..2, normal 3..5, region 6, mark 7, marked colour 8..10, parts"""


@dataclass(frozen=True, eq=False)
class Layer:
    """Surfels of one person."""

    surfels: Surfels
    states: StateNetwork
    light: LightNetwork
    is_marked: bool | Tensor = False
    """of all, or (N,) bool: those whose share of a picture is told apart"""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What layers look like in a frame; colours are premultiplied, of float32."""

    colour: FloatArray
    """(S, S, 3)"""
    alpha: FloatArray
    """(S, S)"""
    marked_colour: FloatArray
    """(S, S, 3) of the marked surfels alone, behind what hides them"""
    marked_alpha: FloatArray
    """(S, S)"""
    normal: FloatArray
    """(S, S, 3) world normals towards the camera, not scaled to one"""
    region: FloatArray
    """(S, S) in 0..1, the weights of the head's vertices"""
    parts: npt.NDArray[np.uint8]
    """(S, S) index into `PART_NAMES` of what weighs most; meaningless where there is nothing"""

    @property
    def over_white(self) -> FloatArray:
        """(S, S, 3)"""
        white: FloatArray = self.colour + 1 - self.alpha[..., None]
        return white


@torch.no_grad()
def draw_layers(
    head: Head, shape: Tensor, layers: Sequence[Layer], frame: FrameRecord, weights: Tensor
) -> Drawn:
    """Draw all layers on the posed head of a frame.

    Args:
        head: to which all surfels are bound; its template may be another person's in places.
        shape: (100,)
        layers: at least one.
        frame: expression, pose and camera, which has the picture's size.
        weights: (V,) of the head's vertices in 0..1.
    """
    expression, pose = torch.from_numpy(frame.expression), torch.from_numpy(frame.pose)
    posed_head = pose_head(head, shape, expression, pose)
    columns, points, conics, opacities = [], [], [], []
    for layer in layers:
        surfels = layer.surfels
        states = layer.states(expression, posed_head.pose_feature)
        posed = pose_surfels(surfels, posed_head.vertices, head.faces, states)
        colour = (posed.albedo * layer.light(posed.normals)).clamp(0, 1)
        normal = _towards(posed.points, posed.normals, frame.camera)
        region = (weights[head.faces[surfels.triangle]] * surfels.barycentric).sum(1, keepdim=True)
        mark = torch.as_tensor(layer.is_marked).float().expand(len(surfels))[:, None]
        part = torch.nn.functional.one_hot(surfels.part.long(), len(PART_NAMES)).float()
        columns.append(torch.cat([colour, normal, region, mark, mark * colour, part], dim=1))
        places, ellipses = project_surfels(posed, frame.camera.tensors, frame.camera.image_size)
        points.append(places)
        conics.append(ellipses)
        opacities.append(posed.opacity)
    image, alpha = blend(
        torch.cat(points), torch.cat(columns), conics=torch.cat(conics),
        opacities=torch.cat(opacities), image_size=frame.camera.image_size,
    )  # fmt: skip
    found = image.numpy()
    return Drawn(
        colour=found[..., :3],
        alpha=alpha.numpy().clip(0, 1),
        marked_colour=found[..., _MARKED],
        marked_alpha=found[..., 7].clip(0, 1),
        normal=found[..., 3:6],
        region=found[..., 6].clip(0, 1),
        parts=found[..., _FIRST_PART:].argmax(axis=2).astype(np.uint8),
    )


def _towards(points: Tensor, normals: Tensor, camera: Camera) -> Tensor:
    """Normals (N, 3), turned to the side that the camera sees."""
    centre = torch.from_numpy(camera.centre).to(points)
    away = ((centre - points) * normals).sum(dim=1, keepdim=True) < 0
    return torch.where(away, -normals, normals)
