"""The attributes of the demo: what each changes about a person, painted or made of assets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainer.data.pairs import worn_by

_BROWS, _EYES, _NOSE, _LIPS = 1, 2, 4, 8
"""bits of what is replaced on a painted head itself"""
_FACE_Z = 0.34
"""pushes of the face act on what lies in front of this, not on the inside of the mouth; less bends
teeth and tongue with a nose, more leaves its sides behind"""


@dataclass(frozen=True)
class Bump:
    """A smooth local push of both sides of the head, in head units."""

    centre: tuple[float, float, float]
    """x is on both sides"""
    reach: tuple[float, float, float]
    widen: float = 0.0
    """share of x"""
    up: float = 0.0
    out: float = 0.0
    """along z"""
    grow: float = 0.0
    """share of the distance to ``anchor``"""
    anchor: tuple[float, float, float] = (0.0, 0.0, 0.0)
    behind: float = _FACE_Z
    """what has a smaller z stays"""


@dataclass(frozen=True)
class Attribute:
    """What an attribute changes; the category is in its name."""

    painted: dict[str, Any] = field(default_factory=dict)
    """settings of the painted person's shader"""
    look: dict[str, str] = field(default_factory=dict)
    """fields of a `trainer.synthetic.people.Look`"""
    bumps: tuple[Bump, ...] = ()
    held: dict[str, float] = field(default_factory=dict)
    """expressions that are part of the shape"""
    hair_ends: float | None = None
    """height at which hair is cut, in head units; none: as it was made"""
    needs_assets: bool = False


def _ear(grow: float) -> Bump:
    return Bump(
        (0.33, -0.04, 0.0), (0.075, 0.13, 0.09), grow=grow, anchor=(0.28, -0.05, 0.03), behind=-0.2
    )


ATTRIBUTES: dict[str, Attribute] = {
    # MakeHuman's own bobs cover an eye.
    "hair_bob": Attribute(
        {"hair_colour": (0.62, 0.34, 0.17)},
        {"hair": "long01", "hair_colour": "auburn"},
        hair_ends=-0.36,
    ),
    "hair_curly": Attribute(
        {"hair_colour": (0.21, 0.125, 0.09)}, {"hair": "afro01", "hair_colour": "black"}
    ),
    "hair_long": Attribute(look={"hair": "long01", "hair_colour": "dark brown"}, needs_assets=True),
    "hair_ponytail": Attribute(
        look={"hair": "ponytail01", "hair_colour": "blond"}, needs_assets=True
    ),
    "hat_beanie": Attribute({"hat_colour": (0.72, 0.18, 0.17)}),
    "hat_cap": Attribute({"hat_colour": (0.16, 0.30, 0.58)}),
    "hat_fedora": Attribute(needs_assets=True),
    "eyebrows_thick": Attribute(
        {"brow_colour": (0.07, 0.045, 0.04), "brow_width": 0.021, "replaced": _BROWS},
        {"eyebrows": "eyebrow009"},
    ),
    "eyebrows_thin": Attribute(
        {"brow_width": 0.006, "replaced": _BROWS}, {"eyebrows": "eyebrow006"}
    ),
    "eyebrows_arched": Attribute(look={"eyebrows": "eyebrow003"}, needs_assets=True),
    "eyes_green": Attribute(
        {
            "iris_colour": (0.20, 0.56, 0.27),
            "iris_size": 0.60,
            "lid_shade": 0.9,
            "replaced": _EYES,
        },
        {"eyes": "green"},
    ),
    "eyes_brown": Attribute(
        {"iris_colour": (0.20, 0.10, 0.05), "replaced": _EYES}, {"eyes": "brown"}
    ),
    "eyes_narrow": Attribute(
        {"replaced": _EYES},
        {"eyes": "grey"},
        held={"eye squint left": 0.55, "eye squint right": 0.55},
    ),
    "nose_button": Attribute(
        {"replaced": _NOSE},
        bumps=(
            Bump((0, -0.12, 0.47), (0.055, 0.055, 0.055), 0.2, 0.030, -0.018),
            Bump((0, -0.03, 0.44), (0.05, 0.05, 0.05), 0.0, 0.0, -0.024),
        ),
    ),
    "nose_aquiline": Attribute(
        {"replaced": _NOSE},
        bumps=(
            Bump((0, -0.13, 0.48), (0.05, 0.05, 0.05), -0.12, -0.028, 0.016),
            Bump((0, -0.035, 0.44), (0.042, 0.042, 0.042), 0.0, 0.0, 0.032),
        ),
    ),
    "nose_wide": Attribute(
        {"replaced": _NOSE},
        bumps=(Bump((0, -0.12, 0.45), (0.08, 0.045, 0.06), 0.38, -0.004, -0.010),),
    ),
    "mouth_full": Attribute(
        {"lip_colour": (0.78, 0.20, 0.28), "replaced": _LIPS},
        bumps=(
            Bump((0, -0.222, 0.45), (0.055, 0.022, 0.055), 0.1, 0.010, 0.022),
            Bump((0, -0.290, 0.43), (0.055, 0.026, 0.055), 0.1, -0.012, 0.026),
        ),
    ),
    "mouth_thin": Attribute(
        {"replaced": _LIPS},
        bumps=(
            Bump((0, -0.222, 0.45), (0.07, 0.020, 0.055), 0.0, -0.007, -0.012),
            Bump((0, -0.290, 0.43), (0.07, 0.024, 0.055), 0.0, 0.009, -0.014),
        ),
    ),
    "mouth_wide": Attribute(
        {"replaced": _LIPS},
        bumps=(Bump((0.085, -0.255, 0.40), (0.05, 0.035, 0.06), 0.24, 0.006, -0.004),),
    ),
    "ears_large": Attribute(bumps=(_ear(0.38),)),
    "ears_small": Attribute(bumps=(_ear(-0.28),)),
    "ears_pointed": Attribute(
        bumps=(Bump((0.35, 0.065, -0.03), (0.03, 0.035, 0.05), 0.03, 0.085, -0.03, behind=-0.2),)
    ),
    "eyeglasses_round": Attribute(),
    "eyeglasses_square": Attribute(),
}
# The person who wears nothing: what attributes change has to differ from it enough to be seen.
_BASE: dict[str, Any] = {
    "brow_colour": (0.20, 0.115, 0.075),
    "brow_width": 0.0125,
    "lip_colour": (0.76, 0.34, 0.35),
    "lid_shade": 0.35,
    "iris_colour": (0.42, 0.25, 0.12),
    "iris_size": 0.52,
    "hair_colour": (0.34, 0.205, 0.125),
    "hat_colour": (0.5, 0.5, 0.5),
    "replaced": 0,
}


