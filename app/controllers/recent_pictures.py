"""Small pictures of the files that were open lately, kept on disk."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from app.rendering.request import Pixels, middle_square
from app.state.app_dirs import cache_folder
from app.state.display import Display
from pegasus_runtime.files import replace_file

SIDE = 192
"""Pixels; more than a tile of the start screen has points, for screens with small pixels."""


def picture_file(path: str | os.PathLike[str]) -> Path:
    """Where the picture of a file is kept; its name never becomes one of ours."""
    name = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:32]
    return cache_folder() / "recent" / f"{name}.png"


def keep_picture(path: Path, pixels: Pixels, display: Display) -> None:
    """Keep the middle of a picture (H, W, 4), premultiplied, over the displayed background."""
    import cv2

    square = middle_square(pixels)
    small = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    behind = display.backdrop().rows((SIDE, SIDE), 0, SIDE) * (255 - small[..., 3:])
    colour = np.clip(small[..., :3] + behind, 0, 255).astype(np.uint8)
    fine, data = cv2.imencode(".png", colour[..., ::-1])
    # Without it the list of recent files shows a name alone.
    with suppress(OSError, ValueError):
        file = picture_file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if fine:
            with replace_file(file) as partial:
                data.tofile(partial)
