"""How far the tracking of each training frame is off, learned along with the avatar.

Landmarks place a head to a pixel or so, and what is drawn one pixel beside the truth blurs.
Pictures know better: each frame has corrections of its expression, its pose and its camera's place.
What held-out frames are evaluated with stays as it was tracked.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_POSE

_EXPRESSION_UNIT, _POSE_UNIT, _PLACE_UNIT = 0.1, 0.01, 0.004
"""What a tracker of landmarks is usually off by: coefficients, radians (0.6°) and units of the head
(1 mm). One rate then fits them all; a larger unit moves its numbers faster than the others."""
_SIZES = (NUM_EXPRESSIONS, NUM_POSE, 3)


@dataclass(frozen=True, eq=False)
class Correction:
    """What is added to a frame's parameters."""

    expression: Tensor
    """(50,)"""
    pose: Tensor
    """(15,) radians"""
    translation: Tensor
    """(3,) of its camera"""


class Tracking(nn.Module):
    """Corrections of F frames."""

    def __init__(self, num_frames: int) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(num_frames, sum(_SIZES)))
        units = (_EXPRESSION_UNIT, _POSE_UNIT, _PLACE_UNIT)
        each = [torch.full((n,), unit) for n, unit in zip(_SIZES, units, strict=True)]
        self.register_buffer("units", torch.cat(each), persistent=False)

    units: Tensor

    def of(self, row: int) -> Correction:
        """The correction of a frame."""
        # What all frames have in common is the avatar's own to learn: a shift of all cameras would
        # only put it beside the frames that are evaluated.
        own = self.offsets[row] - self.offsets.detach().mean(dim=0)
        return Correction(*(own * self.units).split(_SIZES))

    def loss(self, row: int) -> Tensor:
        """Mean square of a frame's offsets, each in its unit."""
        return self.offsets[row].square().mean()
