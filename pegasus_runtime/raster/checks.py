"""What the rasteriser's public functions ask of their arguments."""

from __future__ import annotations

import math

import torch

from pegasus_runtime.errors import Refused


def check_points(points: torch.Tensor) -> None:
    """Refuse what is not (N, 3) floating point."""
    if points.ndim != 2 or points.shape[1] != 3 or not points.is_floating_point():
        raise Refused(f"points: {_described(points)}; give (N, 3) floating point.")


def check_features(features: torch.Tensor, num_points: int) -> None:
    """Refuse what is not one row of floating point a point."""
    if features.ndim != 2 or len(features) != num_points or not features.is_floating_point():
        raise Refused(
            f"features: {_described(features)}; give ({num_points}, C) floating point, "
            "one row a point."
        )


def check_surfels(
    conics: torch.Tensor, opacities: torch.Tensor, num_points: int, device: torch.device
) -> None:
    """Refuse what is not a conic and an opacity a point, on the device of the points."""
    for name, values, shape in (
        ("conics", conics, (num_points, 3)),
        ("opacities", opacities, (num_points,)),
    ):
        if values.shape != shape or not values.is_floating_point():
            raise Refused(f"{name}: {_described(values)}; give {shape} floating point.")
        if values.device != device:
            raise Refused(f"{name}: on {values.device}, the points on {device}; give one device.")


def checked_image_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Height and width as whole numbers; refuse what is not a size."""
    if len(image_size) != 2 or min(image_size) < 1:
        raise Refused(f"image_size: {tuple(image_size)} is not a size; give (height, width) ≥ 1.")
    return int(image_size[0]), int(image_size[1])


def checked_radius(radius: float) -> float:
    """A radius as a float; refuse what is none."""
    value = float(radius)
    if not math.isfinite(value) or value <= 0.0:
        raise Refused(f"radius: {value} is not a radius; give a positive number in NDC.")
    return value


def _described(tensor: torch.Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"the shape is {tuple(tensor.shape)} and the type {kind}"
