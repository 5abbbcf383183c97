"""What hair has covered on one side of a face, when the hair goes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.attributes import rest_surfels
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import is_part, triangle_parts
from pegasus_runtime.surfels.surfels import Surfels, concatenate
from tests.factories import surfel_avatar
from trainer.transfer.looks import look_of
from trainer.transfer.replaced import Change, without_hair

SKIN, IRIS, NEVER_SEEN, BROWN = (
    torch.tensor(colour)
    for colour in ((0.8, 0.6, 0.5), (0.2, 0.4, 0.9), (0.1, 0.8, 0.1), (0.3, 0.2, 0.1))
)
ACROSS = 0.05
"""as far as an eye's inner corner"""
HAIR = PART_NAMES.index("hair")


def _person(fringe: str) -> tuple[SurfelAvatar, Tensor]:
    """A face that the hair's fringe covers on the left, across the nose, on both sides or not at
    all, and which of its surfels are covered."""
    avatar = surfel_avatar([], 20_000)
    head, corners = avatar.head, avatar.wardrobe.rest_corners
    torch.nn.init.zeros_(avatar.light.layers[-1].weight)
    face = avatar.wardrobe.source
    part = triangle_parts(head)[face.triangle]
    flat = 0.2 * face.offset
    face = replace(face, part=part, offset=flat, opacity=torch.full((len(face),), 3.0))
    points, _ = rest_surfels(face, corners)
    front = (points[:, 2] > 0.1) & (points[:, 1] > -0.1) & is_part(part, ["skin", "nose", "eyes"])
    front |= (points[:, 2] > 0.1) & is_part(part, ["eyelids", "eyebrows"])
    x = points[:, 0]
    sides = {"left": x > 0.02, "across": x > -ACROSS, "both": x.abs() > 0.02}
    covered = front & sides.get(fringe, torch.zeros_like(front))
    colour = torch.where(is_part(part, ["eyes"])[:, None], IRIS, SKIN)
    face = replace(face, colour=torch.logit(torch.where(covered[:, None], NEVER_SEEN, colour)))
    above = face.chosen(covered.nonzero()[:, 0])
    offset = above.offset + torch.tensor([0.0, 0.0, 0.08])
    number = torch.full((len(above),), HAIR, dtype=torch.uint8)
    above = replace(
        above, offset=offset, part=number, colour=torch.logit(BROWN).expand(offset.shape)
    )
    wardrobe = replace(avatar.wardrobe, source=concatenate([face, above]))
    return replace(avatar, wardrobe=wardrobe), covered


def _bare(avatar: SurfelAvatar) -> tuple[Surfels, Surfels]:
    """The person's surfels without hair that are left, and what is put below it."""
    look, change = look_of(avatar, avatar.wardrobe.source), Change(avatar.wardrobe.source)
    below = without_hair(look, avatar, change)
    values = change.values
    source = avatar.wardrobe.source
    left = replace(
        source, opacity=source.opacity + values["opacity"], colour=source.colour + values["colour"]
    )
    return left.chosen((left.opacity > 0).nonzero()[:, 0]), below


def test_an_eye_behind_a_fringe_is_the_mirror_image_of_the_other() -> None:
    avatar, covered = _person("left")
    left, below = _bare(avatar)
    corners = avatar.wardrobe.rest_corners
    everything = concatenate([left, below])
    points, normals = rest_surfels(everything, corners)
    part = triangle_parts(avatar.head)[everything.triangle]
    on_eyes = is_part(part, ["eyes"]) & (points[:, 2] > 0.1)
    here, there = (on_eyes & (points[:, 0] * side > 0.02) for side in (1, -1))
    assert int(here.sum()) > 0.6 * int(there.sum()) > 10

    def like(colour: Tensor) -> Tensor:
        return (everything.colour.sigmoid() - colour).abs().sum(dim=1) < 0.1

    assert like(IRIS)[here].float().mean() > 0.9, "but for what is deep in the socket"
    assert not (like(NEVER_SEEN) & ~is_part(part, ["eyes", "eyelids"])).any(), "but in their folds"
    assert not is_part(left.part, ["hair"]).any()
    # Each lies where its own other half does, and is turned as that is.
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    images = below.chosen((below.part != PART_NAMES.index("scalp")).nonzero()[:, 0])
    where, facing = rest_surfels(images, corners)
    apart, nearest = torch.cdist(where * mirror, points).min(dim=1)
    assert len(images) > 0.5 * int(covered.sum()) and apart.median() < 1e-4
    assert (facing * (normals[nearest] * mirror)).sum(dim=1).median() > 0.99


def test_an_eye_is_mirrored_as_a_whole_though_the_other_is_covered_at_its_corner() -> None:
    avatar, _ = _person("across")
    corners = avatar.wardrobe.rest_corners
    source = avatar.wardrobe.source
    points = rest_surfels(source, corners)[0]
    rides = is_part(triangle_parts(avatar.head)[source.triangle], ["eyes", "eyelids", "eyebrows"])
    shown = rides & is_part(source.part, ["eyes", "eyelids", "eyebrows", "skin"])
    there = shown & (points[:, 0] < 0)
    at_corner = points[:, 0] > -ACROSS - 0.02
    assert (there & at_corner).sum() > 20, "some of it is hidden"
    left, below = _bare(avatar)
    here = is_part(triangle_parts(avatar.head)[below.triangle], ["eyes", "eyelids", "eyebrows"])
    mirrored = below.part[here] != PART_NAMES.index("scalp")
    assert int(there.sum()) <= int(mirrored.sum()) < 1.1 * int(there.sum())
    kept = rest_surfels(left, corners)[0][:, 0] > 0
    rides = is_part(triangle_parts(avatar.head)[left.triangle], ["eyes", "eyelids", "eyebrows"])
    assert int((kept & rides).sum()) < 0.1 * int(here.sum()), "the old one is gone"


