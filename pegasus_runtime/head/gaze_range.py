"""How far eyes turn before the iris leaves the opening of the lids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pegasus_runtime.head.model import Head
from pegasus_runtime.head.openings import FloatArray, Openings
from pegasus_runtime.lru_cache import LRUCache

_EYES = {3: range(42, 48), 4: range(36, 42)}
"""joint → landmarks, corner, two of the upper lid, corner, two of the lower one"""
_STEP_DEG, _MOST_DEG = 2.5, 40.0
"""Finer steps allow a little more of a range and take longer once; no eye is let beyond the
second."""
_CORNER_MARGIN_DEG = 12.0
"""that the iris' centre keeps from a corner: about half the iris; less lets the iris slip under the
skin, more keeps eyes from looking aside"""
_KEPT_BYTES = 1 << 16
"""As in `expression_ranges`."""


@dataclass(frozen=True)
class GazeRange:
    """Degrees that eyes may turn from straight ahead, each positive."""

    up_deg: float = 30.0
    down_deg: float = 30.0
    sideways_deg: float = 40.0


_found: LRUCache[GazeRange] = LRUCache(_KEPT_BYTES, lambda _: 64)


def gaze_range(head: Head) -> GazeRange:
    """Measured on the head and kept; the usual one for a head without landmarks."""
    return _found.get((head.sha256, head.landmarks is None), lambda: _measure(head))


def _measure(head: Head) -> GazeRange:
    openings = Openings.of(head)
    if openings is None:
        return GazeRange()
    angles = np.arange(0.0, _MOST_DEG + _STEP_DEG, _STEP_DEG)
    sideways = min(
        float(_azimuths(head, openings, joint).min() - _CORNER_MARGIN_DEG) for joint in _EYES
    )
    up, down = (_vertical(head, openings, angles, sign) for sign in (-1.0, 1.0))
    usual = GazeRange()
    return GazeRange(
        min(up, usual.up_deg), min(down, usual.down_deg), _rounded(sideways, usual.sideways_deg)
    )


def _rounded(angle_deg: float, most_deg: float) -> float:
    return float(np.clip(np.floor(angle_deg / _STEP_DEG) * _STEP_DEG, 2 * _STEP_DEG, most_deg))


def _azimuths(head: Head, openings: Openings, joint: int) -> FloatArray:
    """Of both corners of an eye (2,) seen from its centre, in degrees from straight ahead."""
    first, *_ = marks = list(_EYES[joint])
    corners = openings.neutral[[first, marks[3]]] - head.joint_directions[0][joint].numpy()
    return np.asarray(np.abs(np.degrees(np.arctan2(corners[:, 0], corners[:, 2]))))


def _vertical(head: Head, openings: Openings, angles: FloatArray, sign: float) -> float:
    """How far the eyes look up (-1) or down (1) with the iris' centre between the lids."""
    pose = torch.zeros(len(angles), 15)
    for joint in _EYES:
        pose[:, 3 * joint] = torch.from_numpy(np.radians(sign * angles))
    marks = openings.posed(head, torch.zeros(len(angles), len(head.expression_names)), pose)
    inside = np.ones(len(angles), bool)
    for joint, eye in _EYES.items():
        seen = marks[:, list(eye)] - head.joint_directions[0][joint].numpy()
        flat = np.hypot(seen[..., 0], seen[..., 2])
        elevation = np.degrees(np.arctan2(seen[..., 1], flat))
        centre = -sign * angles
        inside &= (centre < elevation[:, 1:3].max(axis=1)) | (sign > 0)
        inside &= (centre > elevation[:, 4:6].min(axis=1)) | (sign < 0)
    first_outside = len(angles) if inside.all() else int(inside.argmin())
    return float(angles[max(first_outside - 1, 2)])
