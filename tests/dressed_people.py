"""People with attributes of all categories, for tests of what one gives to another."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pegasus_runtime.surfels.attributes import rest_corners, rest_surfels
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import is_part, with_guessed_parts
from pegasus_runtime.surfels.surfels import Surfels
from tests.factories import surfel_avatar

NAMES = ("hair_a", "hat_b", "eyeglasses_c", "nose_d", "mouth_e", "eyes_f", "ears_g", "eyebrows_h")


def dressed_person(attributes: tuple[str, ...], name: str, shape: float = 0.0) -> SurfelAvatar:
    """One whose head is so many deviations from the average in some directions."""
    avatar = surfel_avatar(attributes, 4000)
    shapes = torch.zeros(100)
    shapes[:4] = shape
    wardrobe = replace(avatar.wardrobe, rest_corners=rest_corners(avatar.head, shapes))
    wardrobe = with_guessed_parts(wardrobe, avatar.head)
    # Nothing of the person becomes what is worn.
    regions = [wardrobe.source.part[a.region] for a in wardrobe.attributes]
    wardrobe = wardrobe.with_parts(wardrobe.everything.part, regions)
    return replace(avatar, wardrobe=wardrobe, name=name, shape=shapes)


def points_of(avatar: SurfelAvatar, surfels: Surfels) -> Tensor:
    """(N, 3) where surfels are on the person at rest."""
    return rest_surfels(surfels, avatar.wardrobe.rest_corners)[0]


def on_parts(avatar: SurfelAvatar, names: list[str]) -> Tensor:
    """(N,) bool, which of the person's surfels show some parts."""
    return is_part(avatar.wardrobe.source.part, names)