def test_hair_that_was_called_clothes_goes_with_the_hair_and_clothes_stay() -> None:
    avatar, _ = _person("left")
    source = avatar.wardrobe.source
    hair = is_part(source.part, ["hair"]).nonzero()[:60, 0]
    lowest = rest_surfels(source, avatar.wardrobe.rest_corners)[0][:, 1].argsort()[:60]
    part, colour = source.part.clone(), source.colour.clone()
    part[torch.cat([hair, lowest])] = PART_NAMES.index("clothes")
    colour[lowest] = torch.logit(IRIS)
    wardrobe = replace(avatar.wardrobe, source=replace(source, part=part, colour=colour))
    left, _ = _bare(replace(avatar, wardrobe=wardrobe))
    clothes = left.colour[is_part(left.part, ["clothes"])].sigmoid()
    assert len(clothes) == 60 and (clothes - IRIS).abs().max() < 0.01


def test_who_is_all_hair_has_skin_below_it() -> None:
    avatar, _ = _person("none")
    face = avatar.wardrobe.source
    offset = face.offset + torch.tensor([0.0, 0.0, 0.03])
    number = torch.full((len(face),), HAIR, dtype=torch.uint8)
    fur = replace(face, offset=offset, part=number, colour=torch.logit(BROWN).expand(offset.shape))
    wardrobe = replace(avatar.wardrobe, source=concatenate([face, fur]))
    left, below = _bare(replace(avatar, wardrobe=wardrobe))
    assert not is_part(left.part, ["hair"]).any() and len(below) > 1000
    assert (below.colour.sigmoid() - SKIN).abs().max() < 0.05


def test_no_skin_is_put_below_the_edge_of_a_filmed_neck() -> None:
    avatar, _ = _person("left")
    source = avatar.wardrobe.source
    heights = rest_surfels(source, avatar.wardrobe.rest_corners)[0][:, 1]
    edge = float(heights.quantile(0.3))
    wardrobe = replace(avatar.wardrobe, source=source.chosen((heights > edge).nonzero()[:, 0]))
    avatar = replace(avatar, wardrobe=wardrobe)
    _, below = _bare(avatar)
    lowest = rest_surfels(below, avatar.wardrobe.rest_corners)[0][:, 1].min()
    assert lowest > edge - 0.02


@pytest.mark.parametrize("fringe", ["both", "none"])
def test_where_no_side_is_bare_nothing_is_mirrored(fringe: str) -> None:
    avatar, covered = _person(fringe)
    left, below = _bare(avatar)
    images = below.part != PART_NAMES.index("scalp")
    assert int(images.sum()) <= 0.02 * int(covered.sum())
    skin = is_part(left.part, ["skin"])
    colours = left.colour[skin].sigmoid()
    assert (colours - SKIN).abs().max() < 0.05, "covered skin has the colour of skin"


def test_hair_at_a_temple_that_is_called_a_brow_becomes_skin_and_brows_stay() -> None:
    avatar, _ = _person("none")
    source, corners = avatar.wardrobe.source, avatar.wardrobe.rest_corners
    points, _ = rest_surfels(source, corners)
    rides = triangle_parts(avatar.head)[source.triangle]
    front = points[:, 2] > 0
    brows = is_part(rides, ["eyebrows"]) & front
    middle = points[brows & (points[:, 0] > 0)].mean(dim=0)
    beside = middle + torch.tensor([0.12, 0.0, -0.05])
    tail = is_part(rides, ["skin"]) & ((points - beside).norm(dim=1) < 0.04)
    lock = is_part(rides, ["skin"]) & ((points - beside).norm(dim=1) < 0.1) & ~tail
    assert int(tail.sum()) > 5 and int(lock.sum()) > 20 and int(brows.sum()) > 5
    called = torch.where(tail, PART_NAMES.index("eyebrows"), source.part.long()).byte()
    brown = torch.logit(BROWN).expand(source.colour.shape)
    dark = (tail | brows)[:, None]
    face = replace(source, part=called, colour=torch.where(dark, brown, source.colour))
    hair = source.chosen(lock.nonzero()[:, 0])
    hair = replace(
        hair, offset=hair.offset + torch.tensor([0.0, 0.0, 0.06]),
        part=torch.full((len(hair),), HAIR, dtype=torch.uint8), colour=brown[: len(hair)],
    )  # fmt: skip
    wardrobe = replace(avatar.wardrobe, source=concatenate([face, hair]))
    avatar = replace(avatar, wardrobe=wardrobe)
    look, change = look_of(avatar, wardrobe.source), Change(wardrobe.source)
    without_hair(look, avatar, change)
    colour = (wardrobe.source.colour + change.values["colour"]).sigmoid()[: len(face)]
    is_left = change.values["opacity"][: len(face)] == 0
    assert (colour - BROWN).norm(dim=1)[tail & is_left].min() > 0.2
    away = brows & is_left & ((points - beside).norm(dim=1) > 0.2)
    assert int(away.sum()) > 5 and (colour - BROWN).norm(dim=1)[away].max() < 1e-3
