"""LPIPS: how different two pictures look to people (Zhang et al. 2018, version 0.1, AlexNet).

Features of AlexNet are normalised over channels, their squared differences weighted by channel
with trained weights, averaged over the picture and added up over five layers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from pegasus_runtime.errors import InvalidInput
from trainer.losses.weight_files import ALEXNET_FILES, LPIPS_FILES, find_weights

MIN_SIDE = 35
"""of a picture; a smaller one has no pixel left in the last layers"""
_CONVOLUTIONS = ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1))
"""number in torchvision's AlexNet, stride, padding"""
_POOLED_BEFORE = (3, 6)
_MEAN, _DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""of pictures in -1..1, as the weights were trained"""
_EPSILON = 1e-10
"""As published: against division by nothing; more of it makes faint features count less."""


class PerceptualDistance:
    """LPIPS of two pictures on the CPU; 0 for the same picture."""

    def __init__(self, network: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
        """
        Args:
            network: AlexNet's parameters in torchvision's layout.
            weights: ``lin0.model.1.weight`` … ``lin4.model.1.weight``, (1, C, 1, 1).

        Raises:
            KeyError: one is missing.
        """
        numbers = [number for number, _, _ in _CONVOLUTIONS]
        self._layers = [
            (network[f"features.{n}.weight"], network[f"features.{n}.bias"]) for n in numbers
        ]
        self._weights = [weights[f"lin{i}.model.1.weight"] for i in range(len(numbers))]

    @torch.no_grad()
    def __call__(self, first: Tensor, second: Tensor) -> float:
        """The distance of pictures (H, W, 3) in 0..1, at least `MIN_SIDE` wide and high."""
        features = zip(self._features(first), self._features(second), self._weights, strict=True)
        layers = [((a - b).square() * weight).sum(dim=1).mean() for a, b, weight in features]
        return float(torch.stack(layers).sum())

    def _features(self, picture: Tensor) -> list[Tensor]:
        values = (2 * picture - 1 - torch.tensor(_MEAN)) / torch.tensor(_DEVIATION)
        values = values.permute(2, 0, 1)[None]
        found = []
        for (number, stride, padding), (weight, bias) in zip(
            _CONVOLUTIONS, self._layers, strict=True
        ):
            if number in _POOLED_BEFORE:
                values = max_pool2d(values, 3, 2)
            values = torch.relu(conv2d(values, weight, bias, stride, padding))
            found.append(values / (values.norm(dim=1, keepdim=True) + _EPSILON))
        return found


def find_perceptual_distance() -> PerceptualDistance | None:
    """The measure, if both its files are in the asset folder.

    Raises:
        InvalidInput: one is there, and is not what it should be.
    """
    network, weights = find_weights(ALEXNET_FILES), find_weights(LPIPS_FILES)
    if network is None or weights is None:
        return None
    try:
        return PerceptualDistance(network[1], weights[1])
    except KeyError as error:
        raise InvalidInput(
            f"{network[0]}, {weights[0].name}: have no {error}; take torchvision's alexnet weights "
            "and alex.pth of LPIPS 0.1."
        ) from None
