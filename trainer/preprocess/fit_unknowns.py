"""What is not known of a head in a clip, and where it lies in the vectors that are solved for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head.skinning import rotation_matrices
from trainer.preprocess.arrow_system import Doubles
from trainer.preprocess.posed_points import MOVED_ANGLES

_NUM_EXPRESSION, NUM_SHAPE = 50, 100
SIZES = {"turn": 3, "place": 2, "depth": 1, "expression": _NUM_EXPRESSION, "jaw": 3, "gaze": 4}
_ENDS = np.cumsum([0, *SIZES.values()])
TURN, PLACE, DEPTH, EXPRESSION, JAW, GAZE = map(slice, _ENDS[:-1].tolist(), _ENDS[1:].tolist())
"""Where the unknowns of a frame lie: turn of the neck, place and logarithm of the depth of the
head before the camera, expression, jaw, and both eyes up and to the side."""
NUM_OF_FRAME, NUM_RIGID = int(_ENDS[-1]), DEPTH.stop
BASE, SHAPE = slice(0, 3), slice(3, 3 + NUM_SHAPE)
"""Where those of the clip lie: the camera's rotation, the shape, and then the landmarks' shifts."""
SHIFTS = slice(SHAPE.stop, None)


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Of a clip."""

    frames: Doubles
    """(B, 63)"""
    shared: Doubles
    """(103 + 3 M,) with the M landmarks that may be shifted"""

    def of_frames(self, part: slice) -> Tensor:
        """(B, …)"""
        return torch.from_numpy(self.frames[:, part])

    @property
    def shape(self) -> Tensor:
        """(100,)"""
        return torch.from_numpy(self.shared[SHAPE])

    def pose(self) -> Tensor:
        """(B, 15) axis-angle of the joints."""
        pose = torch.zeros(len(self.frames), 15, dtype=torch.float64)
        angles = [self.of_frames(part) for part in (TURN, JAW, GAZE)]
        pose[:, list(MOVED_ANGLES)] = torch.cat(angles, dim=1)
        return pose

    def rotation(self) -> Tensor:
        """(3, 3) of all cameras: rows as vectors, times this, are what the camera sees."""
        return camera_rotation(torch.from_numpy(self.shared[BASE]))

    def translation(self) -> Tensor:
        """(B, 3) of the cameras."""
        place = self.of_frames(PLACE)
        return torch.cat([place, torch.ones_like(place[:, :1])], dim=1) * self.depth()

    def depth(self) -> Tensor:
        """(B, 1)"""
        return self.of_frames(DEPTH).exp()

    def moved(self, frames: Doubles, shared: Doubles) -> Unknowns:
        """By a step of the frames' unknowns and of the first shared ones."""
        there = self.shared.copy()
        there[: len(shared)] += shared
        return Unknowns(self.frames + frames, there)

    def within(self, low: Doubles, high: Doubles) -> Unknowns:
        """Cut off at bounds (63,) of the frames' unknowns."""
        return Unknowns(self.frames.clip(low, high), self.shared)

    def some(self, rows: slice) -> Unknowns:
        """Those of some frames."""
        return Unknowns(self.frames[rows], self.shared)


def camera_rotation(base: Tensor) -> Tensor:
    """(3, 3) of the cameras that are turned by an axis-angle (3,)."""
    towards = torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=base.dtype))
    return (towards @ rotation_matrices(base)).T
