"""What every avatar must satisfy, whichever file it came from."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar, PublishedAvatar
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.parameters import MAX_COEFFICIENT

MAX_POINTS = 10_000_000
MAX_DISTANCE = 1e4
"""Of a canonical point from the origin, where a head is about one unit wide."""
MAX_WEIGHT = 1e6
"""Of the networks; larger ones become infinities on the way through the layers."""
MIN_RADIUS, MAX_RADIUS = 1e-9, 2.0
"""Of a point, in NDC, in which a picture is 2 wide."""
MAX_JAW_RAD = math.pi
_PROBES = 16
"""How many points the networks are tried on."""


Checked = TypeVar("Checked", bound=Avatar)


def check_avatar(avatar: Checked) -> Checked:
    """Return the avatar as it is.

    Raises:
        InvalidInput: it holds a number that makes no picture.
    """
    limits = {
        "canonical_expression": (avatar.canonical_expression, MAX_COEFFICIENT),
        "shape": (avatar.shape, MAX_COEFFICIENT),
    }
    modules: dict[str, torch.nn.Module] = {"codes": avatar.codes}
    if isinstance(avatar, PublishedAvatar):
        limits["points"] = avatar.points, MAX_DISTANCE
        modules["networks"] = avatar.networks
    for prefix, module in modules.items():
        limits |= {f"{prefix}.{n}": (t, MAX_WEIGHT) for n, t in module.state_dict().items()}
    for name, (values, limit) in limits.items():
        _check_magnitude(name, values, limit)
    if isinstance(avatar, PublishedAvatar):
        _check_networks(avatar)
    return avatar


def _check_magnitude(name: str, values: Tensor, limit: float) -> None:
    largest = float(values.abs().max()) if values.numel() else 0.0
    if not largest <= limit:
        raise InvalidInput(
            f"{name} of the avatar holds {largest:g}, more than {limit:g} makes no sense; train it "
            "again."
        )


@torch.no_grad()
def _check_networks(avatar: PublishedAvatar) -> None:
    """Refuse networks whose numbers are finite but grow out of bounds from layer to layer."""
    code = avatar.codes.compose()
    points = avatar.points[:: max(1, len(avatar.points) // _PROBES)][:_PROBES].to(code)
    coded = avatar.networks.condition(code)
    deformed, seen = coded.deformer(points), coded.geometry(points)
    found = (
        deformed.hidden, deformed.skinning, coded.deformer.canonical_offset(points), seen.sdf,
        seen.albedo, coded.shading(torch.nn.functional.normalize(points, dim=1)),
    )  # fmt: skip
    if not all(bool(torch.isfinite(values).all()) for values in found):
        raise InvalidInput("its networks give NaN or infinity; train it again.")
