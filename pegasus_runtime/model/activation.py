"""The softplus between layers, with what derivatives need of it."""

from __future__ import annotations

import torch
from torch import Tensor

SOFTPLUS_BETA = 100.0


def softplus(values: Tensor) -> Tensor:
    """Softplus (β = 100) of values."""
    return torch.nn.functional.softplus(values, beta=SOFTPLUS_BETA)


def softplus_slope(values: Tensor) -> Tensor:
    """The softplus' derivative at values."""
    return torch.sigmoid(values * SOFTPLUS_BETA)
