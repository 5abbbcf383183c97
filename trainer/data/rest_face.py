"""How the face of somebody who was filmed is at rest, and how far it was seen to move.

Nobody's face at rest is the head's: lids are lower, cheeks stand higher, and heads are held so that
they are seen a little from below. With all at zero an avatar would show a face that no frame has
shown, from a side that none has, and look less like its person than it can.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.expression_ranges import LIMIT, is_action
from pegasus_runtime.head.skinning import rotation_matrices
from trainer.data.dataset import TrainingFrame
from trainer.data.frame_sampler import is_one_sided

_LEAST = 20
"""Percentile of what a face does over the film that it does at rest: more leaves the mouth of
somebody who speaks open, less lets one frame's mistake decide."""
_MOST = 99.5
"""the same of what it can do: more lets one frame's mistake decide, less leaves out blinks"""
_NOD, _GAZE = 0, slice(9, 15)
_MIDDLE = np.array([0.0, 0.05, 0.1])
"""of a face, in units of the head, to which a camera looks"""


class RestFace(NamedTuple):
    """Expression and pose of a face at rest, as `SurfelAvatar` names them."""

    rest_expression: Tensor
    """(50,)"""
    rest_pose: Tensor
    """(15,) radians: how far the head is nodded, and where the eyes look; the mouth is shut"""
    shown_expression: Tensor
    """(50,) how far each expression was seen to go"""


def rest_face(head: Head, frames: list[TrainingFrame]) -> RestFace:
    """That of a filmed person: the least that each part of the face does, held as it usually is.

    What lids and lips do beyond what was filmed nothing has taught: they tear.

    Zero for people who are drawn or filmed from all sides: their parameters are those of the head.

    Args:
        head: whose expressions these are.
        frames: of the person.
    """
    if not is_one_sided(frames):
        return RestFace(torch.zeros(50), torch.zeros(15), torch.full((50,), LIMIT))
    expressions = np.stack([frame.record.expression for frame in frames])
    poses = np.stack([frame.record.pose for frame in frames])
    actions = np.array([is_action(name) for name in head.expression_names])
    usual, least = np.median(expressions, axis=0), np.percentile(expressions, _LEAST, axis=0)
    pose = np.zeros(15, np.float32)
    pose[_NOD] = -np.median([_raised(frame) for frame in frames])
    pose[_GAZE] = np.median(poses[:, _GAZE], axis=0)
    expression = np.where(actions, least, usual).astype(np.float32)
    shown = np.percentile(expressions, _MOST, axis=0).astype(np.float32)
    return RestFace(*(torch.from_numpy(each) for each in (expression, pose, shown)))


def _raised(frame: TrainingFrame) -> float:
    """Radians by which a face looks above the camera."""
    turns = rotation_matrices(torch.from_numpy(frame.record.pose[:6]).view(2, 3))
    ahead = (turns[0] @ turns[1])[:, 2].numpy()
    towards = frame.record.camera.centre - _MIDDLE
    elevations = [np.arctan2(way[1], np.hypot(way[0], way[2])) for way in (ahead, towards)]
    return float(elevations[0] - elevations[1])
