"""The CPU engine's surfels: numba on all cores, float32, forward and backward.

Tensors elsewhere or of another type are brought to float32 on the host, and the results go back.
Results are the same bit by bit on every run; gradients are, whatever the number of threads.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch.autograd.function import once_differentiable

from pegasus_runtime.memory import new_picture
from pegasus_runtime.raster.numba.surfel_backward import (
    NUM_SUMS,
    draw_gradients,
    gather_gradients,
)
from pegasus_runtime.raster.numba.surfel_binning import Binned, bin_surfels
from pegasus_runtime.raster.numba.surfel_forward import (
    draw_surfels,
    gather_weights,
    weigh_surfels,
)


def blend(
    points: torch.Tensor,  # (N, 3)
    features: torch.Tensor,  # (N, C)
    conics: torch.Tensor,  # (N, 3)
    opacities: torch.Tensor,  # (N,)
    image_size: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image (H, W, C) and alpha (H, W); see `engine.Engine`."""
    given = [_on_host(tensor) for tensor in (points, features, conics, opacities)]
    function: Any = _Blend
    image, coverage = function.apply(*given, image_size)
    return image.to(features.device), coverage.to(features.device)


def largest_weights(
    points: torch.Tensor,  # (N, 3)
    conics: torch.Tensor,  # (N, 3)
    opacities: torch.Tensor,  # (N,)
    image_size: tuple[int, int],
) -> torch.Tensor:
    """What every surfel weighs in the pixel where it weighs most, (N,); see `engine.Engine`."""
    binned = bin_surfels(_on_host(points), _on_host(conics), _on_host(opacities), image_size)
    entry_weights = np.empty(len(binned.entries), np.float32)
    workers = numba.get_num_threads()
    weigh_surfels(*binned, workers, *image_size, entry_weights)
    weights = torch.empty(len(points))
    gather_weights(binned.entries, entry_weights, workers, weights.numpy())
    return weights.to(opacities.device)


def _on_host(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to("cpu", torch.float32).contiguous()


class _Blend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        points: torch.Tensor,
        features: torch.Tensor,
        conics: torch.Tensor,
        opacities: torch.Tensor,
        image_size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        binned = bin_surfels(points, conics, opacities, image_size)
        image, coverage = new_picture(*image_size, features.shape[1]), new_picture(*image_size)
        draw_surfels(
            *binned, features.numpy(), numba.get_num_threads(), image.numpy(), coverage.numpy()
        )
        ctx.save_for_backward(features, image, coverage)
        ctx.binned = binned
        return image, coverage

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        features, image, coverage = ctx.saved_tensors
        binned: Binned = ctx.binned
        workers = numba.get_num_threads()
        sums = np.empty((len(binned.entries), NUM_SUMS + features.shape[1]), np.float32)
        grad_image, grad_coverage = (gradient.contiguous().numpy() for gradient in gradients)
        draw_gradients(
            *binned, features.numpy(), workers, image.numpy(), coverage.numpy(), grad_image,
            grad_coverage, sums,
        )  # fmt: skip
        count = len(features)
        shapes = (count, 3), features.shape, (count, 3), (count,)
        grads = [torch.empty(shape) for shape in shapes]
        pixels_per_unit = np.float32(0.5 * min(coverage.shape))
        gather_gradients(
            binned.ellipses, binned.entries, sums, pixels_per_unit, workers,
            *(gradient.numpy() for gradient in grads),
        )  # fmt: skip
        return *grads, None
