"""What is seen behind a head, in the viewport, in pictures and in films."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput

Colour = tuple[float, float, float]
GRADIENT_REACH = 0.95
"""Where the second colour is reached, in heights of the picture from its middle. Farther, a corner
does not reach it; nearer, it ends as a ring about the head."""


@dataclass(frozen=True)
class Backdrop:
    """A colour, a gradient or a checker; colours in 0..1."""

    first: Colour
    """in the middle, or of a checker's first squares"""
    second: Colour
    """in the corners, or of a checker's other squares"""
    checker_px: float = 0.0
    """side of a checker's squares; 0 is no checker but a gradient"""

    def __post_init__(self) -> None:
        for colour in (self.first, self.second):
            if len(colour) != 3 or not all(0 <= channel <= 1 for channel in colour):
                raise InvalidInput(f"background {colour}: give three numbers from 0 to 1.")

    @classmethod
    def plain(cls, colour: Colour) -> Backdrop:
        """One colour."""
        return cls(colour, colour)

    def rows(self, image_size: tuple[int, int], first: int, end: int) -> npt.NDArray[np.float32]:
        """Rows of a picture of (height, width), as picture.frag draws them.

        Returns:
            (end - first, W, 3), or (1, 1, 3) where all of them are one colour.
        """
        colours = np.array([self.first, self.second], np.float32)
        if self.first == self.second:
            return colours[:1, None]
        height, width = image_size
        # Rows of OpenGL run upwards.
        up = height - np.arange(first, end, dtype=np.float32)[:, None] - 0.5
        right = np.arange(width, dtype=np.float32)[None] + 0.5
        if self.checker_px:
            share = (right // self.checker_px + up // self.checker_px) % 2
        else:
            away = np.hypot((right / width - 0.5) * (width / height), up / height - 0.5)
            near = np.clip(away / GRADIENT_REACH, 0, 1)
            share = near * near * (3 - 2 * near)
        mixed = colours[0] + share[..., None] * (colours[1] - colours[0])
        return np.asarray(mixed, np.float32)


WHITE = Backdrop.plain((1.0, 1.0, 1.0))
