"""Attributes of one avatar on another person's, without training.

1. The two heads are laid over one another (`correspondence`).
2. What is worn is carried over as surfels of its own (`carried`); hair that it replaces goes, and
   skin is put below (`replaced`).
3. What an attribute changes of a face is carried over as a change of that face (`differences`);
   eyeballs are put in place of the own ones (`eyes`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from pegasus_runtime.model.latent import LatentCodes, category_of
from pegasus_runtime.surfels.attributes import Attribute, Wardrobe
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.file import in_drawing_order
from pegasus_runtime.surfels.parts import WORN
from pegasus_runtime.surfels.surfels import concatenate
from trainer.transfer.carried import carried
from trainer.transfer.correspondence import Correspondence
from trainer.transfer.differences import ZONES, carry_difference
from trainer.transfer.eyes import swap_eyes
from trainer.transfer.looks import look_of
from trainer.transfer.replaced import Change, hide_under, without_hair


@torch.no_grad()
def transfer(
    personal: SurfelAvatar,
    target: SurfelAvatar,
    names: Sequence[str],
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[str, float], None] = lambda _, __: None,
) -> SurfelAvatar:
    """The target's avatar with attributes of the personal one, which may be worn from then on.

    Args:
        personal: has the attributes.
        target: the person who gets them.
        names: of the attributes, CATEGORY_NAME; one that the target has is replaced.
        say: takes a line for each attribute.
        on_progress: takes which one is at work, and the share that is done.

    Raises:
        InvalidInput: the heads differ and cannot be laid over one another.
    """
    across = Correspondence.between(personal, target)
    known = {attribute.name: attribute for attribute in personal.wardrobe.attributes}
    kept = [a for a in target.wardrobe.attributes if a.name not in names]
    look = look_of(target, target.wardrobe.source)
    given = []
    for index, name in enumerate(names):
        on_progress(name, index / len(names))
        attribute, change = known[name], Change(target.wardrobe.source)
        category = category_of(name)
        own = carried(personal, target, attribute, across)
        if WORN.get(category) == "hair":
            own = concatenate([own, without_hair(look, target, change)])
        elif WORN.get(category) == "hat":
            hide_under(look, target, look_of(target, own).points, change)
        elif category in ZONES:
            carry_difference(personal, target, attribute, across, look, change)
            if category == "eyes":
                own = swap_eyes(personal, target, attribute, across, look, change)
        region, difference = change.region()
        part = target.wardrobe.source.part[region]
        given.append(Attribute(name, region, difference, own, part))
        say(f"{name}: {len(own):,} surfels put on, {len(region):,} of {target.name}'s changed")
    return _avatar(target, personal, [*kept, *given], [a.name for a in given])


def _avatar(
    target: SurfelAvatar, personal: SurfelAvatar, attributes: list[Attribute], given: list[str]
) -> SurfelAvatar:
    codes = _codes(target.codes, [a.name for a in attributes])
    wardrobe = Wardrobe(target.wardrobe.source, tuple(attributes), target.wardrobe.rest_corners)
    provenance = copy.deepcopy(target.provenance)
    earlier = provenance.get("transferred")
    earlier = earlier if isinstance(earlier, dict) else {}
    provenance["transferred"] = {**earlier, **dict.fromkeys(given, personal.name)}
    return replace(
        target, wardrobe=in_drawing_order(wardrobe, codes), codes=codes, provenance=provenance,
        path=None,
    )  # fmt: skip


def _codes(old: LatentCodes, names: list[str]) -> LatentCodes:
    """Codes of these attributes on the same person."""
    missing = [c for c in dict.fromkeys(map(category_of, names)) if c not in old.categories]
    codes = LatentCodes(names, (*old.categories, *missing), old.source_categories)
    codes.zero.data.copy_(old.zero.data)
    codes.source.data.copy_(old.source.data)
    return codes.eval().requires_grad_(False)
