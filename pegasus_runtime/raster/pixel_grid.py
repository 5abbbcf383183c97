"""Where the centres of pixels lie in normalised device coordinates (NDC)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

EDGE_MARGIN = 0.01
"""Of a pixel, by which engines look farther than a disc or an ellipse reaches, since the test that
decides is that of distance or q: without it rounding cuts off pixels at the edge, more looks at
more in vain."""


@lru_cache(maxsize=16)
def pixel_centres(
    image_size: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """NDC x of every column and y of every row.

    The shorter side spans [-1, 1]; +x points left and +y up, so both fall with the pixel's number
    (PyTorch3D's convention). Evaluated in float32 in PyTorch3D's order of operations, so that
    a point on the edge of its disc falls on the same side.

    Args:
        image_size: (H, W) in pixels.

    Returns:
        x (W,) and y (H,), float32; shared between callers, not to be written to.
    """
    height, width = image_size
    return _axis(width, height), _axis(height, width)


def axis_span(size: int, other: int) -> np.float32:
    """How long an axis of ``size`` pixels is in NDC, where the other axis has ``other``."""
    return np.float32(2.0 * size / other) if size > other else np.float32(2.0)


def _axis(size: int, other: int) -> NDArray[np.float32]:
    span = axis_span(size, other)
    offset = span / np.float32(2.0)
    number = np.arange(size - 1, -1, -1, dtype=np.float32)
    return (-offset + (span * number + offset) / np.float32(size)).astype(np.float32)
