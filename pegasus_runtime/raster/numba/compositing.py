"""Blending fragments that are kept, and the gradients of both halves (numba).

Gradients that several pixels send to one point are added up in one table a share of the rows, then
share after share: the same sum on every run with the same number of shares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import njit, parallel_kernel, prange
from pegasus_runtime.raster.numba.binning import Floats, Numbers


@parallel_kernel()
def blend(
    index: Numbers, distance2: Floats, features: Floats, radius: np.float32, image: Floats
) -> None:
    """Write Σ alpha_k Π_{j<k}(1 − alpha_j) feature_k.

    Args: index, distance2 (H, W, K); features (N, C); radius float32; image (H, W, C) out.
    """
    height, width, num_kept = index.shape
    radius2 = radius * radius
    for row in prange(height):
        for column in range(width):
            image[row, column] = 0.0
            through = np.float32(1.0)
            for layer in range(num_kept):
                point = index[row, column, layer]
                if point >= 0:
                    alpha = np.float32(1.0) - distance2[row, column, layer] / radius2
                    weight = alpha * through
                    through *= np.float32(1.0) - alpha
                    for channel in range(features.shape[1]):
                        image[row, column, channel] += weight * features[point, channel]


@parallel_kernel()
def blend_gradients(
    index: Numbers, distance2: Floats, features: Floats, radius: np.float32, grad_image: Floats,
    tables: Floats, grad_distance2: Floats,
) -> None:  # fmt: skip
    """Gradients of `blend`; see `draw_gradients` for the formula.

    Args as `blend`, and grad_image (H, W, C); out tables (shares, N, C) and grad_distance2
    (H, W, K).
    """
    height, width, num_kept = index.shape
    num_shares = len(tables)
    radius2 = radius * radius
    for share in prange(num_shares):
        tables[share] = 0.0
        through = np.empty(num_kept, np.float32)
        for row in range(share, height, num_shares):
            for column in range(width):
                passed = np.float32(1.0)
                for layer in range(num_kept):
                    through[layer] = passed
                    if index[row, column, layer] >= 0:
                        passed *= distance2[row, column, layer] / radius2
                behind = np.float32(0.0)
                for layer in range(num_kept - 1, -1, -1):
                    point = index[row, column, layer]
                    grad_distance2[row, column, layer] = 0.0
                    if point >= 0:
                        alpha = np.float32(1.0) - distance2[row, column, layer] / radius2
                        weight = alpha * through[layer]
                        own = np.float32(0.0)
                        for channel in range(features.shape[1]):
                            upstream = grad_image[row, column, channel]
                            own += upstream * features[point, channel]
                            tables[share, point, channel] += weight * upstream
                        grad_distance2[row, column, layer] = (
                            -through[layer] * (own - behind) / radius2
                        )
                        behind = alpha * own + (np.float32(1.0) - alpha) * behind


@parallel_kernel()
def scatter_distances(
    points: Floats, index: Numbers, x: Floats, y: Floats, grad_distance2: Floats, tables: Floats
) -> None:
    """Send gradients of squared distances to the points' x and y.

    Args: points (N, 3); index, grad_distance2 (H, W, K); x, y NDC centres; out tables
    (shares, N, 3).
    """
    height, width, num_kept = index.shape
    num_shares = len(tables)
    for share in prange(num_shares):
        tables[share] = 0.0
        for row in range(share, height, num_shares):
            for column in range(width):
                for layer in range(num_kept):
                    point = index[row, column, layer]
                    if point >= 0:
                        slope = np.float32(-2.0) * grad_distance2[row, column, layer]
                        tables[share, point, 0] += slope * (x[column] - points[point, 0])
                        tables[share, point, 1] += slope * (y[row] - points[point, 1])


@njit(cache=True, nogil=True)
def mark_visible(
    index: Numbers,
    distance2: Floats,
    radius: np.float32,
    min_weight: np.float32,
    visible: NDArray[np.bool_],
) -> None:
    """Mark points that are first in a pixel or weigh more than ``min_weight`` in one.

    Args: index, distance2 (H, W, K); radius, min_weight float32; visible (N,) out, False on entry.
    """
    height, width, num_kept = index.shape
    radius2 = radius * radius
    for row in range(height):
        for column in range(width):
            through = np.float32(1.0)
            for layer in range(num_kept):
                point = index[row, column, layer]
                # Lists have no gaps, and nothing behind can weigh more than what comes through.
                if point < 0 or through <= min_weight:
                    break
                beyond = distance2[row, column, layer] / radius2
                weight = (np.float32(1.0) - beyond) * through
                through *= beyond
                if layer == 0 or weight > min_weight:
                    visible[point] = True
