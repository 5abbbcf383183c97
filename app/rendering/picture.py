"""From the runtime's passes to pixels one can look at."""

from __future__ import annotations

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

    pixels = torch.empty(*image.shape[:2], 4, dtype=torch.uint8).numpy()
    to_bytes(image.numpy(), alpha.numpy(), pixels)
    return pixels


def _shade_depth(depth: Tensor, alpha: Tensor) -> Tensor:
    """Near is bright; premultiplied by alpha."""
    seen = depth[alpha > 0.5]
    near, far = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
    share = ((far - depth) / max(far - near, 1e-6)).clamp(0, 1)
    return (_FARTHEST + (1 - _FARTHEST) * share) * alpha
