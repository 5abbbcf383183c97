"""What each surfel shows where no pictures have told it: guessed from its place on the head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import PART_NAMES, find_parts
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.attributes import Wardrobe
from pegasus_runtime.surfels.surfels import Surfels

WORN = {"hair": "hair", "hat": "hat", "eyeglasses": "glasses"}
"""category → what its own surfels show"""
STANDS_OFF, FAR_OFF = 0.012, 0.1
"""Distances from the skin, in units of the head, beyond which a surfel on the scalp and one on any
skin is not the head: less takes thick skin for hair, more takes short hair for skin."""
_CLOTHED = ("neck",)


def is_part(part: Tensor, names: Sequence[str]) -> Tensor:
    """(N,) bool, which of the parts (N,) are among some names."""
    return torch.isin(part, torch.tensor([PART_NAMES.index(name) for name in names]).byte())


def triangle_parts(head: Head) -> Tensor:
    """(F,) uint8 index into `PART_NAMES` of each triangle; skin where nothing tells."""
    parts = find_parts(head)
    if parts is None:
        return torch.zeros(len(head.faces), dtype=torch.uint8)
    known = [PART_NAMES.index(name) if name in PART_NAMES else 0 for name in parts.names]
    return torch.tensor(known, dtype=torch.uint8)[parts.labels[head.faces[:, 0]]]


def guess_parts(surfels: Surfels, head: Head, worn: str = "") -> Tensor:
    """(N,) uint8 index into `PART_NAMES`, from the triangles of surfels and their distance to them.

    Args:
        surfels: N of them.
        head: to which they are bound.
        worn: category of the attribute that brings them.
    """
    if worn in WORN:
        return torch.full((len(surfels),), PART_NAMES.index(WORN[worn]), dtype=torch.uint8)
    part, away = triangle_parts(head)[surfels.triangle], surfels.offset.norm(dim=1)

    is_hair = is_part(part, ["scalp"]) & (away > STANDS_OFF)
    is_hair |= is_part(part, ["skin", "scalp", "ears"]) & (away > FAR_OFF)
    is_clothes = is_part(part, _CLOTHED) & (away > STANDS_OFF)
    for name, found in (("hair", is_hair), ("clothes", is_clothes)):
        part = torch.where(found, PART_NAMES.index(name), part.long()).byte()
    return part


def with_guessed_parts(wardrobe: Wardrobe, head: Head) -> Wardrobe:
    """The same, with a guess of what each surfel shows."""
    own = [guess_parts(a.own, head, category_of(a.name)) for a in wardrobe.attributes]
    part = torch.cat([guess_parts(wardrobe.source, head), *own])
    return wardrobe.with_parts(part, [None] * len(own))
