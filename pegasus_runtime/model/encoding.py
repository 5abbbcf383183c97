"""Positional encoding of a point, and the way back along its derivatives."""

from __future__ import annotations

import torch
from torch import Tensor


def encode_position(points: Tensor, num_frequencies: int) -> Tensor:
    """Positional encoding [x, sin 2ᵏx, cos 2ᵏx, …] (NeRF, Mildenhall et al. 2020).

    Args:
        points: (N, 3)
        num_frequencies: F, with k = 0..F-1

    Returns:
        (N, 3 + 6F)
    """
    scales = 2.0 ** torch.arange(num_frequencies, device=points.device, dtype=points.dtype)
    angles = points[:, None, :] * scales[:, None]
    waves = torch.stack([torch.sin(angles), torch.cos(angles)], dim=2).flatten(1)
    return torch.cat([points, waves], dim=1)


def through_encoding(gradient: Tensor, encoded: Tensor, num_frequencies: int) -> Tensor:
    """From a gradient along the encoding (N, 3 + 6F) to one along the points (N, 3).

    The derivatives of sin 2ᵏx and cos 2ᵏx are in the encoding itself.
    """
    scales = 2.0 ** torch.arange(num_frequencies, device=encoded.device, dtype=encoded.dtype)
    shape = (len(encoded), num_frequencies, 2, 3)
    waves, slopes = encoded[:, 3:].reshape(shape), gradient[:, 3:].reshape(shape)
    along = slopes[:, :, 0] * waves[:, :, 1] - slopes[:, :, 1] * waves[:, :, 0]
    return gradient[:, :3] + (along * scales[:, None]).sum(dim=1)
