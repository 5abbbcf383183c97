"""How the networks start before training."""

from __future__ import annotations

import math

import torch
from torch import nn

from pegasus_runtime.avatar.layers import WeightNormLinear
from pegasus_runtime.avatar.networks import AvatarNetworks, Deformer, Geometry

_SPHERE_RADIUS = 0.6


@torch.no_grad()
def initialise(networks: AvatarNetworks) -> None:
    """Start as a sphere's signed distance that no code, expression or pose moves."""
    _initialise_geometry(networks.geometry)
    _initialise_deformer(networks.deformer)


def _initialise_geometry(geometry: Geometry) -> None:
    """Geometric initialisation (SAL, Atzmon and Lipman 2020): the signed distance of a sphere.

    Inputs beyond x, y, z start with no influence, so that neither high frequencies nor the code
    disturb the sphere.
    """
    for index, layer in enumerate(geometry.layers):
        assert isinstance(layer, WeightNormLinear)
        weight = torch.randn_like(layer.weight_v) * math.sqrt(2 / layer.weight_v.shape[0])
        if index == 0:
            weight[:, 3:] = 0
        elif index == geometry.skip:
            local_start = geometry.layers[index - 1].bias.shape[0]
            weight[:, local_start + 3 :] = 0
        layer.set_weight(weight, torch.zeros_like(layer.bias))
    width = geometry.output.weight_v.shape[1]
    weight = torch.randn_like(geometry.output.weight_v) * 1e-4
    weight[0] += math.sqrt(math.pi / width)
    bias = torch.zeros_like(geometry.output.bias)
    bias[0] = -_SPHERE_RADIUS
    geometry.output.set_weight(weight, bias)


def _initialise_deformer(deformer: Deformer) -> None:
    """Small blend directions and offsets: points start where they are and stay there."""
    nn.init.normal_(deformer.blendshapes.weight, std=1e-3)
    nn.init.zeros_(deformer.blendshapes.bias)
    nn.init.zeros_(deformer.offset_hidden.bias)
    nn.init.zeros_(deformer.offset.bias)
