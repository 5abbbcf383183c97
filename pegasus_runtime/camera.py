"""A pinhole camera in the conventions of the published model and of PyTorch3D.

``x_view = x_world @ rotation + translation`` with rows as vectors, +X left, +Y up, +Z into the
screen. The intrinsics map to normalised device coordinates in which the shorter image side spans
[-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.devices import is_for_loops
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.limits import check_number

MAX_IMAGE_SIDE = 16384
"""Pixels; no picture for people is larger, and a wrong digit would take all memory."""
MAX_DISTANCE, MAX_TURN_DEG = 1e6, 1e6
"""Beyond them float32 no longer tells the head's points apart, and a turn's degrees are lost."""
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Camera:
    """Where the picture is taken from, and how large it is."""

    rotation: FloatArray
    """(3, 3)"""
    translation: FloatArray
    """(3,)"""
    intrinsics: FloatArray
    """(4, 4), rows [fx 0 cx 0], [0 fy cy 0], [0 0 0 1], [0 0 1 0]"""
    image_size: tuple[int, int]
    """(height, width) in pixels"""

    def __post_init__(self) -> None:
        shapes = {"rotation": (3, 3), "translation": (3,), "intrinsics": (4, 4)}
        for name, shape in shapes.items():
            object.__setattr__(self, name, _array(name, getattr(self, name), shape))
        object.__setattr__(self, "image_size", check_image_size(self.image_size))

    @classmethod
    def orbit(
        cls,
        target: Any,
        distance: float,
        yaw_deg: float = 0.0,
        pitch_deg: float = 0.0,
        fov_deg: float = 20.0,
        image_size: tuple[int, int] = (512, 512),
        roll_deg: float = 0.0,
    ) -> Camera:
        """A camera that looks at ``target`` (3,) from ``distance``.

        Yaw 0 looks at the face, which looks along +z; a positive yaw moves the camera to the
        person's left (+x), a positive pitch upwards. ``fov_deg`` spans the shorter side.
        """
        distance = check_number("camera distance", distance, 1e-6, MAX_DISTANCE)
        fov_deg = check_number("field of view", fov_deg, 1e-3, 179.999, " degrees")
        given = {"yaw": yaw_deg, "pitch": pitch_deg, "roll": roll_deg}
        yaw, pitch, roll = (
            math.radians(check_number(name, angle, -MAX_TURN_DEG, MAX_TURN_DEG, " degrees"))
            for name, angle in given.items()
        )
        target = _array("target", target, (3,))
        away = np.array(
            [math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)]
        )
        left = np.array([-math.cos(yaw), 0.0, math.sin(yaw)])
        up = np.cross(-away, left)
        turned_left = math.cos(roll) * left + math.sin(roll) * up
        turned_up = math.cos(roll) * up - math.sin(roll) * left
        rotation = np.stack([turned_left, turned_up, -away], axis=1)
        translation = -(np.asarray(target, dtype=np.float64) + away * distance) @ rotation
        focal = 1.0 / math.tan(math.radians(fov_deg) / 2)
        return cls(rotation, translation, ndc_intrinsics(focal, focal), image_size)

    @property
    def centre(self) -> FloatArray:
        """The camera's own position (3,) in the world."""
        centre: FloatArray = -(self.rotation @ self.translation)
        return centre

    def project(self, points: Tensor) -> Tensor:
        """Project world points (N, 3) to (N, 3): NDC x, NDC y and view z.

        Points in the plane of the camera get non-finite coordinates, which the rasterisers drop.
        """
        return project(points, *(part.to(points, non_blocking=True) for part in self.tensors))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rotation, translation and intrinsics on the host, as `project` takes them."""
        rotation, translation, intrinsics = (
            torch.tensor(value) for value in (self.rotation, self.translation, self.intrinsics)
        )
        return rotation, translation, intrinsics


def project(points: Tensor, rotation: Tensor, translation: Tensor, intrinsics: Tensor) -> Tensor:
    """`Camera.project` of a camera that is given as tensors, all on one device."""
    if is_for_loops(points):
        import numba

        from pegasus_runtime.cpu.projection import project_points

        projected = torch.empty(len(points), 3)
        project_points(
            points.detach().contiguous().numpy(), rotation.numpy(), translation.numpy(),
            intrinsics.numpy(), numba.get_num_threads(), projected.numpy(),
        )  # fmt: skip
        return projected
    # Rounded as the published program does, for a point on a pixel's edge is in or out by the
    # last bit; but coordinate by coordinate, for operations along rows of three are slow.
    x, y, depth = (rotation.T @ points.T + translation[:, None]).unbind(dim=0)
    left = x * intrinsics[0, 0] / depth + intrinsics[0, 2]
    up = y * intrinsics[1, 1] / depth + intrinsics[1, 2]
    return torch.stack([left, up, depth], dim=1)


def ndc_intrinsics(
    focal_x: float, focal_y: float, centre_x: float = 0.0, centre_y: float = 0.0
) -> FloatArray:
    """The (4, 4) matrix of a pinhole with the given NDC focal lengths and principal point."""
    matrix = np.zeros((4, 4), np.float32)
    matrix[0, 0], matrix[1, 1] = focal_x, focal_y
    matrix[0, 2], matrix[1, 2] = centre_x, centre_y
    matrix[2, 3] = matrix[3, 2] = 1.0
    return matrix


def check_image_size(size: Any, name: str = "picture size") -> tuple[int, int]:
    """A picture's (height, width) as two whole numbers.

    Raises:
        InvalidInput: a side is not a whole number from 1 to 16384.
    """
    try:
        height, width = (int(side) for side in size)
        whole = (height, width) == tuple(size)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"{name} {quoted(size)}: give (height, width) in pixels.") from None
    if not whole or not (1 <= height <= MAX_IMAGE_SIDE and 1 <= width <= MAX_IMAGE_SIDE):
        raise InvalidInput(f"{name} {quoted(size)}: a side is 1 to {MAX_IMAGE_SIDE} pixels.")
    return height, width


def _array(name: str, value: Any, shape: tuple[int, ...]) -> FloatArray:
    try:
        array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
        if array.dtype.kind not in "iuf":
            raise TypeError
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InvalidInput(
            f"camera {name} {quoted(value)}: expected numbers of shape {shape}."
        ) from None
    if array.shape != shape or not np.isfinite(array).all():
        raise InvalidInput(
            f"camera {name}: expected finite numbers of shape {shape}, found "
            f"{quoted(array.tolist()) if array.shape == shape else f'shape {array.shape}'}."
        )
    return np.ascontiguousarray(array)
