"""The signed distance's gradient written out: one pass forward, one back.

Forward tangents would cost three more passes than the values; the gradient of one number costs one.
Written as ordinary operations it needs no graph, and training can differentiate it in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pegasus_runtime.avatar.activation import softplus_and_slope
from pegasus_runtime.avatar.encoding import encode_position, through_encoding
from pegasus_runtime.avatar.layers import lowered

if TYPE_CHECKING:
    from pegasus_runtime.avatar.networks import Geometry, GeometryOutput


def evaluate_with_gradient(
    geometry: Geometry, points: Tensor, code: Tensor, still: bool
) -> GeometryOutput:
    """What ``geometry(points, code, slope=True, still=still)`` gives, for points (N, 3)."""
    local = encode_position(points, geometry.num_frequencies)
    precision = lowered(local.dtype, geometry.tangent_dtype)
    maps = geometry.folded(code)
    values, logits, slopes = local, local, []
    for index, (weight, bias) in enumerate(maps):
        if index and index == geometry.skip:
            values = torch.cat([values, local], dim=1)
        logits = torch.addmm(bias, values, weight.T)
        values, slope = softplus_and_slope(logits, precision)
        slopes.append(slope)
    with torch.set_grad_enabled(torch.is_grad_enabled() and not still):
        weights = [weight.to(precision) for weight, _ in maps]
        gradient = _go_back(geometry, weights, slopes, local)
    return geometry.read_out(values, logits, gradient)


def _go_back(
    geometry: Geometry, weights: list[Tensor], slopes: list[Tensor], local: Tensor
) -> Tensor:
    """The gradient (N, 3), from the output to the points."""
    back = geometry.output.weight[0].to(slopes[-1].dtype) * slopes[-1]
    skipped: Tensor | float = 0.0
    for index in range(len(weights) - 1, 0, -1):
        back = back @ weights[index]
        if index == geometry.skip:
            skipped = back[:, -geometry.num_local :]
            back = back[:, : -geometry.num_local]
        back = back * slopes[index - 1]
    encoded = (back @ weights[0] + skipped).to(local.dtype)
    return through_encoding(encoded, local, geometry.num_frequencies)
