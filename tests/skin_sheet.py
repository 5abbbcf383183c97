"""A square of skin with networks that can be read off: for what is done to a finished avatar."""

from __future__ import annotations

from dataclasses import replace

import torch

import pegasus_runtime as pr

SIDE = 24


def skin_sheet() -> pr.Avatar:
    """A square of skin, the right half of which the first expression draws apart to the right."""
    sizes = pr.NetworkSizes(
        num_frequencies=0, geometry_width=16, geometry_depth=2, geometry_skip=0,
        deformer_width=8, deformer_depth=1, shading_width=8,
    )  # fmt: skip
    head = pr.load_free_head()
    along = torch.linspace(-0.1, 0.1, SIDE)
    points = torch.stack(torch.meshgrid(along, along, torch.zeros(1), indexing="ij"), dim=-1)
    avatar = pr.initial_avatar(head, points.reshape(-1, 3), 0.07, sizes=sizes)
    avatar = replace(avatar, moves_points=False, canonical_expression=torch.zeros(50))
    deformer = avatar.networks.deformer
    with torch.no_grad():
        for parameter in (*deformer.parameters(), *avatar.networks.geometry.parameters()):
            parameter.zero_()
        # One unit is x where x is positive; every point rides on the ghost bone.
        read_one(deformer.layers[0], 0)
        read_nothing(deformer.skinning_hidden)
        deformer.skinning.bias[0] = 10.0
        deformer.blendshapes.weight[36 * 3, 0] = 1.0
        # The distance is that from a plane, and the colour is one everywhere.
        first, second = avatar.networks.geometry.layers
        read_one(first, 2)
        read_one(second, 0)
        first.bias[0] = second.bias[0] = 1.0
        read_one(avatar.networks.geometry.output, 0)
        read_nothing(avatar.networks.geometry.segmentation)
    return avatar


def read_nothing(layer: torch.nn.Module) -> None:
    layer.weight_v.fill_(1.0)  # type: ignore[operator]


def read_one(layer: torch.nn.Module, column: int) -> None:
    """The first unit is one number of the input, and the others are nothing."""
    read_nothing(layer)
    layer.weight_v[0], layer.weight_g[0] = 0.0, 1.0  # type: ignore[operator]
    layer.weight_v[0, column] = 1.0  # type: ignore[operator]
