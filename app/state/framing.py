"""Which square of a head's picture shows what an attribute of a category changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from app.state.view import View

if TYPE_CHECKING:
    from torch import Tensor

    from pegasus_runtime.avatar.avatar import Avatar

_SMALLEST = 0.25
"""of the whole picture's side; closer in, the points of an avatar are seen one by one; more leaves
eyes small in their tile"""


@dataclass(frozen=True)
class _Region:
    parts: tuple[str, ...] = ()
    """of the head; none: all of it"""
    margin: float = 1.0
    """the square's side in that of the parts, for attributes reach beyond them"""
    yaw_deg: float = 0.0
    is_one_sided: bool = False
    """of a pair only the nearer one, for the other is hidden"""


_HEAD = ("skin", "scalp", "ears")
_REGIONS = {
    "eyes": _Region(("eyes", "eyelids"), 1.15),
    "eyebrows": _Region(("eyebrows", "eyes"), 1.2),
    "nose": _Region(("nose",), 1.5, yaw_deg=20.0),
    "mouth": _Region(("lips",), 1.7),
    "ears": _Region(("ears",), 2.2, yaw_deg=50.0, is_one_sided=True),
    "hair": _Region(_HEAD, 1.55, yaw_deg=25.0),
    "hat": _Region(_HEAD, 1.55, yaw_deg=25.0),
    "eyeglasses": _Region(_HEAD, 1.2, yaw_deg=25.0),
}
"""How much larger than the parts the square is, and from where it is seen: less cuts hats and hair
off, more makes the part small."""


@dataclass(frozen=True)
class Framing:
    """A square cut out of the avatar's default view, from a side."""

    yaw_deg: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)
    """in NDC: x to the left, y up"""
    half: float = 1.0
    """half the square's side in NDC; 1 is the whole picture"""

    @classmethod
    def of(cls, avatar: Avatar, category: str) -> Framing:
        """The same for all attributes of a category; all of a head whose parts nothing tells."""
        region = _REGIONS.get(category, _Region())
        whole = cls(region.yaw_deg)
        places = _region_vertices(avatar, region)
        if places is None or not len(places):
            return whole
        camera = whole.view(avatar).camera((2, 2))
        projected = camera.project(places)
        if region.is_one_sided:
            projected = projected[projected[:, 2] <= projected[:, 2].mean()]
        low, high = projected[:, :2].amin(dim=0), projected[:, :2].amax(dim=0)
        half = float((high - low).max()) / 2 * region.margin
        x, y = (float(value) for value in (low + high) / 2)
        if not all(map(math.isfinite, (x, y, half))) or half >= 1:
            return whole
        half = max(half, _SMALLEST)
        return replace(whole, centre=(_within(x, half), _within(y, half)), half=half)

    def view(self, avatar: Avatar) -> View:
        """Where the whole picture is taken from."""
        return replace(View.framing(avatar), yaw_deg=self.yaw_deg)

    def square(self, side: int) -> tuple[int, slice, slice]:
        """Where the square has so many pixels: the whole picture's side, rows and columns."""
        whole = round(side / self.half)
        left, top = (round(whole * (1 - c - self.half) / 2) for c in self.centre)
        left, top = (min(max(start, 0), whole - side) for start in (left, top))
        return whole, slice(top, top + side), slice(left, left + side)


def _within(centre: float, half: float) -> float:
    return min(max(centre, half - 1), 1 - half)


def _region_vertices(avatar: Avatar, region: _Region) -> Tensor | None:
    """Vertices (N, 3) of the region's parts on the person's own head at rest."""
    from pegasus_runtime.head.parts import find_parts
    from pegasus_runtime.head.skinning import pose_head

    parts = find_parts(avatar.head) if region.parts else None
    if parts is None:
        return None
    face = avatar.neutral()
    values = (torch.from_numpy(values) for values in (face.expression, face.pose))
    return pose_head(avatar.head, avatar.shape, *values).vertices[parts.on(*region.parts)]
