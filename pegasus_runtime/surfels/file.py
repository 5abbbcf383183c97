"""What an avatar file of version 2 holds: surfels, differences, two small networks and codes.

Arrays of all surfels stand one after another: the source person's, then the own ones of each
attribute in the header's order. Half precision is enough for all but places on the head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from pegasus_runtime.avatar.contents import Contents
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.limits import check_whole
from pegasus_runtime.model.latent import LatentCodes
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_POSE
from pegasus_runtime.surfels.attributes import (
    CHANGED,
    Attribute,
    Difference,
    Wardrobe,
    rest_corners,
    rest_surfels,
)
from pegasus_runtime.surfels.codes import lay_out_codes
from pegasus_runtime.surfels.parts import with_guessed_parts
from pegasus_runtime.surfels.pose import LightNetwork, StateNetwork
from pegasus_runtime.surfels.surfels import LEARNED, NUM_STATES, Surfels

MAX_SURFELS = 4_000_000
"""Many times what avatars have: more only lets a damaged file take memory."""
_PRECISE = ("offset", "barycentric")
_SHAPES: dict[str, tuple[int, ...]] = {
    "triangle": (), "barycentric": (3,), "offset": (3,), "rotation": (3,), "log_radius": (2,),
    "opacity": (), "colour": (3,), "offset_states": (NUM_STATES, 3),
    "colour_states": (NUM_STATES, 3), "opacity_states": (NUM_STATES,),
}  # fmt: skip
_LARGEST = {
    "offset": 4.0, "rotation": 100.0, "log_radius": 16.0, "opacity": 100.0, "colour": 100.0,
    "offset_states": 4.0, "colour_states": 100.0, "opacity_states": 100.0,
}  # fmt: skip
"""A head is one unit high, logits beyond 20 are black or white, and radii of e¹⁶ are not radii:
larger numbers are damage, and would become pictures of NaN."""
FACE = {
    "rest_expression": ("rest.expression", NUM_EXPRESSIONS),
    "rest_pose": ("rest.pose", NUM_POSE),
    "shown_expression": ("shown.expression", NUM_EXPRESSIONS),
}
"""Names and sizes of what a film told of a person's face. Files of earlier programs, and of people
who were not filmed, have none."""
_LARGEST_WEIGHT = 1e3
"""Of the networks; no training comes near, and much larger ones give no numbers."""
_TOLERANCE = 0.01
"""Of barycentric weights, for rounding; with more a damaged file would pass."""


def header_of(wardrobe: Wardrobe) -> dict[str, Any]:
    """What the header says of surfels."""
    return {
        "num_source": len(wardrobe.source),
        "attributes": [
            {"name": a.name, "num_region": len(a.region), "num_own": len(a.own)}
            for a in wardrobe.attributes
        ],
        "num_states": NUM_STATES,
        "part_names": list(PART_NAMES),
    }


def tensors_of(wardrobe: Wardrobe, states: StateNetwork, light: LightNetwork) -> dict[str, Tensor]:
    """The arrays of a file."""
    everything, attributes = wardrobe.everything, wardrobe.attributes
    tensors = {"surfels.triangle": everything.triangle.int(), "surfels.part": everything.part}
    for name in (*LEARNED, "barycentric"):
        values = getattr(everything, name)
        tensors[f"surfels.{name}"] = values if name in _PRECISE else values.half()
    none = torch.zeros(0, dtype=torch.int32)
    tensors["region"] = torch.cat([none, *(a.region.int() for a in attributes)])
    for name in CHANGED:
        empty = torch.zeros(0, *_SHAPES[name])
        parts = [getattr(a.difference, name) for a in attributes]
        tensors[f"difference.{name}"] = torch.cat([empty, *parts]).half()
    if all(a.part is not None for a in attributes):
        parts = [a.part for a in attributes if a.part is not None]
        tensors["difference.part"] = torch.cat([none.byte(), *parts])
    for prefix, module in (("states", states), ("light", light)):
        tensors |= {f"{prefix}.{name}": t for name, t in module.state_dict().items()}
    return tensors


def read_surfels(
    contents: Contents, header: dict[str, Any], head: Head, shape: Tensor, codes: LatentCodes
) -> dict[str, Any]:
    """What a `SurfelAvatar` has beyond other avatars, from a file's header and arrays.

    Args:
        contents: the arrays.
        header: of the file.
        head: the head they are bound to.
        shape: (100,) the person's head shape.
        codes: of the attributes.

    Raises:
        InvalidInput: something is missing, has another shape, or lies outside of what can be drawn.
    """
    counts = _Counts(header)
    total = counts.num_source + sum(counts.num_own)
    if header["num_points"] != total:
        raise InvalidInput(
            f"num_points = {quoted(header['num_points'])}, but it has {total} surfels."
        )
    if tuple(counts.names) != tuple(codes.attribute_names):
        raise InvalidInput("attributes: they are not those of attribute_names.")
    sets = _split(_surfels(contents, total, len(head.faces)), counts.num_source, *counts.num_own)
    attributes = _attributes(counts, contents, sets[1:])
    wardrobe = Wardrobe(sets[0], attributes, rest_corners(head, shape))
    face = {
        name: contents.tensor(key, (size,))
        for name, (key, size) in FACE.items()
        if key in contents.names
    }
    return face | {
        "wardrobe": _with_parts(wardrobe, contents, header, head),
        "states": _fill(StateNetwork, contents, "states."),
        "light": _fill(LightNetwork, contents, "light."),
    }


def _with_parts(
    wardrobe: Wardrobe, contents: Contents, header: dict[str, Any], head: Head
) -> Wardrobe:
    """The same with what each surfel shows; guessed where the file, an older one, does not say."""
    if "surfels.part" not in contents.names:
        return with_guessed_parts(wardrobe, head)
    table = _places_of(header["part_names"])
    part = table[contents.classes("surfels.part", (wardrobe.num_surfels,), len(table)).long()]
    regions: Sequence[Tensor | None] = [None] * len(wardrobe.attributes)
    if "difference.part" in contents.names:
        counts = [len(attribute.region) for attribute in wardrobe.attributes]
        worn = table[contents.classes("difference.part", (sum(counts),), len(table)).long()]
        regions = worn.split(counts)
    return wardrobe.with_parts(part, regions)


def _places_of(names: object) -> Tensor:
    """(C,) uint8, where the names of a file's table are in ours."""
    if not isinstance(names, list) or not all(name in PART_NAMES for name in names):
        raise InvalidInput(f"part_names = {quoted(names)}: expected some of {list(PART_NAMES)}.")
    return torch.tensor([PART_NAMES.index(name) for name in names], dtype=torch.uint8)


