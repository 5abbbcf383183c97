"""How a dressed person looks at rest: places, axes and colours of all surfels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import pose_head
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.raster.surfels import largest_weights
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.binding import place_on_triangles
from pegasus_runtime.surfels.parts import is_part
from pegasus_runtime.surfels.pose import pose_surfels, project_surfels
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels
from trainer.near_points import nearest

HEAD_SKIN = ("skin", "nose", "ears", "neck")
"""parts whose colour is that of a person's skin"""
_OPAQUE = 0.0
"""Logit from which a surfel tells the colour of a part."""
_USUAL = 0.7
"""Share of the skin's surfels that are not far from its median colour; more lets hair and shade at
its edges colour what lies under the hair, less a blush or a beard."""
_VIEW_SIDE, _VIEW_DISTANCE, _YAW_STEP_DEG, _PITCHES_DEG = 320, 5.5, 45, (-25, 10, 55)
"""Views in which is looked what is seen: more take longer, fewer miss the crown."""
_SEEN = 0.05
"""Weight in a pixel from which a surfel is seen; less takes what shines through."""
_CELL, _NEXT = 0.03, 0.02
"""In units of the head, of which skin tells one colour, and how near all count alike: with less, a
few dark surfels at a hairline colour a whole crown; more makes a face of one colour."""
DARKEST, BRIGHTEST = 0.01, 0.985
"""of an albedo: beyond, logits are so large that half a difference is no half way"""

_DIVISIBLE = 0.03
"""of colours that are divided; less makes sparks of black"""
_MOST = 4.0
"""times as bright or dark as a surfel may become; more makes sparks of shade that lay elsewhere,
less leaves a painted thing as it was"""


@dataclass(frozen=True, eq=False)
class Look:
    """Surfels at rest, lit as they were in the training pictures."""

    surfels: Surfels
    points: Tensor
    """(N, 3)"""
    feet: Tensor
    """(N, 3) where each is bound"""
    frames: Tensor
    """(N, 3, 3) of the triangles"""
    axes: Tensor
    """(N, 3, 3) of the surfels"""
    colour: Tensor
    """(N, 3) albedo times light"""
    light: Tensor
    """(N, 1)"""

    def on(self, names: Sequence[str]) -> Tensor:
        """(N,) bool, which surfels show one of the parts."""
        return is_part(self.surfels.part, names)

    def chosen(self, index: Tensor) -> Look:
        """Those of an index (M,)."""
        arrays = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "surfels"}
        return Look(surfels=self.surfels.chosen(index), **arrays)

    @property
    def below(self) -> Tensor:
        """(N, 3) in the plane of its triangle, straight below where each is."""
        normal = self.frames[:, :, 2]
        height = ((self.points - self.feet) * normal).sum(dim=1, keepdim=True)
        return self.points - height * normal

    @property
    def is_seen(self) -> Tensor:
        """(N,) bool, which are more there than not."""
        return self.surfels.opacity > _OPAQUE


@torch.no_grad()
def look_of(avatar: SurfelAvatar, surfels: Surfels) -> Look:
    """The look of some surfels of an avatar."""
    corners = avatar.wardrobe.rest_corners
    points, frames = place_on_triangles(
        corners, surfels.triangle, surfels.barycentric, surfels.offset
    )
    feet = (corners[surfels.triangle] * surfels.barycentric[:, :, None]).sum(dim=1)
    axes = frames @ rotation_matrices(surfels.rotation)
    light = avatar.light(axes[:, :, 2])
    colour = (torch.sigmoid(surfels.colour) * light).clamp(0, 1)
    return Look(surfels, points, feet, frames, axes, colour, light)


def logit_of(colour: Tensor, light: Tensor) -> Tensor:
    """Logits (N, 3) of the albedo that has a colour (N, 3) under a light (N, 1)."""
    return torch.logit((colour / light.clamp_min(1e-3)).clamp(DARKEST, BRIGHTEST))


def ratio_of(colour: Tensor, before: Tensor) -> Tensor:
    """How many times as bright colours (N, 3) are as others (N, 3)."""
    ratio = colour.clamp_min(_DIVISIBLE) / before.clamp_min(_DIVISIBLE)
    return ratio.clamp(1 / _MOST, _MOST)


@torch.no_grad()
def seen_surfels(avatar: SurfelAvatar, surfels: Surfels) -> Tensor:
    """(N,) bool, which of all that is there at once is seen from any side."""
    none = torch.zeros(50), torch.zeros(15)
    vertices = pose_head(avatar.head, avatar.shape, *none).vertices
    posed = pose_surfels(surfels, vertices, avatar.head.faces, torch.zeros(NUM_STATES))
    middle, size = posed.points.median(dim=0).values, (_VIEW_SIDE, _VIEW_SIDE)
    seen = torch.zeros(len(surfels), dtype=torch.bool)
    for pitch in _PITCHES_DEG:
        for yaw in range(0, 360, _YAW_STEP_DEG):
            camera = Camera.orbit(middle.numpy(), _VIEW_DISTANCE, yaw, pitch, image_size=size)
            points, conics = project_surfels(posed, camera.tensors, size)
            weights = largest_weights(
                points, conics=conics, opacities=posed.opacity, image_size=size
            )
            seen |= weights > _SEEN
    return seen


class SkinColour:
    """The colour of a person's skin anywhere on the head, also where hair covers it."""

    def __init__(self, look: Look, count: int = 48) -> None:
        known = look.is_seen & look.on(HEAD_SKIN)
        if int(known.sum()) < count:
            known = look.is_seen
        colours, nose = look.colour[known], known & look.on(["nose"])
        # No hair is on a nose. Of one that hair has covered, the median is of that hair.
        self.usual = look.colour[nose if int(nose.sum()) >= count else known].median(dim=0).values
        away = (colours - self.usual).abs().sum(dim=1)
        kept = away <= away.quantile(_USUAL)
        self._feet, self._colours = _thinned(look.feet[known][kept], colours[kept])
        self._count = min(count, len(self._colours))

    def at(self, feet: Tensor) -> Tensor:
        """(N, 3) at places (N, 3) on the head: a mean of the nearest skin that was seen."""
        if not len(feet):
            return torch.zeros(0, 3)
        apart, index = nearest(feet, self._feet, self._count)
        weights = 1 / (apart.float() + _NEXT).square()[:, :, None]
        mean: Tensor = (self._colours[index] * weights).sum(dim=1) / weights.sum(dim=1)
        return mean


def _thinned(places: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
    """Middles (K, 3) and median colours (K, 3) of what lies in the same cell of a grid."""
    cells = (places / _CELL).floor().long()
    _, cell = cells.unique(dim=0, return_inverse=True)
    order = cell.argsort()
    counts = cell.bincount()
    middles = torch.zeros(len(counts), 3).index_add_(0, cell, places) / counts[:, None]
    medians = [part.median(dim=0).values for part in colours[order].split(counts.tolist())]
    return middles, torch.stack(medians)