def attributes_of(subject: str) -> list[Attribute]:
    """What a subject wears."""
    return [ATTRIBUTES[name] for name in worn_by(subject) if name in ATTRIBUTES]


def appearance_of(subject: str) -> dict[str, Any]:
    """The painted person's settings for a subject: the source's, with its attributes' changed."""
    look = dict(_BASE)
    for attribute in attributes_of(subject):
        change = attribute.painted
        look |= {**change, "replaced": look["replaced"] | change.get("replaced", 0)}
    return look


def morph(points: Tensor, expressions: Tensor, names: tuple[str, ...], subject: str) -> Tensor:
    """A subject's displacement (V, 3) of the head at rest.

    Args:
        points: (V, 3) of the head, or of what moves with it.
        expressions: (V, 3, 50) their expression directions, of these names.
        names: of the expressions.
        subject: the folder's name.
    """
    total = torch.zeros_like(points)
    for attribute in attributes_of(subject):
        for bump in attribute.bumps:
            total = total + _displacement(points, bump)
        for name, strength in attribute.held.items():
            total = total + strength * expressions[..., names.index(name)]
    return total


def _displacement(points: Tensor, bump: Bump) -> Tensor:
    side = torch.where(points[:, :1] < 0, -1.0, 1.0)
    both = torch.cat([points[:, :1].abs() if bump.centre[0] else points[:, :1], points[:, 1:]], 1)
    scaled = (both - torch.tensor(bump.centre)) / torch.tensor(bump.reach)
    weight = torch.exp(-0.5 * (scaled**2).sum(dim=1)) * (points[:, 2] > bump.behind)
    across = weight * bump.widen * points[:, 0]
    push = torch.stack([across, weight * bump.up, weight * bump.out], dim=1)
    if not bump.grow:
        return push
    grown = weight[:, None] * bump.grow * (both - torch.tensor(bump.anchor))
    return push + torch.cat([grown[:, :1] * side, grown[:, 1:]], dim=1)
