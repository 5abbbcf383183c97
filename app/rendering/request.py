"""What the render thread is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from app.state.face import Face
from app.state.view import View

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RenderRequest:
    """One picture of the document as it was."""

    face: Face
    view: View
    image_size: tuple[int, int]
    """(height, width) in pixels"""
    pass_name: str = "rgb"
    generation: int = field(default=0, compare=False)
    """counts up; an answer older than the newest shown is dropped"""


@dataclass(frozen=True)
class Picture:
    """A finished picture, ready for the graphics card."""

    pixels: Pixels
    """(H, W, 4) premultiplied RGBA"""
    request: RenderRequest
    is_draft: bool
    """True for a quick one while the user drags; a full one follows"""
    seconds: float
    num_points: int
