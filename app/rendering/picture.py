"""From the runtime's passes to pixels one can look at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.rendering.request import Pixels
from pegasus_runtime.frame import Frame

FloatArray = npt.NDArray[np.float32]
_FARTHEST = 0.12
"""How dark the farthest depth is drawn, so that it stands out from nothing at all."""


def passes_for(name: str) -> tuple[str, ...]:
    """The passes to render for showing one."""
    return ("alpha",) if name == "alpha" else (name, "alpha")


def to_pixels(frame: Frame, name: str) -> Pixels:
    """(H, W, 4) premultiplied RGBA of a pass that was rendered with no background."""
    alpha = frame["alpha"]
    if name == "alpha":
        image, alpha = np.broadcast_to(alpha, (*alpha.shape[:2], 3)), np.ones_like(alpha)
    elif name == "depth":
        image = _shade_depth(frame["depth"], alpha)
    else:
        image = np.broadcast_to(frame[name], (*alpha.shape[:2], 3))
    pixels = np.empty((*alpha.shape[:2], 4), np.uint8)
    pixels[..., :3] = _to_bytes(image)
    pixels[..., 3:] = _to_bytes(alpha)
    return pixels


def _shade_depth(depth: FloatArray, alpha: FloatArray) -> FloatArray:
    """Near is bright; premultiplied by alpha."""
    seen = depth[alpha > 0.5]
    near, far = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    share = np.clip((far - depth) / max(far - near, 1e-6), 0, 1)
    shade = (_FARTHEST + (1 - _FARTHEST) * share) * alpha
    return np.repeat(shade, 3, axis=2).astype(np.float32)


def _to_bytes(image: FloatArray) -> Pixels:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
