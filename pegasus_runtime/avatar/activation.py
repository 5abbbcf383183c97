"""The softplus between layers, with what derivatives need of it.

On a CPU in float32 these are compiled loops, with gradients or without; elsewhere torch's own
operations. Slopes and tangents may be kept in a lower precision than values.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pegasus_runtime import devices

SOFTPLUS_BETA = 100.0


def softplus(values: Tensor) -> Tensor:
    """Softplus (β = 100) of values (N, D); may be differentiated twice."""
    if torch.is_grad_enabled() or not _is_compiled_for(values):
        return softplus_and_slope(values)[0]
    from pegasus_runtime.avatar.softplus_kernel import activate_values

    results = torch.empty_like(values)
    activate_values(values.numpy(), results.numpy())
    return results


def softplus_and_slope(
    values: Tensor, slope_dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """Softplus (β = 100) of values (N, D), and its derivative (N, D) in its own precision."""
    apply: Any = _SoftplusAndSlope.apply
    result: tuple[Tensor, Tensor] = apply(values, slope_dtype or values.dtype)
    return result


def softplus_with_tangents(
    values: Tensor, tangents: Tensor | None, still: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Softplus (β = 100) of values (N, D) and of their tangents, if there are any.

    Tangents are (3, N, D), or (3, 1, D) where they are the same for all; those returned (3, N, D).
    They carry no gradients where they are to be taken as they are, ``still``.
    """
    if tangents is None:
        return softplus(values), None
    if still:
        results, slopes = softplus_and_slope(values, tangents.dtype)
        return results, slopes.detach() * tangents
    if torch.is_grad_enabled() or not _is_compiled_for(values):
        apply: Any = _SoftplusWithTangents.apply
        result: tuple[Tensor, Tensor] = apply(values, tangents)
        return result
    from pegasus_runtime.avatar.bfloat16_kernel import as_numbers
    from pegasus_runtime.avatar.softplus_kernel import activate_with_tangents

    tangents = tangents.contiguous()
    results = torch.empty_like(values)
    scaled = torch.empty((3, *values.shape), dtype=tangents.dtype)
    activate_with_tangents(
        values.numpy(), as_numbers(tangents), results.numpy(), as_numbers(scaled)
    )
    return results, scaled


class _SoftplusAndSlope(torch.autograd.Function):
    """Both at once, and the gradients of both: the slope's own slope is β s (1 − s)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, slope_dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        results, slopes = _evaluate(values, slope_dtype)
        ctx.save_for_backward(values, slopes)
        ctx.set_materialize_grads(False)
        return results, slopes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        of_results, of_slopes = gradients
        values, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():
            # This gradient is to be differentiated in turn, and what was kept knows no graph.
            slopes = torch.sigmoid(values * SOFTPLUS_BETA)
        elif of_results is not None and of_slopes is not None and _is_compiled_for(values):
            return _pull_back(of_results, of_slopes, slopes), None
        slopes, found = slopes.to(values.dtype), None
        if of_results is not None:
            found = of_results * slopes
        if of_slopes is not None:
            bent = of_slopes * SOFTPLUS_BETA * slopes * (1 - slopes)
            found = bent if found is None else found + bent
        return found, None


class _SoftplusWithTangents(torch.autograd.Function):
    """Softplus of values and the matching scale of tangents, with one compact backward."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        results, slopes = _evaluate(values, tangents.dtype)
        ctx.save_for_backward(slopes, tangents)
        return results, slopes * tangents

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        of_results, of_tangents = gradients
        slopes, tangents = ctx.saved_tensors
        if _is_compiled_for(of_results) and tangents.shape[1] > 1:
            return _pull_tangents_back(of_results, of_tangents, slopes, tangents)
        curvature = (of_tangents * tangents).sum(dim=0, dtype=of_results.dtype)
        curvature *= SOFTPLUS_BETA * slopes * (1 - slopes)
        carried = of_tangents * slopes
        if tangents.shape[1] == 1:
            carried = carried.sum(dim=1, keepdim=True)
        return torch.addcmul(curvature, of_results, slopes.to(of_results.dtype)), carried


def _evaluate(values: Tensor, slope_dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Softplus (N, D) and slope (N, D) of values (N, D)."""
    if not _is_compiled_for(values):
        slopes = torch.sigmoid(values * SOFTPLUS_BETA).to(slope_dtype)
        return torch.nn.functional.softplus(values, beta=SOFTPLUS_BETA), slopes
    from pegasus_runtime.avatar.bfloat16_kernel import as_numbers
    from pegasus_runtime.avatar.softplus_kernel import activate

    results, slopes = torch.empty_like(values), torch.empty_like(values, dtype=slope_dtype)
    activate(values.numpy(), results.numpy(), as_numbers(slopes))
    return results, slopes


def _pull_back(of_results: Tensor, of_slopes: Tensor, slopes: Tensor) -> Tensor:
    from pegasus_runtime.avatar.bfloat16_kernel import as_numbers
    from pegasus_runtime.avatar.softplus_gradient_kernel import pull_back

    of_results, of_slopes = of_results.contiguous(), of_slopes.contiguous()
    found = torch.empty_like(of_results)
    pull_back(of_results.numpy(), as_numbers(of_slopes), as_numbers(slopes), found.numpy())
    return found


def _pull_tangents_back(
    of_results: Tensor, of_tangents: Tensor, slopes: Tensor, tangents: Tensor
) -> tuple[Tensor, Tensor]:
    from pegasus_runtime.avatar.bfloat16_kernel import as_numbers
    from pegasus_runtime.avatar.softplus_gradient_kernel import pull_back_with_tangents

    of_results, of_tangents = of_results.contiguous(), of_tangents.contiguous()
    found, carried = torch.empty_like(of_results), torch.empty_like(of_tangents)
    pull_back_with_tangents(
        of_results.numpy(), as_numbers(of_tangents), as_numbers(slopes),
        as_numbers(tangents.contiguous()), found.numpy(), as_numbers(carried),
    )  # fmt: skip
    return found, carried


def _is_compiled_for(values: Tensor) -> bool:
    return devices.has_loops(values.device) and values.dtype == torch.float32
