"""Surfels bound to the head: they follow it, and attributes change their region alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import pegasus_runtime as pr
from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.model.latent import LatentCodes
from pegasus_runtime.passes import PASSES
from pegasus_runtime.surfels.attributes import (
    Attribute,
    Difference,
    Wardrobe,
    outside_shell,
)
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.binding import bind_points, skin_triangles, triangle_frames
from pegasus_runtime.surfels.codes import lay_out_codes
from pegasus_runtime.surfels.file import FACE
from pegasus_runtime.surfels.pose import pose_surfels, project_surfels
from pegasus_runtime.surfels.surfels import NUM_STATES, new_surfels
from tests.factories import surfel_avatar, surfels_on

NAMES = ("hair_long", "hat_cap", "nose_big", "nose_small")


@pytest.fixture(scope="module")
def head() -> Head:
    return pr.load_free_head()


@pytest.fixture(scope="module")
def avatar() -> SurfelAvatar:
    return surfel_avatar(NAMES)


def moved(avatar: SurfelAvatar) -> pr.Parameters:
    params = avatar.neutral()
    params.expression[:6] = 0.6
    params.pose[3:9] = 0.2
    params.shape[:3] = 0.5
    return params


@pytest.mark.parametrize("name", [*range(50), "root", "neck", "jaw", "left_eye", "right_eye"])
def test_surfels_on_the_skin_go_where_the_skin_goes(head: Head, name: int | str) -> None:
    surfels = replace(
        surfels_on(head, 500),
        offset=torch.zeros(500, 3),
        offset_states=torch.zeros(500, NUM_STATES, 3),
    )
    expression, pose = torch.zeros(50), torch.zeros(15)
    if isinstance(name, int):
        expression[name] = 1.0
    else:
        pose[3 * ["root", "neck", "jaw", "left_eye", "right_eye"].index(name)] = 0.3
    vertices = pose_head(head, torch.zeros(100), expression, pose).vertices
    posed = pose_surfels(surfels, vertices, head.faces, torch.ones(NUM_STATES))
    corners = vertices[head.faces[surfels.triangle]]
    on_skin = (corners * surfels.barycentric[:, :, None]).sum(dim=1)
    assert (posed.points - on_skin).abs().max() < 1e-6
    across = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = replace(surfels, rotation=torch.zeros(500, 3))
    normals = pose_surfels(flat, vertices, head.faces, torch.zeros(NUM_STATES)).normals
    along = (normals * torch.nn.functional.normalize(across, dim=1)).sum(dim=1)
    assert along[across.norm(dim=1) > 1e-9].min() > 0.9999


def test_the_neutral_face_has_no_states(avatar: SurfelAvatar) -> None:
    assert avatar.states(torch.zeros(50), torch.zeros(36)).abs().max() == 0


@pytest.mark.parametrize(
    "attributes", [{}, {"nose": ("nose_big", 0.5), "hat": "hat_cap", "hair": ("hair_long", 1.3)}]
)
def test_compiled_loops_draw_what_the_formulas_say(
    avatar: SurfelAvatar, attributes: dict[str, object]
) -> None:
    params, camera = moved(avatar), avatar.default_camera((96, 128))
    params.attributes.update(attributes)
    fast = pr.Session(avatar, "cpu").render(params, camera, tuple(PASSES))
    plain = pr.Session(avatar, "cpu", exact=True).render(params, camera, tuple(PASSES))
    covered = plain["alpha"][..., 0] > 0.5
    for name in PASSES:
        difference = np.abs(fast[name] - plain[name])[covered]
        # At an edge the last bit decides whether the faintest surfel is drawn.
        assert np.quantile(difference, 0.999) < 1e-2 and difference.mean() < 1e-4, name
    assert np.abs(fast.points - plain.points).max() < 1e-5
    assert fast.points.shape == (avatar.num_points, 3)


def test_taking_everything_off_again_gives_the_same_picture(avatar: SurfelAvatar) -> None:
    session, camera = pr.Session(avatar, "cpu"), avatar.default_camera((64, 64))
    params = moved(avatar)
    before = session.render(params, camera)["rgb"].copy()
    for worn in ({"nose": "big"}, {"nose": "small", "hat": "cap"}, {"hair": ("long", 2.0)}):
        params.attributes = dict(worn)
        assert not np.array_equal(session.render(params, camera)["rgb"], before)
    params.attributes = {}
    assert np.array_equal(session.render(params, camera)["rgb"], before)


def test_what_is_worn_one_after_another_is_what_is_worn_at_once(avatar: SurfelAvatar) -> None:
    session, camera = pr.Session(avatar, "cpu"), avatar.default_camera((64, 64))
    params = moved(avatar)
    hats: list[dict[str, object]] = [{"hat": ("hat_cap", t)} for t in (0.5, 1.0, 0.0, -0.5)]
    for worn in ({"hair": ("hair_long", 0.7)}, *({"hair": "hair_long"} | hat for hat in hats)):
        params.attributes = worn  # type: ignore[assignment]
        afresh = pr.Session(avatar, "cpu").render(params, camera)
        assert np.array_equal(session.render(params, camera)["rgb"], afresh["rgb"])


def test_a_pass_that_is_asked_for_twice_has_one_background(avatar: SurfelAvatar) -> None:
    session, camera = pr.Session(avatar, "cpu"), avatar.default_camera((64, 64))
    once = session.render(moved(avatar), camera, ("rgb",), background=(0.2, 0.4, 0.6))
    twice = session.render(
        moved(avatar), camera, ("rgb", "alpha", "rgb"), background=(0.2, 0.4, 0.6)
    )
    assert np.array_equal(once["rgb"], twice["rgb"])


def test_an_attribute_changes_its_region_alone_and_several_add_up(avatar: SurfelAvatar) -> None:
    wardrobe = avatar.wardrobe
    nose, hair = wardrobe.attributes[2], wardrobe.attributes[0]
    both = wardrobe.dressed({nose.name: 1.0, hair.name: 0.5})
    expected = wardrobe.everything.colour.clone()
    expected[nose.region] += nose.difference.colour
    expected[hair.region] += 0.5 * hair.difference.colour
    assert torch.allclose(both.colour, expected)
    touched = torch.zeros(len(expected), dtype=torch.bool)
    touched[nose.region] = touched[hair.region] = True
    assert torch.equal(both.offset[~touched], wardrobe.everything.offset[~touched])


def test_own_surfels_are_there_with_their_attribute_only(avatar: SurfelAvatar) -> None:
    wardrobe = avatar.wardrobe
    own = wardrobe.ranges["nose_big"]
    for strength, present in ((0.0, 0.0), (0.25, 0.25), (1.5, 1.0), (-1.0, 0.0)):
        presence = wardrobe.presence({"nose_big": strength})
        assert (presence[own.start : own.stop] == present).all()
        assert (presence[: len(wardrobe.source)] == 1).all()


def dome(radius: float, count: int = 6000) -> Tensor:
    """Points of the upper half of a sphere."""
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    return radius * torch.stack([points[:, 0], points[:, 1].abs(), points[:, 2]], dim=1)


def test_a_hat_hides_hair_outside_its_shell() -> None:
    hidden = outside_shell(
        torch.tensor(
            [[0, 0.45, 0], [0.3, 0.3, 0], [0, 0.395, 0], [0, 0.3, 0], [0.4, -0.2, 0], [0, -0.6, 0]]
        ),
        torch.full((6,), 0.01),
        dome(0.4),
    )
    assert hidden.tolist() == [True, True, True, False, False, False]


def test_a_crown_of_few_surfels_hides_hair_as_well() -> None:
    """Where no hair hangs out, wider gaps are covered; at the rim they are not."""
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(200, 3, generator=generator) * torch.tensor([0.5, 0.1, 0.5])
    directions[:, 1] = directions[:, 1].abs() + 1
    curls = 0.42 * torch.nn.functional.normalize(directions, dim=1)
    hidden = outside_shell(curls, torch.full((200,), 0.01), dome(0.4, 1500))
    assert hidden.all()
    below = curls * torch.tensor([1.0, -0.1, 1.0])
    assert not outside_shell(below, torch.full((200,), 0.01), dome(0.4, 1500)).any()


def test_hair_under_a_hat_leaves_what_the_hat_needs(head: Head, avatar: SurfelAvatar) -> None:
    """The hat turns some surfels black; long hair, worn with it, changes only the others."""
    region, none = torch.arange(100), surfels_on(head, 0)
    black, red = Difference.none(100), Difference.none(100)
    black.colour[:50] = -5.0
    red.colour[:] = 3.0
    wardrobe = Wardrobe(
        avatar.wardrobe.source,
        (Attribute("hair_a", region, red, none), Attribute("hat_b", region, black, none)),
        avatar.wardrobe.rest_corners,
    )
    before = wardrobe.source.colour[:100]
    both = wardrobe.dressed({"hair_a": 1.0, "hat_b": 1.0}).colour[:100] - before
    assert torch.allclose(both[:50], black.colour[:50], atol=1e-5)
    assert torch.allclose(both[50:], red.colour[50:], atol=1e-5)
    half = wardrobe.dressed({"hair_a": 1.0, "hat_b": 0.5}).colour[:50] - before[:50]
    assert torch.allclose(half, 0.5 * black.colour[:50] + 0.5 * red.colour[:50], atol=1e-5)


def test_codes_and_strengths_say_the_same(avatar: SurfelAvatar) -> None:
    params = avatar.neutral()
    params.attributes = {"nose": ("big", 0.7), "hair": "long"}
    params.latent = avatar.codes.compose(params.attributes).numpy()
    found = avatar.strengths(params)
    assert found.keys() == {"nose_big", "hair_long"}
    assert found["nose_big"] == pytest.approx(0.7, abs=1e-4)
    assert found["hair_long"] == pytest.approx(1.0, abs=1e-4)


def test_codes_are_as_far_apart_as_what_they_change(avatar: SurfelAvatar) -> None:
    codes = LatentCodes(("nose_a", "nose_b", "nose_c")).requires_grad_(False)
    region = torch.arange(50)
    none = surfels_on(avatar.head, 0)
    changes = [Difference.none(50) for _ in range(3)]
    changes[0].colour[:] = 1.0
    changes[1].colour[:] = 1.1
    changes[2].colour[:, 0] = -2.0
    found = [
        Attribute(n, region, d, none) for n, d in zip(codes.attribute_names, changes, strict=True)
    ]
    lay_out_codes(codes, Wardrobe(avatar.wardrobe.source, tuple(found), torch.zeros(0, 3, 3)))
    near = (codes.attributes[0] - codes.attributes[1]).norm()
    far = (codes.attributes[0] - codes.attributes[2]).norm()
    assert 5 * near < far


def test_points_are_bound_to_the_nearest_skin(head: Head) -> None:
    vertices = pose_head(head, torch.zeros(100), torch.zeros(50), torch.zeros(15)).vertices
    corners = vertices[head.faces]
    frames = triangle_frames(corners)
    allowed = skin_triangles(head)
    chosen = allowed.nonzero()[::37, 0]
    points = corners[chosen].mean(dim=1) + 0.002 * frames[chosen][:, :, 2]
    bound = bind_points(vertices, head.faces, points, allowed)
    assert allowed[bound.triangle].all()
    assert (bound.triangle == chosen).float().mean() > 0.95
    surfels = new_surfels(
        bound.triangle, bound.barycentric, bound.offset, torch.zeros(len(points), 3), 0.01
    )
    posed = pose_surfels(surfels, vertices, head.faces, torch.zeros(NUM_STATES))
    assert (posed.points - points).abs().max() < 1e-5


def test_an_ellipse_seen_from_the_side_is_thin(head: Head) -> None:
    vertices = pose_head(head, torch.zeros(100), torch.zeros(50), torch.zeros(15)).vertices
    surfels = replace(surfels_on(head, 400), offset_states=torch.zeros(400, NUM_STATES, 3))
    posed = pose_surfels(surfels, vertices, head.faces, torch.zeros(NUM_STATES))
    camera = pr.Camera.orbit((0, 0, 0), 5.0, image_size=(256, 256))
    _, conics = project_surfels(posed, camera.tensors, camera.image_size)
    a, b, c = conics.unbind(dim=1)
    areas = 1 / (a * c - b * b).sqrt()
    assert (a * c > b * b).all()
    away = torch.nn.functional.normalize(torch.from_numpy(camera.centre) - posed.points, dim=1)
    facing = (posed.normals * away).sum(dim=1).abs()
    assert areas[facing < 0.1].max() < 0.6 * areas[facing > 0.9].min()


def test_fewer_surfels_are_drawn_larger(avatar: SurfelAvatar) -> None:
    session, camera = pr.Session(avatar, "cpu"), avatar.default_camera((64, 64))
    whole = session.render(avatar.neutral(), camera, ("alpha",))
    some = session.render(avatar.neutral(), camera, ("alpha",), max_points=800)
    assert some.num_points < 0.4 * whole.num_points
    assert abs(some["alpha"].mean() - whole["alpha"].mean()) < 0.1


@pytest.mark.parametrize("count", [500, 9000])
def test_avatars_of_another_number_of_surfels_look_alike(avatar: SurfelAvatar, count: int) -> None:
    other = replace(avatar, wardrobe=avatar.wardrobe.resized(count))
    assert abs(other.num_points - count) < 10
    for attribute in other.wardrobe.attributes:
        assert not len(attribute.region) or int(attribute.region.max()) < len(other.wardrobe.source)
    params, camera = other.neutral(), avatar.default_camera((48, 48))
    params.attributes = {"nose": "big"}
    pictures = [pr.Session(a, "cpu").render(params, camera)["rgb"] for a in (avatar, other)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.2


def test_a_file_gives_the_same_avatar(avatar: SurfelAvatar, tmp_path: Path) -> None:
    avatar.save(tmp_path / "a.avatar")
    again = pr.load_avatar(tmp_path / "a.avatar")
    assert isinstance(again, SurfelAvatar)
    assert again.attribute_names == NAMES and again.num_points == avatar.num_points
    params, camera = moved(avatar), avatar.default_camera((64, 64))
    params.attributes = {"nose": "big", "hat": "cap"}
    pictures = [pr.Session(a, "cpu").render(params, camera)["rgb"] for a in (avatar, again)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 2e-3
    again.save(tmp_path / "b.avatar")
    assert (tmp_path / "a.avatar").read_bytes() == (tmp_path / "b.avatar").read_bytes()


BROKEN = {
    "surfels.triangle": (lambda t: t.fill_(9_999_999), "another head"),
    "surfels.triangle ": (lambda t: t.fill_(-1), "triangle -1"),
    "surfels.barycentric ": (lambda t: t.fill_(torch.nan), "NaN"),
    "surfels.opacity ": (lambda t: t.fill_(torch.inf), "infinity"),
    "surfels.log_radius ": (lambda t: t.fill_(-torch.inf), "infinity"),
    "difference.log_radius": (lambda t: t.fill_(torch.nan), "NaN"),
    "surfels.barycentric": (lambda t: t.mul_(2), "does not sum to 1"),
    "surfels.opacity": (lambda t: t.fill_(torch.nan), "NaN"),
    "surfels.log_radius": (lambda t: t.fill_(60_000), "not within"),
    "surfels.offset": (lambda t: t.fill_(1e30), "not within"),
    "surfels.colour_states": (lambda t: t[:5], "is of shape"),
    "region": (lambda t: t.fill_(7), "does not have"),
    "difference.opacity": (lambda t: t[:5], "is of shape"),
    "light.layers.0.weight": (lambda t: t.fill_(1e30), "not within"),
    "states.linear.weight": (lambda t: t[:, :3], "is of shape"),
    "shape": (lambda t: t[:3], "shape"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_arrays_are_refused_in_a_line(
    avatar: SurfelAvatar, tmp_path: Path, name: str
) -> None:
    from safetensors import safe_open

    path = tmp_path / "a.avatar"
    avatar.save(path)
    with safe_open(str(path), framework="pt") as stream:
        metadata = stream.metadata()
    tensors = load_file(path)
    change, reason = BROKEN[name]
    name = name.strip()
    tensors[name] = change(tensors[name].clone()).contiguous()
    save_file(tensors, path, metadata)
    with pytest.raises(pr.InvalidInput, match=reason) as refused:
        pr.load_avatar(path)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)


def test_another_head_is_refused_in_a_line(avatar: SurfelAvatar, tmp_path: Path) -> None:
    path = tmp_path / "a.avatar"
    avatar.save(path)
    assert pr.load_avatar(path, head=avatar.head).head is avatar.head
    other = replace(avatar.head, name="other", sha256="0" * 64)
    fewer = replace(avatar.head, faces=avatar.head.faces[:1000])
    for head, reason in ((other, "bound to another head than 'other'"), (fewer, "another head")):
        with pytest.raises(pr.InvalidInput, match=reason) as refused:
            pr.load_avatar(path, head=head)
        assert "\n" not in str(refused.value) and str(path) in str(refused.value)


def test_missing_arrays_are_refused_in_a_line(avatar: SurfelAvatar, tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "a.avatar"
    avatar.save(path)
    with safe_open(str(path), framework="pt") as stream:
        metadata = stream.metadata()
    optional = {"surfels.part", "difference.part", *(key for key, _ in FACE.values())}
    for name in set(load_file(path)) - optional:
        tensors = load_file(path)
        del tensors[name]
        other = tmp_path / "b.avatar"
        save_file(tensors, other, metadata)
        with pytest.raises(pr.InvalidInput):
            pr.load_avatar(other)
