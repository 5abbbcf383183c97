"""No surfel lies outside the outline of the person, whether or not it is seen there.

A picture alone does not say so: a flake of hair half a head behind the hair is right from behind,
and from its side, where the outline shows that it is wrong, it is too thin to be seen.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MARGIN = 0.01
"""of the picture's side, around the outline; less pulls at hair beyond a tight mask, more leaves
flakes there"""


def outline_loss(projected: Tensor, opacity: Tensor, mask: NDArray[np.uint8]) -> Tensor:
    """How far surfels lie outside of the outline, by their opacities.

    Args:
        projected: (N, 3) their centres, in normalised device coordinates.
        opacity: (N,) 0..1.
        mask: (H, W) 0..255, of the person.

    Returns:
        Sum of the distances in pixels, by opacity, over the number of pixels: moving a surfel
        by one pixel then counts about as much as what it shows there.
    """
    height, width = mask.shape
    distance = cv2.distanceTransform((mask < 128).astype(np.uint8), cv2.DIST_L2, 5)
    beyond = torch.from_numpy(distance).to(projected) - _MARGIN * height
    # Beyond the picture nothing is known: zeros there.
    found = torch.nn.functional.grid_sample(
        beyond.clamp_min(0)[None, None], -projected[None, None, :, :2], align_corners=False
    )
    total: Tensor = (opacity.view(-1) * found.view(-1)).sum() / (height * width)
    return total
