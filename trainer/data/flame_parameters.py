"""The numbers of a parameters file: which lengths are taken, and what is said of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.camera import Camera, ndc_intrinsics
from pegasus_runtime.errors import quoted
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_IDENTITIES

FloatArray = npt.NDArray[np.float32]

_LARGER_EXPRESSION, _LARGER_SHAPE = 100, 300
"""all that FLAME has, most important first; other numbers are not FLAME's or not in its order"""
_LARGEST_COEFFICIENT = 50.0
"""in standard deviations; faces keep within five; less refuses trackers that err, more lets damaged
numbers through"""
_LARGEST_ANGLES = np.repeat([2.1 * np.pi, np.pi, np.pi, np.pi, np.pi], 3)
"""radians of the head and of neck, jaw and eyes; less refuses trackers that count full turns, more
lets degrees through"""
_ORTHONORMAL = 0.05
"""How far a matrix may be from a rotation: trackers that write few digits need it, a shear is
larger."""
_LARGEST_FOCAL = 100.0
"""picture sizes; more would be a telescope, and is a number of pixels"""


def read_expression(value: Any) -> tuple[FloatArray, int]:
    """The first 50 coefficients, and how many there are.

    Raises:
        ValueError: these are no 50 or 100 numbers, or no face has them.
    """
    return _read_coefficients("expression", value, NUM_EXPRESSIONS, _LARGER_EXPRESSION)


def read_shape(value: Any) -> tuple[FloatArray, int]:
    """The first 100 coefficients, and how many there are; ValueError as `read_expression`."""
    return _read_coefficients("shape_params", value, NUM_IDENTITIES, _LARGER_SHAPE)


def read_pose(value: Any) -> FloatArray:
    """(15,) axis-angle, of five rotation matrices too.

    Raises:
        ValueError: it is neither, or no joint of a head turns as far.
    """
    numbers = _read_numbers("pose", value)
    if numbers.shape == (5, 3, 3):
        numbers = _axis_angles(numbers)
    numbers = _drop_outer(numbers)
    if numbers.shape != (15,):
        hint = " (head and jaw? write zeros for neck and eyes)" if numbers.shape == (6,) else ""
        raise ValueError(
            f"pose has {_shape(numbers)} numbers{hint}, wanted are 15: axis-angle of head, neck, "
            "jaw and two eyes"
        )
    if (np.abs(numbers) > _LARGEST_ANGLES).any():
        worst = int(np.argmax(np.abs(numbers) / _LARGEST_ANGLES))
        raise ValueError(f"pose[{worst}] is {numbers[worst]:.4g}, wanted are radians")
    return numbers


def read_intrinsics(value: Any) -> FloatArray:
    """(4,) fx, fy, cx, cy as fractions of the picture's size, of a 3×3 matrix too.

    Raises:
        ValueError: they are in pixels, or no camera has them.
    """
    numbers = _drop_outer(_read_numbers("intrinsics", value))
    if numbers.shape == (3, 3):
        if numbers[2].tolist() != [0, 0, 1]:
            raise ValueError("intrinsics are a 3×3 matrix whose last row is not 0, 0, 1")
        numbers = numbers[[0, 1, 0, 1], [0, 1, 2, 2]]
    if numbers.shape != (4,):
        raise ValueError(f"intrinsics have {_shape(numbers)} numbers, wanted are 4: fx, fy, cx, cy")
    shown = ", ".join(f"{number:.5g}" for number in numbers)
    focal, centre = numbers[:2], numbers[2:]
    if np.abs(focal).max() > _LARGEST_FOCAL:
        raise ValueError(
            f"intrinsics ({shown}) seem to be in pixels; divide them by the picture's width and "
            "height, for wanted are fractions of its size"
        )
    if np.abs(focal).min() < 0.05:
        raise ValueError(f"intrinsics ({shown}) have a focal length of nothing")
    if numbers[1] < 0:
        raise ValueError(f"intrinsics ({shown}) have a negative fy: pictures upside down")
    if np.abs(centre - 0.5).max() > 2:
        raise ValueError(f"intrinsics ({shown}) have their centre far out of the picture")
    return numbers


