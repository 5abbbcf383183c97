"""What "mouth close" has to be to close the lips of an open jaw, its meaning in ARKit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pegasus_runtime.head.model import Head
from pegasus_runtime.head.openings import FloatArray, Openings
from pegasus_runtime.lru_cache import LRUCache

MOUTH_CLOSE = "mouth close"
MOST = 2.0
"""the largest coefficient; a jaw that is wider open keeps its lips apart"""
_ANGLES_DEG = tuple(float(angle) for angle in range(0, 41, 5))
"""Of the jaw, between which is interpolated: finer ones close lips more exactly and take longer
once."""
_KEPT_BYTES = 1 << 16
"""As in `expression_ranges`."""


@dataclass(frozen=True, eq=False)
class MouthClosing:
    """The coefficient that brings the lips together, over the angles of the jaw."""

    index: int
    """of the expression"""
    angles_rad: FloatArray
    """(N,) growing from 0"""
    coefficients: FloatArray
    """(N,) 0 for the closed jaw"""

    def at(self, jaw_rad: float) -> float:
        """What closes the lips at an angle of the jaw, 0 where it is closed."""
        return float(np.interp(jaw_rad, self.angles_rad, self.coefficients))


_closings: LRUCache[MouthClosing | None] = LRUCache(_KEPT_BYTES, lambda _: 1024)


def mouth_closing(head: Head) -> MouthClosing | None:
    """Measured on the head and kept; None for a head without that expression or landmarks."""
    key = head.sha256, head.landmarks is None
    return _closings.get(key, lambda: _measure(head))


def _measure(head: Head) -> MouthClosing | None:
    openings = Openings.of(head)
    names = [name.replace("_", " ") for name in head.expression_names]
    if MOUTH_CLOSE not in names or openings is None:
        return None
    index, angles = names.index(MOUTH_CLOSE), np.radians(_ANGLES_DEG)
    none = torch.zeros(len(names))
    half = none.index_fill(0, torch.tensor([index]), 1.0)
    opened, half_closed = (openings.lips_over_jaw(head, angles, each) for each in (none, half))
    # Lips that touch are round: the landmarks of those at rest lie a little apart.
    needed = (opened - opened[0]) / np.maximum(opened - half_closed, 1e-6)
    return MouthClosing(index, angles, np.clip(needed, 0.0, MOST))
