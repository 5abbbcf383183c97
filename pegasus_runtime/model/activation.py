"""The softplus between layers, with what derivatives need of it."""

from __future__ import annotations

import torch
from torch import Tensor

SOFTPLUS_BETA = 100.0
"""As in the published program, whose weights are made for it: more is nearer to a ReLU, less
smooths edges away."""


def softplus(values: Tensor) -> Tensor:
    """Softplus (β = 100) of values."""
    return torch.nn.functional.softplus(values, beta=SOFTPLUS_BETA)


def softplus_slope(values: Tensor) -> Tensor:
    """The softplus' derivative at values."""
    return torch.sigmoid(values * SOFTPLUS_BETA)
