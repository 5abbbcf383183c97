"""Frames that a tracker lost: numbers far from those of the subject's other frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

_FEWEST = 5
"""frames of which a median says something; fewer call one of two frames wrong"""
_FAR, _LEAST_SPREAD = 20.0, 0.5
"""In deviations: with less, real grimaces are told as errors; the second keeps a still face from
having no deviation at all."""
_MAD_OF_NORMAL = 1.4826
"""standard deviations in a median absolute deviation"""


class _Tracked(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def expression(self) -> npt.NDArray[np.float32]: ...


def wild_expressions(frames: Sequence[_Tracked]) -> dict[str, str]:
    """Names of frames whose expression lies far from the median, with the reason.

    Far is 20 robust standard deviations (Hampel 1974), and 10 at least: a single one of 4,000,000
    would move the mean, on which every other frame's deformation rests.
    """
    if len(frames) < _FEWEST:
        return {}
    values = np.stack([frame.expression for frame in frames]).astype(np.float64)
    median = np.median(values, axis=0)
    away = np.abs(values - median)
    spread = np.maximum(np.median(away, axis=0) * _MAD_OF_NORMAL, _LEAST_SPREAD)
    wild = {}
    for frame, row in zip(frames, away / spread, strict=True):
        worst = int(row.argmax())
        if row[worst] > _FAR:
            wild[frame.name] = (
                f"expression[{worst}] is {frame.expression[worst]:.4g}, in other frames about "
                f"{median[worst]:.2g}"
            )
    return wild
