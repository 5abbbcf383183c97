"""What a user chooses about a face: expression, pose, shape and attributes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import Refused

POSE_JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
FloatArray = npt.NDArray[np.float32]


def _zeros(size: int) -> Any:
    return field(default_factory=lambda: np.zeros(size, np.float32))


@dataclass
class Parameters:
    """The state of a face; zeros and no attributes are the neutral source person."""

    expression: FloatArray = _zeros(50)
    """(50,) coefficients of the head's expression directions"""
    pose: FloatArray = _zeros(15)
    """(15,) axis-angle in radians: root, neck, jaw, left eye, right eye"""
    shape: FloatArray = _zeros(100)
    """(100,) coefficients of the head's identity directions"""
    attributes: dict[str, Any] = field(default_factory=dict)
    """category → attribute name, (name, strength) or `AttributeBlend`"""
    latent: FloatArray | None = None
    """(369,) latent code; wins over attributes when set"""

    def copy(self) -> Parameters:
        """An independent copy."""
        return copy.deepcopy(self)

    def checked(self, latent_size: int) -> Parameters:
        """The same with arrays of the right type.

        Raises:
            Refused: an array has the wrong length or a number that is not finite.
        """
        return Parameters(
            expression=_vector("expression", self.expression, 50),
            pose=_vector("pose", self.pose, 15),
            shape=_vector("shape", self.shape, 100),
            attributes=self.attributes,
            latent=None if self.latent is None else _vector("latent", self.latent, latent_size),
        )


def _vector(name: str, value: Any, size: int) -> FloatArray:
    try:
        vector = np.asarray(value, dtype=np.float32).reshape(-1)
    except (TypeError, ValueError):
        raise Refused(f"{name}: expected {size} numbers.") from None
    if vector.shape != (size,):
        raise Refused(f"{name}: expected {size} numbers, got {vector.size}.")
    if not np.isfinite(vector).all():
        raise Refused(f"{name}: number {int(np.argmin(np.isfinite(vector)))} is not finite.")
    return vector
