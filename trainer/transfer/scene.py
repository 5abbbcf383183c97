"""A part of a face as cameras around it see it, with an attribute and, bent, without it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.raster.surfels import blend, largest_weights
from pegasus_runtime.surfels.pose import PosedSurfels, project_surfels
from trainer.transfer.looks import Look

_TURNS_DEG = ((0, 0), (35, 0), (-35, 0), (70, 0), (-70, 0), (0, 35), (0, -35))
"""yaw and pitch from straight before the part; fewer leave depth open, more take longer"""
_AT_ONCE = 4
"""of them in one step: more are slower, fewer pull to and fro"""
_MARGIN, _DISTANCE = 0.08, 5.5
"""in units of the head, around the part in a picture, and from where it is looked at"""
_SEEN_SIDE, _SEEN = 96, 0.02
"""of pictures in which a surfel has to weigh so much in a pixel, to be drawn at all"""


class Scene:
    """A part of a face, with an attribute and without, as cameras around it see it."""

    follows: Tensor
    """(K, C) how much of each bell is at each surfel that is seen without the attribute"""

    def __init__(
        self,
        worn: Look,
        plain: Look,
        bells: Tensor,
        bends: Tensor,
        of_part: Tensor,
        is_side: bool,
    ) -> None:
        """Look at a part from around.

        Args:
            worn: the person with the attribute, all that may be seen.
            plain: N surfels of the person without it.
            bells: (N, C) how much of each is at each of those.
            bends: (N,) how far each follows what bends the part.
            of_part: (T, 3) middles of the part's triangles.
            is_side: it is on one side of the head, and not before it.
        """
        middle = (of_part.min(dim=0).values + of_part.max(dim=0).values) / 2
        radius = float((of_part - middle).norm(dim=1).max()) + _MARGIN
        before = math.copysign(90.0, float(middle[0])) if is_side else 0.0
        angle = 2 * math.degrees(math.atan(radius / _DISTANCE))
        self.cameras = [
            Camera.orbit(middle.numpy(), _DISTANCE, before + yaw, pitch, angle).tensors
            for yaw, pitch in _TURNS_DEG
        ]
        self._worn = worn.chosen(self._seen(worn, middle, radius))
        index = self._seen(plain, middle, radius)
        self._plain = plain.chosen(index)
        self.follows = bells[index] * bends[index][:, None]

    def goals(self, side: int) -> list[tuple[Tensor, Tensor]]:
        """Pictures with the attribute."""
        look = self._worn
        return [_draw(look, look.points, look.colour, None, c, side) for c in self.cameras]

    def difference(self) -> float:
        """Largest mean difference of pictures with the attribute and without it."""
        look = self._plain
        found = []
        for camera, (image, alpha) in zip(self.cameras, self.goals(_SEEN_SIDE), strict=True):
            drawn, covered = _draw(look, look.points, look.colour, None, camera, _SEEN_SIDE)
            found.append(float((drawn - image).abs().mean() + (covered - alpha).abs().mean()))
        return max(found)

    def loss(
        self, step: int, goals: list[tuple[Tensor, Tensor]], move: Tensor, shade: Tensor,
        widen: Tensor,
    ) -> Tensor:  # fmt: skip
        """How far the bent face is from some of those pictures, on black and on white ground."""
        look, apart = self._plain, list[Tensor]()
        points = look.points + self.follows @ move
        colour = (look.colour * torch.exp(self.follows @ shade)).clamp(0, 1)
        wider = self.follows @ widen
        for turn in range(_AT_ONCE * step, _AT_ONCE * (step + 1)):
            camera, (image, alpha) = self.cameras[turn % len(goals)], goals[turn % len(goals)]
            drawn, covered = _draw(look, points, colour, wider, camera, len(image))
            dark, more = drawn - image, (covered - alpha)[..., None]
            apart += [dark.abs().mean(), (dark - more).abs().mean(), more.abs().mean()]
        return torch.stack(apart).sum() / _AT_ONCE

    def _seen(self, look: Look, middle: Tensor, radius: float) -> Tensor:
        """Indices (K,) of what any camera sees."""
        near = ((look.points - middle).norm(dim=1) < 2 * radius).nonzero()[:, 0]
        part = look.chosen(near)
        seen = torch.zeros(len(near), dtype=torch.bool)
        for camera in self.cameras:
            points, conics = _projected(part, part.points, None, camera, _SEEN_SIDE)
            size = (_SEEN_SIDE, _SEEN_SIDE)
            opacities = torch.sigmoid(part.surfels.opacity)
            weights = largest_weights(points, conics=conics, opacities=opacities, image_size=size)
            seen |= weights > _SEEN
        index: Tensor = near[seen]
        return index


def _draw(
    look: Look,
    points: Tensor,
    colour: Tensor,
    wider: Tensor | None,
    camera: tuple[Tensor, Tensor, Tensor],
    side: int,
) -> tuple[Tensor, Tensor]:
    """A picture (side, side, 3) on black ground, and what is covered (side, side)."""
    places, conics = _projected(look, points, wider, camera, side)
    opacities = torch.sigmoid(look.surfels.opacity)
    return blend(places, colour, conics=conics, opacities=opacities, image_size=(side, side))


def _projected(
    look: Look,
    points: Tensor,
    wider: Tensor | None,
    camera: tuple[Tensor, Tensor, Tensor],
    side: int,
) -> tuple[Tensor, Tensor]:
    size = look.surfels.log_radius if wider is None else look.surfels.log_radius + wider
    posed = PosedSurfels(
        points=points,
        tangents=look.axes[:, :, :2] * size.exp()[:, None, :],
        normals=look.axes[:, :, 2],
        albedo=look.colour,
        opacity=look.surfels.opacity,
    )
    return project_surfels(posed, camera, (side, side))
