"""What the render thread is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from app.state.face import Face
from app.state.view import View
from pegasus_runtime.export.display import AnyPixels, Pixels


def on_host(pixels: AnyPixels) -> Pixels:
    """Pixels as an array; those that lie on a device are copied."""
    return pixels if isinstance(pixels, np.ndarray) else pixels.cpu().numpy()


def middle_square(pixels: Pixels) -> Pixels:
    """The middle of a picture, as wide as high."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


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

    pixels: AnyPixels
    """(H, W, 4) premultiplied RGBA; on the device, if one has drawn them"""
    request: RenderRequest
    is_draft: bool
    """True for a quick one while the user drags; a full one follows"""
    seconds: float
    num_points: int
