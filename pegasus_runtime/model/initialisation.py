"""How the networks start before training."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pegasus_runtime.model.deformer import NUM_OFFSET_INPUTS, Deformer
from pegasus_runtime.model.geometry import Geometry
from pegasus_runtime.model.layers import WeightNormLinear
from pegasus_runtime.model.networks import AvatarNetworks

_SPHERE_RADIUS = 0.6
"""About the head's own, so that the surface has the shortest way to it."""
_COORDINATE_DEVIATION = 2.0
"""Of the deformer's first layer, for coordinates below one: less makes it hardly depend on the
point."""
_CODE_DEVIATION = 0.3
"""The same for the code: more bends points more from the beginning, less lets attributes part
later."""
_WAVE_DEVIATION = 0.3
"""More begins with more noise in the distance, less learns eyes later."""
_COLOUR_DEVIATION = 0.02
"""More begins with patches of colour, less with one grey."""
_GEOMETRY_CODE_DEVIATION = 0.07
"""More lets codes bend the sphere from the beginning, less lets shapes part later."""


@torch.no_grad()
def initialise(networks: AvatarNetworks, source_code: Tensor) -> None:
    """Start as a sphere's signed distance, still in every expression and pose.

    Other codes than the source person's (L,) move it a little, enough for training to tell them
    apart from the first step on.
    """
    _initialise_geometry(networks.geometry)
    _initialise_deformer(networks.deformer)
    for layer, num_local in (
        (networks.geometry.layers[0], networks.geometry.num_local),
        (networks.deformer.layers[0], 3),
    ):
        assert isinstance(layer, WeightNormLinear)
        layer.bias.sub_(layer.weight[:, num_local:] @ source_code)


def _initialise_geometry(geometry: Geometry) -> None:
    """Geometric initialisation (SAL, Atzmon and Lipman 2020): the signed distance of a sphere.

    High frequencies start with some influence too: from nothing, a small network takes ten times
    as many steps to learn an eye. The rest of the training smooths what they do to the distance.
    """
    for index, layer in enumerate(geometry.layers):
        assert isinstance(layer, WeightNormLinear)
        weight = torch.randn_like(layer.weight_v) * math.sqrt(2 / layer.weight_v.shape[0])
        if index == 0:
            weight[:, 3:] = torch.randn_like(weight[:, 3:]) * _WAVE_DEVIATION
            weight[:, geometry.num_local :].normal_(std=_GEOMETRY_CODE_DEVIATION)
        elif index == geometry.skip:
            previous = geometry.layers[index - 1]
            assert isinstance(previous, WeightNormLinear)
            weight[:, len(previous.bias) + 3 :] = 0
        layer.set_weight(weight, torch.zeros_like(layer.bias))
    width = geometry.output.weight_v.shape[1]
    weight = torch.randn_like(geometry.output.weight_v) * 1e-4
    weight[0] += math.sqrt(math.pi / width)
    weight[1:] = torch.randn_like(weight[1:]) * _COLOUR_DEVIATION
    bias = torch.zeros_like(geometry.output.bias)
    bias[0] = -_SPHERE_RADIUS
    geometry.output.set_weight(weight, bias)


def _initialise_deformer(deformer: Deformer) -> None:
    """Points start where they are; hidden layers start with signals of order one.

    With the library's default weights the signal shrinks about threefold per layer, and the last
    hidden layer of a small deformer would hardly depend on the point any more. These are He's
    weights (He et al. 2015), with the first layer made for coordinates below one.
    """
    for index, layer in enumerate(deformer.layers):
        assert isinstance(layer, WeightNormLinear)
        fan_in = layer.weight_v.shape[1]
        weight = torch.randn_like(layer.weight_v) * math.sqrt(2 / fan_in)
        bias = torch.zeros_like(layer.bias)
        if index == 0:
            weight[:, :3] = torch.randn_like(weight[:, :3]) * _COORDINATE_DEVIATION
            weight[:, 3:] = torch.randn_like(weight[:, 3:]) * _CODE_DEVIATION
            bias.uniform_(-1, 1)
        layer.set_weight(weight, bias)
    inner = deformer.skinning_hidden
    deviation = math.sqrt(2 / inner.weight_v.shape[1])
    inner.set_weight(torch.randn_like(inner.weight_v) * deviation, torch.zeros_like(inner.bias))
    nn.init.normal_(deformer.skinning.weight, std=1e-2)
    nn.init.normal_(deformer.blendshapes.weight, std=1e-3)
    # The offset's three maps in a row would shrink its gradient to nothing: only the last is small.
    rows = deformer.blendshapes.weight[-NUM_OFFSET_INPUTS - 3 : -3]
    nn.init.normal_(rows, std=rows.shape[1] ** -0.5)
    nn.init.normal_(deformer.offset.weight, std=1e-3)
    nn.init.zeros_(deformer.blendshapes.bias)
    nn.init.zeros_(deformer.offset_hidden.bias)
    nn.init.zeros_(deformer.offset.bias)
