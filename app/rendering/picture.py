"""From the runtime's passes to pixels one can look at."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from app.rendering.request import AnyPixels
from pegasus_runtime.frame import Frame

_FARTHEST = 0.12
"""How dark the farthest depth is drawn, so that it stands out from nothing at all."""


def passes_for(name: str) -> tuple[str, ...]:
    """The passes to render for showing one."""
    return ("alpha",) if name == "alpha" else (name, "alpha")


def to_pixels(frame: Frame, name: str) -> AnyPixels:
    """(H, W, 4) premultiplied RGBA of a pass that was rendered with no background.

    They stay on the device that has drawn them, and are finished when this returns.
    """
    alpha = frame.tensor("alpha")
    image = frame.tensor(name)
    if name == "alpha":
        alpha = torch.ones_like(image)
    elif name == "depth":
        image = _shade_depth(image, alpha)
    image = image.expand(-1, -1, 3)
    if not image.is_cuda:
        return _on_cpu(image, alpha)
    pixels = torch.cat([image, alpha], dim=2).clamp_(0, 1).mul_(255).add_(0.5).byte()
    # The time a picture takes decides on drafts, and must not end before the picture.
    torch.cuda.current_stream(pixels.device).synchronize()
    return pixels


def _on_cpu(image: Tensor, alpha: Tensor) -> AnyPixels:
    from pegasus_runtime.picture_kernel import to_bytes

    height, width = image.shape[:2]
    joined = _joined(image, alpha)
    pixels = np.empty((height, width, 4), np.uint8)
    to_bytes(joined.reshape(height, 4 * width).numpy(), pixels.reshape(height, 4 * width))
    return pixels


def _joined(image: Tensor, alpha: Tensor) -> Tensor:
    """A picture (H, W, 3) and its alpha (H, W, 1) as (H, W, 4), where they lie if they do so."""
    strides = (4 * image.shape[1], 4, 1)
    drawn_together = (
        image.untyped_storage().data_ptr() == alpha.untyped_storage().data_ptr()
        and image.storage_offset() + 3 == alpha.storage_offset()
        and image.stride() == alpha.stride() == strides
    )
    if drawn_together:
        return image.as_strided((*image.shape[:2], 4), strides)
    return torch.cat([image, alpha], dim=2)


def _shade_depth(depth: Tensor, alpha: Tensor) -> Tensor:
    """Near is bright; premultiplied by alpha."""
    # Nothing here waits for a device: where nothing is seen, far is behind near, and all is dark.
    seen = alpha > 0.5
    near = torch.where(seen, depth, math.inf).amin()
    far = torch.where(seen, depth, -math.inf).amax()
    share = ((far - depth) / (far - near).clamp_min(1e-6)).clamp(0, 1)
    return (_FARTHEST + (1 - _FARTHEST) * share) * alpha
