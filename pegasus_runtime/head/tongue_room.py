"""How far a jaw has to open for "tongue out": a tongue does not come through closed lips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pegasus_runtime.head.model import Head
from pegasus_runtime.head.openings import FloatArray, Openings
from pegasus_runtime.head.parts import find_parts
from pegasus_runtime.lru_cache import LRUCache

TONGUE_OUT = "tongue out"
_ANGLES_DEG = tuple(float(angle) for angle in range(0, 21, 2))
"""Of the jaw, between which is interpolated: a tongue that needs more is no tongue of the head."""
_BETWEEN = 0.02
"""Units of the head before and behind the lips within which a tongue is between them: more takes in
what hangs down before them, less few vertices."""
_KEPT_BYTES = 1 << 16
"""As in `expression_ranges`."""


@dataclass(frozen=True, eq=False)
class TongueRoom:
    """The jaw's angle over the coefficient of the tongue."""

    index: int
    """of the expression"""
    thickness: float
    """of a tongue that is out by 1, between the lips, in widths of the mouth"""
    gaps: FloatArray
    """(N,) by how much the lips part, in widths of the mouth, growing from 0"""
    angles_rad: FloatArray
    """(N,) of the jaw, growing from 0"""

    def at(self, coefficient: float) -> float:
        """Radians of the jaw that a coefficient needs; 0 for a tongue in the mouth."""
        return float(np.interp(coefficient * self.thickness, self.gaps, self.angles_rad))


_rooms: LRUCache[TongueRoom | None] = LRUCache(_KEPT_BYTES, lambda _: 1024)


def tongue_room(head: Head) -> TongueRoom | None:
    """Measured on the head and kept; None for a head without a tongue that comes out, or without
    landmarks."""
    key = head.sha256, head.landmarks is None, head.part_labels is None
    return _rooms.get(key, lambda: _measure(head))


def _measure(head: Head) -> TongueRoom | None:
    openings, parts = Openings.of(head), find_parts(head)
    names = [name.replace("_", " ") for name in head.expression_names]
    if TONGUE_OUT not in names or openings is None or parts is None:
        return None
    index, angles = names.index(TONGUE_OUT), np.radians(_ANGLES_DEG)
    tongue = parts.on("tongue")
    out = (head.template + head.expression_directions[:, :, index])[tongue].numpy()
    between = out[np.abs(out[:, 2] - openings.lip_depth) < _BETWEEN]
    if not len(between):
        return None
    thickness = float(np.ptp(between[:, 1])) / openings.mouth_width
    gaps = openings.lips_over_jaw(head, angles, torch.zeros(len(names)))
    gaps = np.maximum.accumulate(gaps)
    return TongueRoom(index, thickness, gaps - gaps[0], angles)