def read_camera(value: Any, intrinsics: FloatArray, image_size: int) -> Camera:
    """The camera of a frame from a 3×4 or 4×4 matrix.

    Raises:
        ValueError: it is no rotation with a translation, or mirrors the head.
    """
    numbers = _read_numbers("world_mat", value)
    numbers = numbers if numbers.shape in ((3, 4), (4, 4)) else _drop_outer(numbers)
    if numbers.shape in ((12,), (16,)):
        numbers = numbers.reshape(-1, 4)
    if numbers.shape not in ((3, 4), (4, 4)):
        raise ValueError(f"world_mat has {_shape(numbers)} numbers, wanted are 3×4")
    if len(numbers) == 4 and not np.allclose(numbers[3], [0, 0, 0, 1], atol=1e-4):
        turned = "; it is transposed" if np.allclose(numbers[:, 3], [0, 0, 0, 1]) else ""
        raise ValueError(f"world_mat is a 4×4 matrix whose last row is not 0, 0, 0, 1{turned}")
    camera = convert_camera(numbers[:3], intrinsics, image_size)
    _check_rotation(camera.rotation.astype(np.float64))
    return camera


def convert_camera(world_mat: FloatArray, intrinsics: FloatArray, image_size: int) -> Camera:
    """The camera of a frame: OpenCV-like capture convention → PyTorch3D's.

    Args:
        world_mat: (3, 4) as stored.
        intrinsics: (4,) fx, fy, cx, cy as fractions of the picture's size; fx may be negative.
        image_size: side of the square picture.
    """
    matrix = np.array(world_mat, dtype=np.float32)
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    scale_x, centre_x = 2 * fx, -(2 * cx - 1)
    if scale_x < 0:
        scale_x = -scale_x
        matrix[0] = -matrix[0]
    matrix[:, 2] = -matrix[:, 2]
    matrix[2, 3] = -matrix[2, 3]
    camera_intrinsics = ndc_intrinsics(scale_x, 2 * fy, centre_x, -(2 * cy - 1))
    return Camera(matrix[:, :3], matrix[:, 3], camera_intrinsics, (image_size, image_size))


def _check_rotation(rotation: npt.NDArray[np.float64]) -> None:
    square = rotation @ rotation.T
    scale = float(np.sqrt(max(np.trace(square) / 3, 0)))
    if not 1e-6 < scale < 1e6 or np.abs(square / scale**2 - np.eye(3)).max() > _ORTHONORMAL:
        raise ValueError("world_mat (3×4) holds no rotation: its rows are not at right angles")
    if abs(scale - 1) > _ORTHONORMAL:
        raise ValueError(f"world_mat (3×4) is a rotation times {scale:.4g}, wanted is 1")
    if np.linalg.det(rotation) < 0:
        raise ValueError(
            "world_mat (3×4) and the sign of fx mirror the head; negate fx, or an axis of all "
            "cameras"
        )


def _read_coefficients(name: str, value: Any, wanted: int, larger: int) -> tuple[FloatArray, int]:
    numbers = _drop_outer(_read_numbers(name, value))
    if numbers.shape not in ((wanted,), (larger,)):
        raise ValueError(
            f"{name} has {_shape(numbers)} numbers, wanted are {wanted} (or FLAME's {larger}, of "
            "which the first are taken)"
        )
    taken = numbers[:wanted]
    worst = int(np.argmax(np.abs(taken)))
    if abs(taken[worst]) > _LARGEST_COEFFICIENT:
        raise ValueError(f"{name}[{worst}] is {taken[worst]:.4g}, which no face has")
    return taken, len(numbers)


def _read_numbers(name: str, value: Any) -> FloatArray:
    """The value as it is nested; ValueError when it is anything but finite numbers."""
    if value is None:
        raise ValueError(f"{name} is missing")
    try:
        array = np.array(value)
    except (TypeError, ValueError, OverflowError):
        array = np.array(None)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} is not numbers, or rows of them are not as long: {quoted(value)}")
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} is not finite numbers")
    return numbers


def _drop_outer(numbers: FloatArray) -> FloatArray:
    """Without dimensions of one around, which programs for batches write."""
    while numbers.ndim > 1 and len(numbers) == 1:
        numbers = numbers[0]
    return numbers


def _shape(numbers: FloatArray) -> str:
    return "×".join(map(str, numbers.shape)) or "1"


def _axis_angles(matrices: FloatArray) -> FloatArray:
    """(5, 3, 3) → (15,)."""
    import cv2

    for matrix in matrices:
        if np.abs(matrix @ matrix.T - np.eye(3)).max() > _ORTHONORMAL or np.linalg.det(matrix) < 0:
            raise ValueError("pose is 5×3×3 numbers that are no rotations")
    return np.concatenate([cv2.Rodrigues(matrix)[0][:, 0] for matrix in matrices])
