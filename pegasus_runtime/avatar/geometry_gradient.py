"""The signed distance's gradient without a graph: one pass forward, one back.

Forward tangents cost three more passes than the values; the gradient of one number costs one.
Training needs derivatives of the gradient and keeps to tangents; inference comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pegasus_runtime.avatar.layers import lowered, softplus_and_slope

if TYPE_CHECKING:
    from pegasus_runtime.avatar.networks import Geometry, GeometryOutput


def evaluate_with_gradient(geometry: Geometry, points: Tensor, code: Tensor) -> GeometryOutput:
    """What ``geometry(points, code, tangents=True)`` gives, for points (N, 3)."""
    from pegasus_runtime.avatar.networks import encode_position

    local, _ = encode_position(points, geometry.num_frequencies)
    precision = lowered(local.dtype, geometry.tangent_dtype)
    maps = geometry.folded(code)
    values, logits, slopes = local, local, []
    for index, (weight, bias) in enumerate(maps):
        if index and index == geometry.skip:
            values = torch.cat([values, local], dim=1)
        logits = torch.addmm(bias, values, weight.T)
        values, slope = softplus_and_slope(logits, precision)
        slopes.append(slope)
    back = geometry.output.weight[0].to(precision) * slopes[-1]
    skipped: Tensor | float = 0.0
    for index in range(len(maps) - 1, 0, -1):
        back = back @ maps[index][0].to(precision)
        if index == geometry.skip:
            skipped = back[:, -geometry.num_local :]
            back = back[:, : -geometry.num_local]
        back = back * slopes[index - 1]
    encoded = (back @ maps[0][0].to(precision) + skipped).to(local.dtype)
    gradient = _through_encoding(encoded, local, geometry.num_frequencies)
    return geometry.read_out(values, logits, gradient)


def _through_encoding(gradient: Tensor, encoded: Tensor, num_frequencies: int) -> Tensor:
    """From a gradient along the encoding (N, 3 + 6F) to one along the points (N, 3).

    The derivatives of sin 2ᵏx and cos 2ᵏx are in the encoding itself.
    """
    scales = 2.0 ** torch.arange(num_frequencies, device=encoded.device, dtype=encoded.dtype)
    shape = (-1, num_frequencies, 2, 3)
    waves, slopes = encoded[:, 3:].reshape(shape), gradient[:, 3:].reshape(shape)
    along = slopes[:, :, 0] * waves[:, :, 1] - slopes[:, :, 1] * waves[:, :, 0]
    return gradient[:, :3] + (along * scales[:, None]).sum(dim=1)
