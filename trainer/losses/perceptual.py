"""Perceptual loss, on an image network's features: texture counts although it is a pixel off.

After Johnson et al. 2016, with VGG-19 (Simonyan and Zisserman 2015) in torchvision's layout. Its
weights are 550 MB, so they are an option: a file in the asset folder.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from trainer.losses.weight_files import VGG_FILES, find_weights

_BLOCKS = ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25))
"""numbers of the convolutions, one block between two poolings; compared is what each block gives"""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""of the pictures that the network was trained with"""


class FeatureLoss:
    """Mean difference of two pictures' features over the first four blocks."""

    def __init__(self, weights: dict[str, Tensor], device: torch.device) -> None:
        self._layers = [
            [
                (
                    weights[f"features.{n}.weight"].to(device),
                    weights[f"features.{n}.bias"].to(device),
                )
                for n in block
            ]
            for block in _BLOCKS
        ]
        self._mean = torch.tensor(_MEAN, device=device)
        self._deviation = torch.tensor(_DEVIATION, device=device)

    def __call__(self, picture: Tensor, target: Tensor) -> Tensor:
        """The loss of a picture (H, W, 3) in 0..1; at least 8 pixels wide and high."""
        with torch.no_grad():
            wanted = self._features(target)
        found = self._features(picture)
        differences = [(a - b).abs().mean() for a, b in zip(found, wanted, strict=True)]
        return torch.stack(differences).mean()

    def _features(self, picture: Tensor) -> list[Tensor]:
        values = ((picture - self._mean) / self._deviation).permute(2, 0, 1)[None]
        found = []
        for index, block in enumerate(self._layers):
            if index:
                values = torch.nn.functional.max_pool2d(values, 2)
            for weight, bias in block:
                values = torch.relu(torch.nn.functional.conv2d(values, weight, bias, padding=1))
            found.append(values)
        return found


def find_feature_loss(device: torch.device) -> FeatureLoss | None:
    """The loss, if its weights are in the asset folder.

    Raises:
        InvalidInput: they are there, and are not what they should be.
    """
    found = find_weights(VGG_FILES)
    if found is None:
        return None
    path, weights = found
    try:
        return FeatureLoss(weights, device)
    except KeyError as error:
        raise InvalidInput(f"{path}: has no {error}; take torchvision's vgg19 weights.") from None
