"""What every avatar must satisfy, whichever file it came from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.limits import check_number, check_whole
from pegasus_runtime.model.networks import AvatarNetworks
from pegasus_runtime.names import check_name
from pegasus_runtime.parameters import MAX_COEFFICIENT, NUM_IDENTITIES

MAX_POINTS = 10_000_000
"""A hundred times what avatars have: more only lets a damaged file take memory."""
MAX_DISTANCE = 1e4
"""Of a canonical point from the origin, where a head is about one unit wide. Less refuses strays
that do no harm, more loses the head beside them."""
MAX_WEIGHT = 1e6
"""Of the networks; larger ones become infinities on the way through the layers."""
MIN_RADIUS, MAX_RADIUS = 1e-9, 2.0
"""Of a point, in NDC, in which a picture is 2 wide."""
MAX_JAW_RAD = math.pi
_PROBES = 16
"""How many points the networks are tried on. More find a network that gives no numbers surer, and
take longer whenever a file is opened."""


def common_facts(header: Mapping[str, Any]) -> dict[str, Any]:
    """What a header alone says of an avatar of either model, of the right kinds."""
    provenance = header["provenance"]
    if not isinstance(provenance, dict):
        raise InvalidInput(f"provenance = {quoted(provenance)}: expected an object.")
    return {"name": check_name("avatar", header["name"]), "provenance": provenance}


def published_facts(header: Mapping[str, Any]) -> dict[str, Any]:
    """What a header alone says of an avatar of the published model, of the right kinds."""
    view_scale, moves = header["view_scale"], header["moves_points"]
    if not isinstance(moves, bool):
        raise InvalidInput(f"moves_points = {quoted(moves)}: expected true or false.")
    return {
        "radius": check_number("radius", header["radius"], MIN_RADIUS, MAX_RADIUS),
        "canonical_jaw_rad": check_number(
            "canonical_jaw_rad", header["canonical_jaw_rad"], -MAX_JAW_RAD, MAX_JAW_RAD
        ),
        "moves_points": moves,
        "points_per_pixel": check_whole("points_per_pixel", header["points_per_pixel"], 1, 150),
        "view_scale": None
        if view_scale is None
        else check_number("view_scale", view_scale, 1e-6, 1e6),
        "store": _store(header.get("store")),
        "canonical_shape": _shape(header.get("canonical_shape")),
    }


def _shape(numbers: Any) -> Tensor | None:
    """Of the head on which points lie; most files have none."""
    if numbers is None:
        return None
    if not isinstance(numbers, list) or len(numbers) != NUM_IDENTITIES:
        raise InvalidInput(f"canonical_shape = {quoted(numbers)}: expected {NUM_IDENTITIES}.")
    return torch.tensor(
        [check_number("canonical_shape", n, -MAX_COEFFICIENT, MAX_COEFFICIENT) for n in numbers]
    )


def _store(corners: Any) -> Tensor | None:
    """The box of points that wait; files from before there was one have none."""
    if corners is None:
        return None
    try:
        low, high = corners
        numbers = [
            [check_number("store", number, -MAX_DISTANCE, MAX_DISTANCE) for number in corner]
            for corner in (low, high)
        ]
        box = torch.tensor(numbers, dtype=torch.float32)
    except (TypeError, ValueError):
        box = torch.zeros(0)
    if box.shape != (2, 3) or not bool((box[0] < box[1]).all()):
        raise InvalidInput(
            f"store = {quoted(corners)} is not the low and the high corner of a box."
        )
    return box


def check_magnitude(name: str, values: Tensor, limit: float) -> None:
    largest = float(values.abs().max()) if values.numel() else 0.0
    if not largest <= limit:
        raise InvalidInput(
            f"{name} of the avatar holds {largest:g}, more than {limit:g} makes no sense; train it "
            "again."
        )


def check_weights(prefix: str, module: torch.nn.Module) -> None:
    """Refuse weights that become infinities."""
    for name, values in module.state_dict().items():
        check_magnitude(f"{prefix}.{name}", values, MAX_WEIGHT)


@torch.no_grad()
def check_networks(networks: AvatarNetworks, code: Tensor, points: Tensor) -> None:
    """Refuse networks whose numbers are finite but grow out of bounds from layer to layer."""
    points = points[:: max(1, len(points) // _PROBES)][:_PROBES].to(code)
    coded = networks.condition(code)
    deformed, seen = coded.deformer(points), coded.geometry(points)
    found = (
        deformed.hidden, deformed.skinning, coded.deformer.canonical_offset(points), seen.sdf,
        seen.albedo, coded.shading(torch.nn.functional.normalize(points, dim=1)),
    )  # fmt: skip
    if not all(bool(torch.isfinite(values).all()) for values in found):
        raise InvalidInput("its networks give NaN or infinity; train it again.")
