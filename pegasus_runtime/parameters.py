"""What a user chooses about a face: expression, pose, shape and attributes."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput, quoted

NUM_EXPRESSIONS, NUM_IDENTITIES = 50, 100
"""Directions of expression and of identity in a head; every array of coefficients has as many."""
POSE_JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
NUM_POSE = 3 * len(POSE_JOINTS)
"""Numbers of a pose: an axis-angle for each joint."""
JAW_OPEN_INDEX = 6
"""Place in a pose of the jaw's rotation around x."""
MAX_STRENGTH = 10.0
"""Of an attribute, either way; far beyond 1 it is no longer one that was learned."""
MAX_COEFFICIENT = 100.0
"""Of an expression or a shape, in standard deviations; people have less than 5."""
MAX_ROTATION_RAD = 2 * math.pi
"""Of an axis-angle's components: beyond it a joint has turned all the way round."""
MAX_LATENT = 1_000.0
"""Of a code's numbers: trained ones are near 1, and far larger ones give pictures of NaN."""
FloatArray = npt.NDArray[np.float32]


class AttributeBlend(NamedTuple):
    """An attribute and how much of it: 0 is the source person, 1 the attribute, more is beyond."""

    name: str
    strength: float = 1.0


Choice = str | tuple[str, float]
"""What is worn of one category: a name, or an `AttributeBlend`, which a plain pair also is."""


def _zeros(size: int) -> Any:
    return field(default_factory=lambda: np.zeros(size, np.float32))


@dataclass
class Parameters:
    """The state of a face; zeros and no attributes are the neutral source person."""

    expression: FloatArray = _zeros(NUM_EXPRESSIONS)
    """(50,) coefficients of the head's expression directions"""
    pose: FloatArray = _zeros(NUM_POSE)
    """(15,) axis-angle in radians: root, neck, jaw, left eye, right eye"""
    shape: FloatArray = _zeros(NUM_IDENTITIES)
    """(100,) coefficients of the head's identity directions"""
    attributes: dict[str, Choice] = field(default_factory=dict)
    """category → attribute name, or `AttributeBlend`: name and strength"""
    latent: FloatArray | None = None
    """(369,) latent code; wins over attributes when set"""

    def copy(self) -> Parameters:
        """An independent copy."""
        return copy.deepcopy(self)

    def checked(self, latent_size: int) -> Parameters:
        """The same with arrays of the right type.

        Raises:
            InvalidInput: an array has the wrong length, or a number that is not finite or larger
                than makes sense.
        """
        latent = self.latent
        return Parameters(
            expression=_vector("expression", self.expression, NUM_EXPRESSIONS, MAX_COEFFICIENT),
            pose=_vector("pose", self.pose, NUM_POSE, MAX_ROTATION_RAD),
            shape=_vector("shape", self.shape, NUM_IDENTITIES, MAX_COEFFICIENT),
            attributes=self.attributes,
            latent=None if latent is None else _vector("latent", latent, latent_size, MAX_LATENT),
        )


def _vector(name: str, value: Any, size: int, limit: float) -> FloatArray:
    try:
        given = value.detach().cpu() if hasattr(value, "detach") else value
        array = np.asarray(given)
        if array.dtype.kind not in "iuf":
            raise TypeError
        with np.errstate(over="ignore"):
            vector = array.astype(np.float32).reshape(-1)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InvalidInput(f"{name} {quoted(value)}: expected {size} numbers.") from None
    if vector.shape != (size,):
        raise InvalidInput(f"{name}: expected {size} numbers, got {_found(array)}.")
    # NaN is not within limits either.
    fits = np.abs(vector) <= limit
    if not fits.all():
        index = int(np.argmin(fits))
        raise InvalidInput(
            f"{name}: number {index} is {vector[index]:g}; use one from {-limit:.4g} to "
            f"{limit:.4g}."
        )
    return vector


def _found(array: npt.NDArray[Any]) -> str:
    shape = " × ".join(map(str, array.shape))
    if array.ndim >= 2 and array.shape[-2:] in ((3, 3), (4, 4)):
        return f"matrices of shape {shape}; give axis-angle in radians, three numbers a joint"
    return f"{array.size}" if array.ndim <= 1 else f"shape {shape}"
