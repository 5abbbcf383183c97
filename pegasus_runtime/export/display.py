"""How a rendered pass is shown: the viewport, saved pictures and films all have it from here.

1. A frame is rendered with no background, so its colours are premultiplied by alpha.
2. `_shown` makes colour or grey of a pass; depth is the one that needs a formula.
3. The viewport takes `to_pixels` and puts them before its `Backdrop` on the graphics card
   (picture.frag); pictures and films take `to_picture`, which does the same here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.export.backdrop import WHITE, Backdrop
from pegasus_runtime.passes import PASSES

if TYPE_CHECKING:
    from pegasus_runtime.frame import Frame

Pixels = npt.NDArray[np.uint8]
AnyPixels = Pixels | Tensor
_FARTHEST = 0.12
"""How light the farthest depth is drawn, so that it stands out from nothing at all. More leaves
fewer greys for the depth itself."""
_BAND_PIXELS = 1 << 20
"""Pixels that are finished at a time: with more a large still needs a second copy in floats, less
is slower."""


def passes_for(name: str) -> tuple[str, ...]:
    """The passes to render, with no background, for showing one."""
    return ("alpha",) if name == "alpha" else (name, "alpha")


def to_pixels(frame: Frame, name: str) -> AnyPixels:
    """(H, W, 4) premultiplied RGBA of a pass that was rendered with no background.

    They stay on the device that has drawn them, and are finished when this returns.
    """
    image, alpha = _shown(frame, name)
    if not PASSES[name].over_background:
        alpha = torch.ones_like(alpha)
    image = image.expand(-1, -1, 3)
    if not image.is_cuda:
        return _bytes(_joined(image, alpha))
    pixels = torch.cat([image, alpha], dim=2).clamp_(0, 1).mul_(255).add_(0.5).byte()
    # The time a picture takes decides on drafts, and must not end before the picture.
    torch.cuda.current_stream(pixels.device).synchronize()
    return pixels


def to_picture(frame: Frame, name: str = "rgb", backdrop: Backdrop | None = WHITE) -> Pixels:
    """A pass that was rendered with no background, as it is shown.

    Args:
        frame: holds what `passes_for` says.
        name: the pass.
        backdrop: what is behind the head; None keeps the transparency.

    Returns:
        (H, W, 3), or without a backdrop (H, W, 4) with straight alpha.
    """
    image, alpha = _shown(frame, name)
    height, width = image.shape[:2]
    picture = np.empty((height, width, 3 if backdrop is not None else 4), np.uint8)
    step = max(1, _BAND_PIXELS // width)
    for first in range(0, height, step):
        end = min(first + step, height)
        colour, cover = image[first:end], alpha[first:end]
        if backdrop is None:
            straight = (colour / cover.clamp_min(1e-6)).expand(-1, -1, 3)
            values = torch.cat([straight, cover], dim=2)
        elif PASSES[name].over_background:
            behind = torch.from_numpy(backdrop.rows((height, width), first, end)).to(colour)
            values = colour + (1 - cover) * behind
        else:
            values = colour.expand(-1, -1, 3)
        picture[first:end] = _bytes(values.cpu())
    return picture


def over(pixels: Pixels, backdrop: Backdrop) -> Pixels:
    """Premultiplied RGBA (H, W, 4) before a backdrop: (H, W, 3)."""
    values = torch.from_numpy(pixels) / 255
    height, width = pixels.shape[:2]
    behind = torch.from_numpy(backdrop.rows((height, width), 0, height))
    return _bytes(values[..., :3] + (1 - values[..., 3:]) * behind)


def _shown(frame: Frame, name: str) -> tuple[Tensor, Tensor]:
    """Premultiplied colour or grey (H, W, 1 or 3) of a pass, and what it covers (H, W, 1)."""
    alpha = frame.tensor("alpha")
    if name == "alpha":
        return alpha, torch.ones_like(alpha)
    image = frame.tensor(name)
    return (_shade_depth(image, alpha) if name == "depth" else image), alpha


def _shade_depth(depth: Tensor, alpha: Tensor) -> Tensor:
    """Near is bright; premultiplied by alpha."""
    # Nothing here waits for a device: where nothing is seen, far is behind near, and all is dark.
    seen = alpha > 0.5
    near = torch.where(seen, depth, math.inf).amin()
    far = torch.where(seen, depth, -math.inf).amax()
    share = ((far - depth) / (far - near).clamp_min(1e-6)).clamp(0, 1)
    return (_FARTHEST + (1 - _FARTHEST) * share) * alpha


def _bytes(values: Tensor) -> Pixels:
    """Values 0 to 1 (H, W, C) on the host as bytes; what is no number is 0."""
    from pegasus_runtime.cpu.image import to_bytes

    height, width, channels = values.shape
    pixels = np.empty((height, width, channels), np.uint8)
    rows = np.ascontiguousarray(values.numpy(), np.float32).reshape(height, channels * width)
    to_bytes(rows, pixels.reshape(height, channels * width))
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
