"""Large pictures in bands of rows, so that a still of any size fits in memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

MAX_NUMBERS = 16 * 2**20
"""in the blended picture of one band, all channels: more takes memory, less draws points at the
bands' edges more often"""


def row_bands(
    image_size: tuple[int, int], numbers_per_pixel: int, most: int | None = None
) -> Iterator[tuple[int, int]]:
    """First and end row of every band of a picture (H, W) that has no more numbers than that."""
    height, width = image_size
    step = max(1, (most or MAX_NUMBERS) // max(1, width * numbers_per_pixel))
    for first in range(0, height, step):
        yield first, min(first + step, height)


def move_to_band(
    points: Tensor, radius: float, image_size: tuple[int, int], first_row: int, end_row: int
) -> tuple[Tensor, float]:
    """Points and radius as the picture that is only the rows first_row to end_row sees them.

    NDC are measured in the shorter side, which for a band is another one.

    Args:
        points: (N, 3) NDC x, y and view z in the whole picture.
        radius: NDC, in the whole picture.
        image_size: (H, W) of it.
        first_row: of the band.
        end_row: of the band, exclusive.
    """
    height, width = image_size
    if (first_row, end_row) == (0, height):
        return points, radius
    side = min(height, width)
    band_side = min(end_row - first_row, width)
    scale = side / band_side
    # +y is up: rows below the middle of the picture come nearer to the middle of the band.
    shift = (first_row + end_row - height) / band_side
    moved = torch.stack([points[:, 0] * scale, points[:, 1] * scale + shift, points[:, 2]], dim=1)
    return moved, radius * scale
