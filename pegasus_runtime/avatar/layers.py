"""Layers shared by the avatar's networks, written so that derivatives travel forward.

Every network here is evaluated together with its directional derivatives along x, y and z
(forward-mode tangents, stored direction first: ``(3, N, D)``). They are ordinary tensor
operations: inference needs no autograd, and in training one ordinary backward pass reaches the
parameters through values and derivatives alike.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SOFTPLUS_BETA = 100.0


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


class _SoftplusWithTangents(torch.autograd.Function):
    """Softplus of values and the matching scale of tangents, with one compact backward.

    Autograd's own graph of ``softplus`` and ``sigmoid · tangent`` keeps five tensors and walks
    them one by one; these are the same formulas with the sigmoid kept once.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        slope = torch.sigmoid(values * SOFTPLUS_BETA)
        ctx.save_for_backward(slope, tangents)
        scaled = slope.to(tangents.dtype) * tangents
        return nn.functional.softplus(values, beta=SOFTPLUS_BETA), scaled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        grad_values, grad_tangents = gradients
        slope, tangents = ctx.saved_tensors
        curvature = (grad_tangents * tangents).sum(dim=0, dtype=slope.dtype)
        curvature *= SOFTPLUS_BETA * slope * (1 - slope)
        carried = grad_tangents * slope.to(tangents.dtype)
        if tangents.shape[1] == 1:
            carried = carried.sum(dim=1, keepdim=True)
        return torch.addcmul(curvature, grad_values, slope), carried


def softplus_with_tangents(values: Tensor, tangents: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Softplus (β = 100) of values (N, D) and of their tangents, if there are any.

    Tangents are (3, N, D), or (3, 1, D) where they are the same for all; those returned (3, N, D).
    """
    if tangents is None:
        return softplus(values), None
    if _is_compiled_for(values):
        from pegasus_runtime.avatar.bfloat16_kernel import as_numbers
        from pegasus_runtime.avatar.softplus_kernel import activate_with_tangents

        tangents = tangents.contiguous()
        results = torch.empty_like(values)
        scaled = torch.empty((3, *values.shape), dtype=tangents.dtype)
        activate_with_tangents(
            values.numpy(), as_numbers(tangents), results.numpy(), as_numbers(scaled)
        )
        return results, scaled
    apply: Any = _SoftplusWithTangents.apply
    result: tuple[Tensor, Tensor] = apply(values, tangents)
    return result


def softplus(values: Tensor) -> Tensor:
    """Softplus (β = 100) of values (N, D)."""
    if not _is_compiled_for(values):
        return nn.functional.softplus(values, beta=SOFTPLUS_BETA)
    from pegasus_runtime.avatar.softplus_kernel import activate_values

    results = torch.empty_like(values)
    activate_values(values.numpy(), results.numpy())
    return results


def softplus_and_slope(
    values: Tensor, slope_dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Softplus (β = 100) of values (N, D), and its derivative (N, D) in its own precision."""
    if not _is_compiled_for(values):
        slope = torch.sigmoid(values * SOFTPLUS_BETA).to(slope_dtype)
        return nn.functional.softplus(values, beta=SOFTPLUS_BETA), slope
    from pegasus_runtime.avatar.bfloat16_kernel import as_numbers
    from pegasus_runtime.avatar.softplus_kernel import activate

    results, slopes = torch.empty_like(values), torch.empty_like(values, dtype=slope_dtype)
    activate(values.numpy(), results.numpy(), as_numbers(slopes))
    return results, slopes


def _is_compiled_for(values: Tensor) -> bool:
    """Whether the compiled softplus takes these: no gradients, on the CPU, in float32."""
    return (
        not torch.is_grad_enabled()
        and values.device.type == "cpu"
        and values.dtype == torch.float32
    )


def linear_with_tangents(
    values: Tensor, tangents: Tensor | None, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor | None]:
    """An affine map of values (N, D) and its linear part of tangents (3, N, D).

    Tangents keep their own precision, which may be lower than that of the values.
    """
    mapped = torch.addmm(bias, values, weight.T)
    if tangents is None:
        return mapped, None
    rows = tangents.reshape(-1, tangents.shape[-1])
    return mapped, (rows @ weight.T.to(rows.dtype)).view(3, -1, weight.shape[0])


def map_tangents(tangents: Tensor, weight: Tensor) -> Tensor:
    """A linear map (M, D) of tangents (3, N, D): (3, N, M) in the precision of the map."""
    mapped: Tensor = tangents @ weight.T.to(tangents.dtype)
    return mapped.to(weight.dtype)


def lowered(dtype: torch.dtype, tangents: torch.dtype) -> torch.dtype:
    """The type of tangents beside values of a type: lower than theirs, or theirs."""
    return dtype if tangents == torch.float32 else tangents
