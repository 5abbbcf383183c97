"""Surfels in plain torch: every ellipse against every pixel. The specification of `blend`.

It works in the dtype of the points, so `torch.autograd.gradcheck` can run on it in float64, and on
any device. Formulas: elliptical splats as in Zwicker et al., "EWA Volume Splatting" (2001), blended
as in Kerbl et al., "3D Gaussian Splatting" (SIGGRAPH 2023), with an edge at three sigma.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from pegasus_runtime.raster.bands import row_bands

LARGEST_ALPHA = 0.99
"""of one surfel in one pixel: something always passes, so that gradients reach what is behind;
nearer to 1 less does, less lets surfaces shine through"""
SMALLEST_ALPHA = 1.0 / 255.0
"""what is fainter is not drawn: no byte of a picture would show it; more of it cuts edges off"""
FARTHEST_Q = 9.0
"""an ellipse ends at three sigma; farther ones take longer for what is hardly seen, nearer ones
show their edge"""
OPAQUE = 1e-3
"""nothing is added to a pixel through which less passes; less takes longer for what no byte shows,
more cuts off what shines through"""
ENTRIES_PER_SURFEL = 8
"""Mean number of tiles an ellipse may lie in before engines make tiles larger: more takes longer to
sort and more memory, fewer longer to draw"""
THINNEST = 1e-6
"""1 − b² / (a · c) of a conic that is an ellipse: more leaves out needles, and less lets through
what rounding to float32 has made (1e-7)"""
_PAIRS_PER_CHUNK = 1 << 23
"""Surfels times pixels at a time: more takes memory, fewer more calls."""


class _Drawn(NamedTuple):
    """The surfels that are drawn, front to back, ties by row; M of them."""

    order: torch.Tensor  # (M,) int64, rows in what was given
    column: torch.Tensor  # (M,) of the centre, in pixels
    row: torch.Tensor  # (M,)
    conics: torch.Tensor  # (M, 3)
    opacities: torch.Tensor  # (M,)
    cut: torch.Tensor  # (M,) the largest q that is drawn


def blend(
    points: torch.Tensor,  # (N, 3)
    features: torch.Tensor,  # (N, C)
    conics: torch.Tensor,  # (N, 3)
    opacities: torch.Tensor,  # (N,)
    image_size: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image (H, W, C) and alpha (H, W); see `engine.Engine`."""
    drawn = _sort(points, conics, opacities, image_size)
    values = features[drawn.order]
    images, alphas = [], []
    for rows in row_bands(image_size, len(values), _PAIRS_PER_CHUNK):
        weight = _weights(drawn, rows, image_size[1])
        images.append(torch.einsum("nhw,nc->hwc", weight, values))
        alphas.append(weight.sum(dim=0))
    return torch.cat(images), torch.cat(alphas)


@torch.no_grad()
def largest_weights(
    points: torch.Tensor,  # (N, 3)
    conics: torch.Tensor,  # (N, 3)
    opacities: torch.Tensor,  # (N,)
    image_size: tuple[int, int],
) -> torch.Tensor:
    """What every surfel weighs in the pixel where it weighs most, (N,); see `engine.Engine`."""
    drawn = _sort(points, conics, opacities, image_size)
    largest = torch.zeros_like(opacities)
    for rows in row_bands(image_size, len(drawn.order), _PAIRS_PER_CHUNK):
        weight = _weights(drawn, rows, image_size[1]).amax(dim=(1, 2))
        largest[drawn.order] = torch.maximum(largest[drawn.order], weight)
    return largest


def _sort(
    points: torch.Tensor,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    image_size: tuple[int, int],
) -> _Drawn:
    is_drawn, cut = find_drawn(points, conics, opacities)
    order = torch.nonzero(is_drawn)[:, 0]
    order = order[torch.sort(points.detach()[order, 2], stable=True).indices]
    column, row = centres_in_pixels(points[order], image_size)
    return _Drawn(order, column, row, conics[order], opacities[order], cut[order])


@torch.no_grad()
def find_drawn(
    points: torch.Tensor, conics: torch.Tensor, opacities: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which surfels are drawn at all, (N,) bool, and up to which q each is, (N,)."""
    a, b, c = conics.unbind(dim=1)
    # Where opacity · exp(−q / 2) falls below the smallest alpha, if that is not beyond the edge.
    cut = (2.0 * torch.log(opacities / SMALLEST_ALPHA)).clamp(max=FARTHEST_Q)
    is_drawn = torch.isfinite(points).all(dim=1) & (points[:, 2] > 0)
    is_drawn &= torch.isfinite(conics).all(dim=1) & (a > 0) & (c > 0)
    # As quotients, for products of what is tiny or huge leave the range of float32.
    is_drawn &= (b / a) * (b / c) < 1.0 - THINNEST
    is_drawn &= torch.isfinite(opacities) & (cut >= 0)
    return is_drawn, cut


def centres_in_pixels(
    points: torch.Tensor, image_size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns and rows of points, (N,) each: NDC fall where columns and rows rise."""
    height, width = image_size
    pixels_per_unit = 0.5 * min(image_size)
    column = 0.5 * (width - 1) - pixels_per_unit * points[:, 0]
    return column, 0.5 * (height - 1) - pixels_per_unit * points[:, 1]


def _weights(drawn: _Drawn, rows: tuple[int, int], width: int) -> torch.Tensor:
    """What every surfel weighs in every pixel of some rows, (M, rows, W)."""
    column = torch.arange(width).to(drawn.column)
    row = torch.arange(*rows).to(drawn.row)
    dx = (column - drawn.column[:, None])[:, None, :]
    dy = (row - drawn.row[:, None])[:, :, None]
    a, b, c = drawn.conics.T[:, :, None, None]
    q = a * dx * dx + 2.0 * b * dx * dy + c * dy * dy
    covers = q <= drawn.cut[:, None, None]
    # Where it does not cover, a zero stands in: no gradient is to come from there.
    falloff = torch.exp(-0.5 * torch.where(covers, q, 0.0))
    alpha = (drawn.opacities[:, None, None] * falloff).clamp(max=LARGEST_ALPHA)
    alpha = torch.where(covers, alpha, 0.0)
    is_open = _passed_before(alpha.detach()) >= OPAQUE
    alpha = torch.where(is_open, alpha, 0.0)
    return alpha * _passed_before(alpha)


def _passed_before(alpha: torch.Tensor) -> torch.Tensor:
    """What passes through all layers in front of each; 1 before the first."""
    passed = torch.cumprod(1.0 - alpha[:-1], dim=0)
    return torch.cat([torch.ones_like(alpha[:1]), passed])
