"""What the rasteriser found at every pixel: a K-buffer, the K nearest points."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Fragments:
    """The nearest points at every pixel, front to back.

    Attributes:
        index: (H, W, K) int32, the point's row in the input; -1 where there is none.
        depth: (H, W, K), the point's view z; -1 where there is none.
        distance2: (H, W, K), squared NDC distance from the pixel's centre to the point, below
            radius²; -1 where there is none. Gradients reach the points' x and y through it.
        image_size: (H, W) in pixels.
        num_points: how many points were given.
        radius: the radius in NDC they were found with.
        engine: the name of the engine that made them, and that blends them.
    """

    index: torch.Tensor
    depth: torch.Tensor
    distance2: torch.Tensor
    image_size: tuple[int, int]
    num_points: int
    radius: float
    engine: str
