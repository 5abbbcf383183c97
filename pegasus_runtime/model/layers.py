"""Layers shared by the avatar's networks, written so that derivatives travel forward.

Every network here is evaluated together with its directional derivatives along x, y and z
(forward-mode derivatives, JVPs, stored direction first: ``(3, N, D)``). They are ordinary tensor
operations: inference needs no autograd, and in training one ordinary backward pass reaches the
parameters through values and derivatives alike.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightNormLinear(nn.Module):
    """Linear layer with weight ``g · v / ‖v‖`` per output row (Salimans and Kingma 2016).

    The parameter names are those of the published checkpoints.
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        plain = nn.Linear(num_inputs, num_outputs)
        self.weight_v = nn.Parameter(plain.weight.detach().clone())
        self.weight_g = nn.Parameter(plain.weight.detach().norm(dim=1, keepdim=True))
        self.bias = nn.Parameter(plain.bias.detach().clone())
        self._frozen: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """The effective weight (num_outputs, num_inputs)."""
        if self._frozen is not None:
            return self._frozen
        length: Tensor = self.weight_v.norm(dim=1, keepdim=True)
        return self.weight_v * (self.weight_g / length)

    @torch.no_grad()
    def freeze(self) -> None:
        """Work the effective weight out once for all; parameters must not change from now on."""
        self._frozen = None
        self._frozen = self.weight.detach()

    @torch.no_grad()
    def set_weight(self, weight: Tensor, bias: Tensor) -> None:
        """Start from the given effective weight (num_outputs, num_inputs) and bias."""
        self.weight_v.copy_(weight)
        self.weight_g.copy_(weight.norm(dim=1, keepdim=True).clamp_min(1e-12))
        self.bias.copy_(bias)

    def forward(self, values: Tensor) -> Tensor:
        return nn.functional.linear(values, self.weight, self.bias)


Affine = tuple[Tensor, Tensor]
"""weight (M, D) and bias (M,)"""


def fold_code(layer: WeightNormLinear, num_local: int, code: Tensor) -> tuple[Tensor, Tensor]:
    """Fold a code that is the same for all points into a layer's bias.

    Args:
        layer: its inputs are ``num_local`` numbers of the point, then the code.
        num_local: how many leading inputs belong to the point.
        code: (L,) the code, with L + num_local the layer's inputs.

    Returns:
        weight (num_outputs, num_local) and bias (num_outputs,), so that
        ``layer([x, code]) == weight @ x + bias``.
    """
    weight = layer.weight
    return weight[:, :num_local], layer.bias + weight[:, num_local:] @ code


def map_tangents(tangents: Tensor, weight: Tensor) -> Tensor:
    """A linear map (M, D) of tangents (3, N, D): (3, N, M)."""
    rows = tangents.reshape(-1, tangents.shape[-1])
    return (rows @ weight.T).view(3, -1, weight.shape[0])
