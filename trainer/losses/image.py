"""Losses on pictures: colour, coverage, normals and the attribute's region."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.config.training import LossConfig
from trainer.data.images import Pictures

CHANNELS = {"rgb": 3, "normal": 3, "segmentation": 1, "alpha": 1}
"""What is blended into a training picture, in this order."""
_MOST_FAVOUR = 20.0
"""A region that a few pixels show counts at most this much more: more learns an earring's edge and
its noise, less forgets small parts."""


@dataclass
class Targets:
    """A frame's pictures as tensors in 0..1."""

    rgb: Tensor
    """(H, W, 3) over the ground"""
    ground: Tensor
    """(3,) the colour behind the person"""
    mask: Tensor
    """(H, W, 1)"""
    part_mask: Tensor | None
    """(H, W, 1)"""
    normal: Tensor | None
    """(H, W, 3) n · 0.5 + 0.5"""
    pixel_weights: Tensor | None
    """(H, W, 1) how much a pixel counts in the colour loss"""

    def over(self, ground: Tensor) -> Targets:
        """The same over a ground (3,) of another colour."""
        ground = ground.to(self.rgb)
        return replace(self, rgb=self.rgb + (1 - self.mask) * (ground - self.ground), ground=ground)


def make_targets(
    pictures: Pictures,
    part_names: tuple[str, ...],
    config: LossConfig,
    device: torch.device,
) -> Targets:
    """A frame's pictures on a device; the picture is put over white by its matte."""

    def unit(picture: object) -> Tensor | None:
        if picture is None:
            return None
        tensor = torch.as_tensor(picture).to(device).float() / 255
        return tensor if tensor.dim() == 3 else tensor[:, :, None]

    rgb, mask = unit(pictures.image), unit(pictures.mask)
    assert rgb is not None and mask is not None
    part_mask = unit(pictures.part_mask)
    weights = _part_weights(pictures, part_names, config.part_weights, device)
    if part_mask is not None and config.region_share:
        weights = _favour(part_mask, config.region_share, weights)
    return Targets(
        rgb=_over_white(rgb, mask),
        ground=torch.ones(3, device=device),
        mask=mask,
        part_mask=part_mask,
        normal=unit(pictures.normals),
        pixel_weights=weights,
    )


def composite_target(pictures: Pictures) -> npt.NDArray[np.float32]:
    """(H, W, 3) 0..1, a frame's picture over white by its matte."""
    rgb, mask = (torch.from_numpy(each).float() / 255 for each in (pictures.image, pictures.mask))
    return np.asarray(_over_white(rgb, mask[:, :, None]).numpy())


def _over_white(rgb: Tensor, mask: Tensor) -> Tensor:
    return rgb * mask + 1 - mask


def _part_weights(
    pictures: Pictures,
    part_names: tuple[str, ...],
    part_weights: dict[str, float],
    device: torch.device,
) -> Tensor | None:
    if pictures.parts is None or not part_weights:
        return None
    table = torch.ones(256)
    for label, name in enumerate(part_names):
        table[label] = part_weights.get(name, 1.0)
    weights = table[torch.from_numpy(pictures.parts).long()].to(device)
    return weights[:, :, None]


def _favour(region: Tensor, share: float, weights: Tensor | None) -> Tensor:
    """Weights (H, W, 1) of which a region has at least a share, if it can be seen at all."""
    weights = torch.ones_like(region) if weights is None else weights
    inside = (weights * region).sum()
    wanted = share / (1 - share) * (weights.sum() - inside)
    more = (wanted / inside.clamp(min=1.0)).clamp(1.0, _MOST_FAVOUR)
    return weights * (1 + (more - 1) * region)


def image_losses(channels: dict[str, Tensor], targets: Targets) -> dict[str, Tensor]:
    """The losses of a blended picture.

    Args:
        channels: blended, premultiplied (H, W, C) pictures by name as in `CHANNELS`.
        targets: of the frame.
    """
    alpha = channels["alpha"]
    colour = (composite(channels, targets.ground) - targets.rgb).abs()
    if targets.pixel_weights is not None:
        colour = colour * targets.pixel_weights
    losses = {"rgb": colour.mean(), "mask": (alpha - targets.mask).abs().mean()}
    if targets.normal is not None:
        losses["normal"] = _normal_loss(channels["normal"], targets)
    if targets.part_mask is not None:
        losses["segmentation"] = torch.nn.functional.binary_cross_entropy(
            channels["segmentation"].clamp(1e-4, 1 - 1e-4), targets.part_mask.clamp(0, 1)
        )
    return losses


def composite(channels: dict[str, Tensor], ground: Tensor) -> Tensor:
    """The blended colours (H, W, 3) on a ground (3,)."""
    return channels["rgb"] + (1 - channels["alpha"]) * ground


def random_ground(generator: torch.Generator) -> Tensor:
    """A colour (3,) to see a person against.

    Against white alone what is white need not be transparent: hair gets a rim of it, which is seen
    on any other ground.
    """
    return torch.rand(3, generator=generator)


def _normal_loss(normals: Tensor, targets: Targets) -> Tensor:
    """Mean difference inside the attribute's region plus that outside, each by its own area."""
    assert targets.normal is not None
    difference = (normals - targets.normal * targets.mask).abs()
    if targets.part_mask is None:
        return difference.mean()
    total = torch.zeros((), device=normals.device)
    for region in (targets.part_mask, 1 - targets.part_mask):
        total = total + (difference * region).sum() / (3 * region.sum() + 1)
    return total
