"""Hair and hats that are carried over: which surfels they are, their colours, how hair hangs."""

from __future__ import annotations

from dataclasses import replace

import torch

from pegasus_runtime.head.parts import PART_NAMES, require_parts
from pegasus_runtime.surfels.attributes import Difference
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import triangle_parts
from pegasus_runtime.surfels.surfels import Surfels, concatenate, new_surfels
from tests.dressed_people import dressed_person
from trainer.init.surfel_sampling import sample_triangles
from trainer.transfer.correspondence import Correspondence
from trainer.transfer.worn import worn_look

SKIN, LIGHT, DARK, CLOTH = (
    torch.tensor(colour)
    for colour in ((0.8, 0.6, 0.5), (0.75, 0.6, 0.45), (0.2, 0.15, 0.1), (0.2, 0.3, 0.8))
)


def _on_head(avatar: SurfelAvatar, part: str, count: int, height: float, shows: str) -> Surfels:
    """Surfels all over a part of the head, at some height."""
    rides = triangle_parts(avatar.head) == PART_NAMES.index(part)
    corners = avatar.wardrobe.rest_corners
    edges = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = torch.linalg.cross(*edges).norm(dim=1) * rides
    triangle, weights = sample_triangles(area, count, torch.Generator().manual_seed(1))
    offset = torch.tensor([0.0, 0.0, height]).expand(count, 3)
    surfels = new_surfels(triangle, weights, offset, torch.zeros(count, 3), 0.02, 0.95)
    return replace(surfels, part=torch.full((count,), PART_NAMES.index(shows), dtype=torch.uint8))


def _fair_person() -> tuple[SurfelAvatar, torch.Tensor]:
    """One with fair hair on the crown, dark hair below it and beside, and the fair ones' number."""
    avatar = dressed_person(("hair_a",), "fair")
    torch.nn.init.zeros_(avatar.light.layers[-1].weight)
    skin = _on_head(avatar, "skin", 3000, 0.0, "skin")
    hair = _on_head(avatar, "scalp", 6000, 0.03, "hair")
    hidden = _on_head(avatar, "scalp", 6000, 0.01, "hair")
    corners = avatar.wardrobe.rest_corners
    feet = (corners[hair.triangle] * hair.barycentric[:, :, None]).sum(dim=1)
    fair = feet[:, 1] > feet[:, 1].median()
    own = concatenate(
        [
            replace(hair, colour=torch.logit(torch.where(fair[:, None], LIGHT, DARK))),
            replace(hidden, colour=torch.logit(DARK).expand(6000, 3)),
        ]
    )
    source = replace(skin, colour=torch.logit(SKIN).expand(3000, 3))
    none = avatar.wardrobe.attributes[0].region[:0]
    attribute = avatar.wardrobe.attributes[0]
    attribute = replace(
        attribute, region=none, difference=Difference.none(0), own=own,
        part=none.byte(),
    )  # fmt: skip
    wardrobe = replace(avatar.wardrobe, source=source, attributes=(attribute,))
    return replace(avatar, wardrobe=wardrobe), fair


def test_fair_hair_is_no_mixture_of_dark_hair_and_skin() -> None:
    avatar, fair = _fair_person()
    look = worn_look(avatar, avatar.wardrobe.attributes[0])
    light = (look.colour - LIGHT).norm(dim=1) < 0.05
    assert int(light.sum()) > 0.95 * int(fair.sum())


def test_a_collar_does_not_come_with_the_hair_that_lies_on_it() -> None:
    avatar, _ = _fair_person()
    attribute = avatar.wardrobe.attributes[0]
    collar = _on_head(avatar, "neck", 400, 0.02, "clothes")
    collar = replace(collar, colour=torch.logit(CLOTH).expand(400, 3))
    mistaken = replace(collar, part=torch.full_like(collar.part, PART_NAMES.index("hair")))
    dark = replace(mistaken, colour=torch.logit(DARK).expand(400, 3))
    source = concatenate([avatar.wardrobe.source, collar])
    attribute = replace(attribute, own=concatenate([attribute.own, mistaken, dark]))
    wardrobe = replace(avatar.wardrobe, source=source, attributes=(attribute,))
    look = worn_look(replace(avatar, wardrobe=wardrobe), attribute)
    near = triangle_parts(avatar.head)[look.surfels.triangle] == PART_NAMES.index("neck")
    assert int(near.sum()) > 300, "hair on the neck stays"
    assert not ((look.colour - CLOTH).norm(dim=1) < 0.1).any()


def test_a_forehead_below_a_brim_does_not_come_with_the_hat() -> None:
    avatar = dressed_person(("hat_a",), "hatted")
    torch.nn.init.zeros_(avatar.light.layers[-1].weight)
    skin = _on_head(avatar, "skin", 3000, 0.0, "skin")
    skin = replace(skin, colour=torch.logit(SKIN).expand(3000, 3))
    hat = _on_head(avatar, "scalp", 4000, 0.05, "hat")
    hat = replace(hat, colour=torch.logit(DARK).expand(4000, 3))
    corners = avatar.wardrobe.rest_corners
    feet = (corners[skin.triangle] * skin.barycentric[:, :, None]).sum(dim=1)
    forehead = feet.new_tensor([0.0, 0.2, float(feet[:, 2].max())])
    above = replace(
        skin, offset=torch.tensor([0.0, 0.0, 0.008]).expand(3000, 3),
        part=torch.full_like(skin.part, PART_NAMES.index("hat")),
    )  # fmt: skip
    patch = above.chosen((feet - forehead).norm(dim=1).argsort()[:60])
    shining = torch.logit((1.2 * SKIN).clamp_max(0.97))
    specks = above.chosen(torch.arange(0, 3000, 600))
    own = concatenate(
        [
            hat,
            replace(patch, colour=shining.expand(60, 3)),
            replace(specks, colour=torch.logit(DARK).expand(5, 3)),
        ]
    )
    attribute = replace(
        avatar.wardrobe.attributes[0], region=torch.zeros(0).long(),
        difference=Difference.none(0), own=own, part=torch.zeros(0).byte(),
    )  # fmt: skip
    wardrobe = replace(avatar.wardrobe, source=skin, attributes=(attribute,))
    look = worn_look(replace(avatar, wardrobe=wardrobe), attribute)
    rides = triangle_parts(avatar.head)[look.surfels.triangle]
    assert not (rides == PART_NAMES.index("skin")).any(), "neither a patch of skin nor specks"
    assert int((rides == PART_NAMES.index("scalp")).sum()) > 0.97 * 4000


def test_hair_that_hangs_beside_a_slim_neck_hangs_no_nearer_to_it() -> None:
    person = dressed_person(("hair_a",), "person")
    head = person.head
    neck = require_parts(head).on("neck")
    template = head.template.clone()
    template[neck] *= torch.tensor([0.7, 1.0, 0.7])
    slim = replace(person, head=replace(head, template=template))
    corners = template[head.faces]
    slim = replace(slim, wardrobe=replace(slim.wardrobe, rest_corners=corners))
    across = Correspondence.between(person, slim)
    middle = head.template[neck].mean(dim=0)
    beside = middle + torch.tensor([[0.55, 0.0, 0.0], [-0.55, 0.0, 0.0], [0.0, 0.0, -0.6]])
    there, _, _ = across.carry(beside)
    assert (there - beside).norm(dim=1).max() > 0.03, "the space around it is bent"
    moved = across.around(beside, there, is_cloth=False)
    assert (moved - beside).norm(dim=1).max() < 0.01
