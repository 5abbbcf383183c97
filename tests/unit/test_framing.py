"""Thumbnails of a category show its region, on any head whose parts are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from app.rendering.renderer import Renderer
from app.state.face import Face
from app.state.framing import Framing
from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.head.parts import require_parts
from tests.factories import published_avatar, surfel_avatar

NAMES = ("eyes_green", "hair_long", "hat_cap")
CLOSE = {"eyes": "eyes", "eyebrows": "eyebrows", "nose": "nose", "mouth": "lips", "ears": "ears"}
TURNED = ("hair", "hat", "eyeglasses")
SIDE = 48


@pytest.fixture(scope="module")
def avatar() -> PublishedAvatar:
    return published_avatar(NAMES, every=1, radius=0.08)


@pytest.mark.parametrize(("category", "part"), CLOSE.items())
def test_a_part_of_the_face_fills_its_pictures(
    avatar: PublishedAvatar, category: str, part: str
) -> None:
    framing = Framing.of(avatar, category)
    places = avatar.head.template[require_parts(avatar.head).on(part)]
    if category == "ears":
        assert framing.yaw_deg > 20
        places = places[places[:, 0] > 0]
    x, y = framing.view(avatar).camera((2, 2)).project(places)[:, :2].unbind(dim=1)
    reach = max((x - framing.centre[0]).abs().max(), (y - framing.centre[1]).abs().max())
    assert 0.25 * framing.half < float(reach) < framing.half < 0.5


@pytest.mark.parametrize("category", TURNED)
def test_what_is_worn_on_the_head_shows_all_of_it_from_a_side(
    avatar: PublishedAvatar, category: str
) -> None:
    framing = Framing.of(avatar, category)
    seen = framing.view(avatar).camera((2, 2)).project(avatar.head.template)[:, :2]
    is_skull = require_parts(avatar.head).on("scalp", "skin", "ears")
    away = (seen[is_skull] - torch.tensor(framing.centre)).abs()
    assert framing.yaw_deg and float(away.max()) <= framing.half


@pytest.mark.parametrize("category", [*CLOSE, *TURNED, "identity", "scarf"])
def test_a_head_of_another_size_is_framed_alike(avatar: PublishedAvatar, category: str) -> None:
    head = replace(avatar.head, template=3 * avatar.head.template)
    large = Framing.of(replace(avatar, head=head, points=3 * avatar.points), category)
    framing = Framing.of(avatar, category)
    assert large.half == pytest.approx(framing.half, abs=1e-3)
    assert large.centre == pytest.approx(framing.centre, abs=1e-3)


@pytest.mark.parametrize("category", [*CLOSE, *TURNED, "identity"])
def test_a_head_whose_parts_nothing_tells_is_shown_whole(
    avatar: PublishedAvatar, category: str
) -> None:
    bare = replace(avatar.head, part_labels=None, part_names=(), landmarks=None)
    framing = Framing.of(replace(avatar, head=bare), category)
    assert (framing.centre, framing.half) == ((0.0, 0.0), 1.0)


@pytest.mark.parametrize("half", [0.251, 0.3, 0.777, 1.0])
@pytest.mark.parametrize("centre", [-1.0, 0.0, 1.0])
def test_the_square_lies_in_the_picture(half: float, centre: float) -> None:
    at = centre * (1 - half)
    whole, rows, columns = Framing(0.0, (at, at), half).square(SIDE)
    for pixels in (rows, columns):
        assert 0 <= pixels.start < pixels.stop <= whole
        assert pixels.stop - pixels.start == SIDE


def test_pictures_show_what_is_framed(avatar: PublishedAvatar) -> None:
    renderer = Renderer(avatar)
    face = Face.of(avatar.neutral())
    whole, eyes = (
        renderer.render_thumbnail(face, Framing.of(avatar, category), SIDE)
        for category in ("identity", "eyes")
    )
    assert whole.shape == eyes.shape == (SIDE, SIDE, 4)
    covered_whole, covered_eyes = ((p[..., 3] > 127).mean() for p in (whole, eyes))
    assert covered_whole < 0.7 and covered_eyes > 0.95


def test_surfels_are_framed_like_points() -> None:
    framing = Framing.of(surfel_avatar(NAMES), "eyes")
    assert framing.half < 0.5 and abs(framing.centre[0]) < 0.05
