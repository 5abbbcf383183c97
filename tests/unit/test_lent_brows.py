"""Another person's brows: they have the other's form, and what is the same stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pegasus_runtime.surfels.attributes import Difference
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.pose import LightNetwork
from tests.dressed_people import dressed_person, on_parts, points_of
from trainer.transfer.transfer import transfer

SKIN, HAIR = torch.tensor([0.75, 0.6, 0.5]), torch.tensor([0.2, 0.12, 0.1])


def _painted(avatar: SurfelAvatar, brows: Tensor) -> SurfelAvatar:
    """The same with skin all over, and hair where some surfels are."""
    source = avatar.wardrobe.source
    colours = torch.where(brows[:, None], HAIR, SKIN).logit()
    source = replace(source, colour=colours, opacity=torch.full((len(source),), 3.0))
    light = LightNetwork()
    return replace(avatar, wardrobe=replace(avatar.wardrobe, source=source), light=light)


@pytest.mark.parametrize(("has_brows", "lighter"), [(True, 0.0), (False, 0.0), (True, 1.5)])
def test_brows_have_the_form_of_the_others(
    personal: SurfelAvatar, target: SurfelAvatar, has_brows: bool, lighter: float
) -> None:
    """Full brows, which were so before or darker, on who has thin ones or none."""
    full, place = on_parts(personal, ["eyebrows"]), on_parts(target, ["eyebrows"])
    heights = points_of(target, target.wardrobe.source)[:, 1]
    low = place & (heights < heights[place].median())
    plain = _painted(personal, full)
    region = full.nonzero()[:, 0]
    colour = torch.full((len(region), 3), lighter)
    bare = replace(plain.wardrobe.attributes[-1], region=region, part=None,
                   difference=replace(Difference.none(len(region)), colour=colour))  # fmt: skip
    wearing = (*plain.wardrobe.attributes[:-1], bare)
    lender = replace(plain, wardrobe=replace(plain.wardrobe, attributes=wearing))
    made = transfer(lender, _painted(target, low & has_brows), ("eyebrows_h",))
    dressed = made.wardrobe.dressed({"eyebrows_h": 1.0}).colour.sigmoid()[: len(place)]
    assert (dressed[on_parts(made, ["eyebrows"])] - HAIR).abs().max(dim=1).values.quantile(
        0.8
    ) < 0.25
    away = on_parts(made, ["neck", "ears"])
    assert (dressed[away] - SKIN).abs().max() < 0.02


def test_brows_of_another_form_leave_skin_where_the_own_ones_were(
    personal: SurfelAvatar, target: SurfelAvatar
) -> None:
    """High thin brows on somebody with full ones and a face of another form."""

    def upper_and_lower(avatar: SurfelAvatar) -> tuple[Tensor, Tensor]:
        brows, source = on_parts(avatar, ["eyebrows"]), avatar.wardrobe.source
        height = points_of(avatar, source)[:, 1]
        low, high = height[brows].quantile(0.4), height[brows].quantile(0.6)
        return brows & (height > high), brows & (height < low)

    above, _ = upper_and_lower(personal)
    # The attribute takes the lower half of full brows away.
    full = _painted(personal, on_parts(personal, ["eyebrows"]))
    region = on_parts(personal, ["eyebrows"]).nonzero()[:, 0]
    wanted = torch.where(above[region][:, None], HAIR, SKIN).logit()
    difference = Difference.none(len(region))
    difference = replace(difference, colour=wanted - full.wardrobe.source.colour[region])
    thin = replace(full.wardrobe.attributes[-1], region=region, part=None, difference=difference)
    wearing = (*full.wardrobe.attributes[:-1], thin)
    lender = replace(full, wardrobe=replace(full.wardrobe, attributes=wearing))
    made = transfer(lender, _painted(target, on_parts(target, ["eyebrows"])), ("eyebrows_h",))
    dressed = made.wardrobe.dressed({"eyebrows_h": 1.0}).colour.sigmoid()
    dressed = dressed[: len(made.wardrobe.source)]
    above, below = upper_and_lower(made)
    assert (dressed[above] - HAIR).abs().amax(dim=1).quantile(0.7) < 0.25
    assert (dressed[below] - SKIN).abs().amax(dim=1).quantile(0.7) < 0.25


def test_brows_that_are_the_same_stay_as_they_are(personal: SurfelAvatar) -> None:
    """Fine ends of brows are half skin: drawn over again they would be darker."""
    plain = _half_skin(personal, on_parts(personal, ["eyebrows"]))
    none = torch.zeros(0, dtype=torch.long)
    same = replace(plain.wardrobe.attributes[-1], region=none, part=None,
                   difference=Difference.none(0))  # fmt: skip
    wearing = (*plain.wardrobe.attributes[:-1], same)
    lender = replace(plain, wardrobe=replace(plain.wardrobe, attributes=wearing))
    bare = replace(
        plain, wardrobe=replace(plain.wardrobe, attributes=()), codes=dressed_person((), "x").codes
    )
    made = transfer(lender, bare, ("eyebrows_h",))
    before = made.wardrobe.everything.colour.sigmoid()
    after = made.wardrobe.dressed({"eyebrows_h": 1.0}).colour.sigmoid()
    assert (before - after).abs().max() < 0.05


def _half_skin(avatar: SurfelAvatar, brows: Tensor) -> SurfelAvatar:
    """The same with light skin, and some surfels that are hair, the more so the higher they lie."""
    source, height = avatar.wardrobe.source, points_of(avatar, avatar.wardrobe.source)[:, 1]
    share = torch.zeros(len(source))
    if bool(brows.any()):
        low, high = height[brows].quantile(0.05), height[brows].quantile(0.7)
        share[brows] = ((height[brows] - low) / (high - low)).clamp(0, 1)
    colour = torch.lerp(SKIN.expand(len(source), 3), HAIR, share[:, None]).logit()
    source = replace(source, colour=colour, opacity=torch.full((len(source),), 3.0))
    light = LightNetwork()
    return replace(avatar, wardrobe=replace(avatar.wardrobe, source=source), light=light)
