"""Splatting of discs, the rasteriser's public functions: what comes in is checked for an engine.

Conventions (PyTorch3D's): NDC with +x left and +y up, the shorter image side spans [-1, 1]; a
point covers a pixel when its squared NDC distance to the centre is below radius²; alpha of a
fragment is 1 − distance²/radius²; the image is Σ alpha_k Π_{j<k}(1 − alpha_j) feature_k.
Points with z < 0, and points that are not finite, are not drawn.
"""

from __future__ import annotations

import torch

from pegasus_runtime.limits import check_whole
from pegasus_runtime.raster.checks import (
    check_features,
    check_points,
    checked_image_size,
    checked_radius,
)
from pegasus_runtime.raster.engine import choose_engine, load_engine
from pegasus_runtime.raster.fragments import Fragments

POINTS_PER_PIXEL = 10
"""Nearest first: more takes longer and shows what lies behind, less lets holes through where points
are faint."""
MAX_POINTS_PER_PIXEL = 10_000
"""More than any avatar has behind a pixel; a typing error beyond it would take all memory."""


def rasterize(
    points: torch.Tensor,
    image_size: tuple[int, int],
    radius: float,
    points_per_pixel: int = POINTS_PER_PIXEL,
    engine: str = "auto",
) -> Fragments:
    """Find the nearest points at every pixel, front to back, ties by index.

    Args:
        points: (N, 3) NDC x, y and view z.
        image_size: (H, W) in pixels.
        radius: of a point, in NDC.
        points_per_pixel: K, how many are kept.
        engine: "auto", or one of `engine.ENGINES`.

    Returns:
        The fragments; ``distance2`` carries gradients to the points' x and y, z gets none.

    Raises:
        InvalidInput: a shape or value is out of range, or the engine cannot be loaded.
    """
    size, radius = _checked(points, image_size, radius, points_per_pixel)
    name = choose_engine(engine, points.device)
    index, depth, distance2 = load_engine(name).rasterize(points, size, radius, points_per_pixel)
    return Fragments(index, depth, distance2, size, len(points), radius, name)


def composite(
    fragments: Fragments, features: torch.Tensor, radius: float | None = None
) -> torch.Tensor:
    """Blend the features of the fragments front to back.

    Args:
        fragments: as `rasterize` returns them.
        features: (N, C).
        radius: in NDC; the one they were rasterised with when left out.

    Returns:
        (H, W, C), premultiplied: pixels nothing covers are 0. Features of ones give coverage.

    Raises:
        InvalidInput: the features are not one row a point.
    """
    check_features(features, fragments.num_points)
    chosen = fragments.radius if radius is None else checked_radius(radius)
    engine = load_engine(fragments.engine)
    return engine.composite(fragments.index, fragments.distance2, features, chosen)


def render_points(
    points: torch.Tensor,
    features: torch.Tensor,
    *,
    image_size: tuple[int, int],
    radius: float,
    points_per_pixel: int = POINTS_PER_PIXEL,
    engine: str = "auto",
) -> torch.Tensor:
    """`rasterize` and `composite` in one pass, differentiable, without keeping fragments.

    Args:
        points: (N, 3) NDC x, y and view z; gradients reach x and y.
        features: (N, C); gradients reach all.
        image_size: (H, W) in pixels.
        radius: of a point, in NDC.
        points_per_pixel: K, how many are blended.
        engine: as in `rasterize`.

    Returns:
        (H, W, C), premultiplied.

    Raises:
        InvalidInput: a shape or value is out of range, or the engine cannot be loaded.
    """
    size, radius = _checked(points, image_size, radius, points_per_pixel)
    check_features(features, len(points))
    name = choose_engine(engine, points.device)
    return load_engine(name).render(points, features, size, radius, points_per_pixel)


@torch.no_grad()
def render_features(
    points: torch.Tensor,
    features: torch.Tensor,
    image_size: tuple[int, int],
    radius: float,
    points_per_pixel: int = POINTS_PER_PIXEL,
    engine: str = "auto",
) -> torch.Tensor:
    """`render_points` without gradients: what a viewer calls.

    Args, returns and errors as `render_points`.
    """
    return render_points(
        points,
        features,
        image_size=image_size,
        radius=radius,
        points_per_pixel=points_per_pixel,
        engine=engine,
    )


@torch.no_grad()
def visible_points(fragments: Fragments, min_weight: float = 0.5) -> torch.Tensor:
    """Which points are seen: the first in a pixel, or weighing more than ``min_weight`` in one.

    With one half this is the rule by which the training drops points; the weight is
    alpha · Π(1 − alpha in front).

    Returns:
        (N,) bool.
    """
    engine = load_engine(fragments.engine)
    return engine.mark_visible(
        fragments.index,
        fragments.distance2,
        fragments.radius,
        fragments.num_points,
        min_weight,
    )


def _checked(
    points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
) -> tuple[tuple[int, int], float]:
    check_points(points)
    size = checked_image_size(image_size)
    check_whole("points_per_pixel", num_kept, 1, MAX_POINTS_PER_PIXEL)
    return size, checked_radius(radius)