class _Counts:
    """How many of everything a header names."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        if header["num_states"] != NUM_STATES:
            raise InvalidInput(
                f"num_states = {quoted(header['num_states'])}: this program knows {NUM_STATES}."
            )
        self.num_source = check_whole("num_source", header["num_source"], 0, MAX_SURFELS)
        rows = header["attributes"]
        self.names = [row["name"] for row in rows]
        self.num_own, self.num_region = (
            [check_whole(key, row[key], 0, MAX_SURFELS) for row in rows]
            for key in ("num_own", "num_region")
        )


def _surfels(contents: Contents, total: int, num_faces: int) -> Surfels:
    triangle = contents.whole("surfels.triangle", (total,))
    if len(triangle) and not (int(triangle.min()) >= 0 and int(triangle.max()) < num_faces):
        strays = triangle[(triangle < 0) | (triangle >= num_faces)]
        raise InvalidInput(
            f"surfels.triangle: names triangle {int(strays[0])}, the head has {num_faces}; it was "
            "trained on another head."
        )
    weights = contents.tensor("surfels.barycentric", (total, 3))
    off = (weights.sum(dim=1) - 1).abs() > _TOLERANCE
    if bool((off | (weights < -_TOLERANCE).any(dim=1)).any()):
        raise InvalidInput("surfels.barycentric: does not sum to 1; get a fresh copy.")
    learned = {name: _array(contents, f"surfels.{name}", total) for name in LEARNED}
    return Surfels(triangle, weights, **learned, part=torch.zeros(total, dtype=torch.uint8))


def _array(contents: Contents, name: str, count: int) -> Tensor:
    """An array of the file, within what can be drawn."""
    kind = name.rpartition(".")[2]
    values, limit = contents.tensor(name, (count, *_SHAPES[kind])), _LARGEST[kind]
    _check_within(name, values, limit)
    return values


def _check_within(name: str, values: Tensor, limit: float) -> None:
    if not bool((values.abs() <= limit).all()):
        raise InvalidInput(
            f"tensor {name} holds numbers that are not within {limit:g}; train it again."
        )


def _split(surfels: Surfels, *counts: int) -> list[Surfels]:
    found, first = [], 0
    for count in counts:
        found.append(surfels.chosen(torch.arange(first, first + count)))
        first += count
    return found


def _attributes(counts: _Counts, contents: Contents, own: list[Surfels]) -> tuple[Attribute, ...]:
    total = sum(counts.num_region)
    region = contents.whole("region", (total,))
    changes = {name: _array(contents, f"difference.{name}", total) for name in CHANGED}
    found, first = [], 0
    for name, count, surfels in zip(counts.names, counts.num_region, own, strict=True):
        span = slice(first, first + count)
        _check_region(name, region[span], counts.num_source)
        difference = Difference(**{n: values[span] for n, values in changes.items()})
        found.append(Attribute(name, region[span], difference, surfels))
        first += count
    return tuple(found)


def _check_region(name: str, region: Tensor, num_source: int) -> None:
    if not len(region):
        return
    rises = bool((region[1:] > region[:-1]).all())
    if not rises or int(region[0]) < 0 or int(region[-1]) >= num_source:
        raise InvalidInput(
            f"region of {quoted(name)}: names surfels that the person does not have."
        )


_Network = TypeVar("_Network", StateNetwork, LightNetwork)


def _fill(make: Callable[[], _Network], contents: Contents, prefix: str) -> _Network:
    with torch.device("meta"):
        network = make()
    contents.fill(network, prefix)
    for name, values in network.state_dict().items():
        _check_within(f"{prefix}{name}", values, _LARGEST_WEIGHT)
    return network.eval().requires_grad_(False)


def in_drawing_order(wardrobe: Wardrobe, codes: LatentCodes) -> Wardrobe:
    """The same with neighbours in a row, and codes laid out; what a training ends with.

    Surfels that are drawn together then lie together in memory, which halves a frame's misses.
    """
    from pegasus_runtime.deform.morton import morton_order

    def order(surfels: Surfels) -> Tensor:
        points, _ = rest_surfels(surfels, wardrobe.rest_corners)
        return morton_order(points) if len(points) else torch.zeros(0, dtype=torch.long)

    own = {attribute.name: order(attribute.own) for attribute in wardrobe.attributes}
    ordered = wardrobe.chosen(order(wardrobe.source), own)
    lay_out_codes(codes, ordered)
    return ordered
