"""What the rasteriser's public functions ask of their arguments."""

from __future__ import annotations

import sys

import torch

from pegasus_runtime.camera import check_image_size
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.limits import check_number


def check_points(points: torch.Tensor) -> None:
    """Refuse what is not (N, 3) floating point."""
    if not _is_floats(points) or points.ndim != 2 or points.shape[1] != 3:
        raise InvalidInput(f"points: {_described(points)}; give (N, 3) floating point.")


def check_features(features: torch.Tensor, num_points: int) -> None:
    """Refuse what is not one row of floating point a point."""
    if not _is_floats(features) or features.ndim != 2 or len(features) != num_points:
        raise InvalidInput(
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
        if not _is_floats(values) or values.shape != shape:
            raise InvalidInput(f"{name}: {_described(values)}; give {shape} floating point.")
        if values.device != device:
            raise InvalidInput(
                f"{name}: on {values.device}, the points on {device}; give one device."
            )


def checked_image_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Height and width as whole numbers; refuse what is not a size."""
    return check_image_size(image_size, "image_size")


def checked_radius(radius: float) -> float:
    """A radius as a float; refuse what is none."""
    return check_number("radius", radius, sys.float_info.min, sys.float_info.max, " in NDC")


def _is_floats(values: object) -> bool:
    return isinstance(values, torch.Tensor) and values.is_floating_point()


def _described(tensor: object) -> str:
    if not isinstance(tensor, torch.Tensor):
        return f"{quoted(tensor)} is not a tensor"
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"the shape is {tuple(tensor.shape)} and the type {kind}"
