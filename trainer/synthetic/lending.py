"""What one made-up person lends another: subjects such as ``hair_mara`` and ``nose_amara``."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from pegasus_runtime.head import Head
from trainer.data.pairs import worn_by
from trainer.head_regions import SHAPED_BY, lent_shape
from trainer.synthetic.people import Look, people_presets
from trainer.synthetic.skull_radius_map import FloatArray

LENT_CATEGORIES = ("hair", "eyebrows", "eyes", "nose", "mouth", "ears")
"""Hats and glasses are nobody's: their attributes are worn by whoever wants."""


def lent_names() -> tuple[str, ...]:
    """All subjects of that kind."""
    return tuple(f"{c}_{name}" for c, name in product(LENT_CATEGORIES, people_presets()))


def is_lent(name: str) -> bool:
    """Whether a subject wears what a named person lends."""
    category, _, person = name.partition("_")
    return category in LENT_CATEGORIES and person in people_presets()


def with_lent(look: Look, subject: str) -> Look:
    """A person with the hair, brows and eyes of those whom a subject names."""
    for category, lender in _lenders(subject):
        own_brows = look.brow_colour or look.hair_colour
        if category == "hair":
            look = replace(
                look, hair=lender.hair, hair_colour=lender.hair_colour, brow_colour=own_brows
            )
        if category == "eyebrows":
            tone = lender.brow_colour or lender.hair_colour
            look = replace(look, eyebrows=lender.eyebrows, brow_colour=tone)
        if category == "eyes":
            look = replace(look, eyes=lender.eyes, eyelashes=lender.eyelashes)
    return look


def lent_morph(
    head: Head, own: FloatArray, subject: str, points: Tensor, directions: Tensor
) -> Tensor:
    """Displacements (P, 3) of points at rest, by the shapes of parts that a subject's lenders have.

    Args:
        head: the free head.
        own: (100,) the person's identity.
        subject: its name.
        points: (P, 3) on or about the template.
        directions: (P, 3, 100) their identity directions.
    """
    total = torch.zeros_like(points)
    for category, lender in _lenders(subject):
        if category in SHAPED_BY:
            change = torch.from_numpy(lender.identity() - own)
            total = total + lent_shape(head, category, change, points, directions)
    return total


def _lenders(subject: str) -> list[tuple[str, Look]]:
    people = people_presets()
    parted = [name.partition("_") for name in worn_by(subject) if is_lent(name)]
    return [(category, people[person]) for category, _, person in parted]
