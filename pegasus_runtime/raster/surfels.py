"""Splatting of surfels: points that cover an ellipse each, with an opacity of their own.

Conventions as in `api`: NDC with +x left and +y up, the shorter image side spans [-1, 1].
A surfel's ellipse is a conic in pixels, q = a·dx² + 2b·dx·dy + c·dy², where dx is the pixel's
column minus the centre's and dy its row minus the centre's: dx rises to the right and dy downwards,
against NDC. The matrix (a b; b c) is the inverse of the 2 × 2 covariance in pixels.

There its alpha is min(0.99, opacity · exp(−q / 2)), and nothing where q > 9 or alpha < 1/255. Those
of a pixel are blended front to back by the depth of their centres, ties by row, until less than
0.001 passes. All are, not the nearest K as with discs: of 94,000 on a sphere, opacities around 0.8,
512², the 16 nearest leave 5 % of what is covered open (27 dB from the whole picture, 46 dB with 32)
and take 0.9 of the time.

Not drawn, and without gradients, are surfels with z ≤ 0, with anything that is not finite, with an
opacity below 1/255, or whose conic is no ellipse: a, c > 0 and b² < 0.999999·a·c have to hold.
"""

from __future__ import annotations

import torch

from pegasus_runtime.raster.checks import (
    check_features,
    check_points,
    check_surfels,
    checked_image_size,
)
from pegasus_runtime.raster.engine import choose_engine, load_engine


def blend(
    points: torch.Tensor,
    features: torch.Tensor,
    *,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    image_size: tuple[int, int],
    engine: str = "auto",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw surfels front to back until pixels are opaque.

    Args:
        points: (N, 3) NDC x, y and view z of the centres; gradients reach x and y.
        features: (N, C); gradients reach all.
        conics: (N, 3), a, b and c in pixels to the power of −2, see above; gradients reach all.
        opacities: (N,) in 0..1; gradients reach all.
        image_size: (H, W) in pixels.
        engine: "auto", or one of `engine.ENGINES` that draws more than discs.

    Returns:
        The image (H, W, C), premultiplied, and alpha (H, W), how much of each pixel is covered.

    Raises:
        InvalidInput: a shape or type is not as above, or the engine cannot be loaded or has no
            surfels.
    """
    check_points(points)
    check_features(features, len(points))
    check_surfels(conics, opacities, len(points), points.device)
    size = checked_image_size(image_size)
    name = choose_engine(engine, points.device, surfels=True)
    return load_engine(name).blend(points, features, conics, opacities, size)


@torch.no_grad()
def largest_weights(
    points: torch.Tensor,
    *,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    image_size: tuple[int, int],
    engine: str = "auto",
) -> torch.Tensor:
    """How much each surfel is seen: what it weighs in the pixel where it weighs most.

    The weight is alpha · Π(1 − alpha in front); a surfel with 0 could go and the image would stay.

    Args and errors as `blend`.

    Returns:
        (N,), without gradients.
    """
    check_points(points)
    check_surfels(conics, opacities, len(points), points.device)
    size = checked_image_size(image_size)
    name = choose_engine(engine, points.device, surfels=True)
    return load_engine(name).largest_weights(points, conics, opacities, size)
