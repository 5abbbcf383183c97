"""Attributes of one avatar on another person's: they fit, they can be worn, and what cannot be is
refused in one line."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import pegasus_runtime as pr
from pegasus_runtime.head import pose_head
from pegasus_runtime.head.parts import PART_NAMES, require_parts
from pegasus_runtime.surfels.attributes import (
    Attribute,
    Difference,
    Wardrobe,
    rest_corners,
)
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.binding import bind_points, skin_triangles
from pegasus_runtime.surfels.parts import is_part, triangle_parts
from pegasus_runtime.surfels.pose import LightNetwork
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels
from tests.dressed_people import NAMES, dressed_person, on_parts, points_of
from tests.factories import other_head, published_avatar, surfel_avatar
from trainer.cli import main
from trainer.transfer.carried import laid_around
from trainer.transfer.correspondence import Correspondence, eyes_of
from trainer.transfer.looks import look_of
from trainer.transfer.request import TRANSFERABLE
from trainer.transfer.states import states_across, with_states_of
from trainer.transfer.transfer import transfer
from trainer.transfer.worn import worn_look


def _attribute(avatar: SurfelAvatar, name: str) -> Attribute:
    return next(a for a in avatar.wardrobe.attributes if a.name == name)


def test_all_categories_at_once_are_worn_saved_and_undone(
    personal: SurfelAvatar, target: SurfelAvatar, tmp_path: Path
) -> None:
    assert {name.partition("_")[0] for name in NAMES} == set(TRANSFERABLE)
    transfer(personal, target, NAMES).save(tmp_path / "new.avatar")
    made = pr.load_avatar(tmp_path / "new.avatar")
    assert isinstance(made, SurfelAvatar)
    assert made.attribute_names == ("hair_z", *NAMES) and made.name == "bert"
    assert made.provenance["transferred"] == dict.fromkeys(NAMES, "anna")
    session, camera = pr.Session(made, "cpu"), made.default_camera((64, 64))
    plain = session.render(made.neutral(), camera)["rgb"]
    before = pr.Session(target, "cpu").render(target.neutral(), camera)["rgb"]
    assert abs(plain - before).max() < 0.02, "the person is as before"
    for name in NAMES:
        category = name.partition("_")[0]
        for strength in (0.5, 1.0, 1.5):
            params = replace(made.neutral(), attributes={category: (name, strength)})
            worn = session.render(params, camera)["rgb"]
            assert abs(worn - plain).max() > 0.01, name
        code = made.codes.compose({category: (name, 0.5)})
        latent = replace(made.neutral(), latent=code.numpy())
        assert made.strengths(latent) == pytest.approx({name: 0.5}, abs=1e-3)


def test_on_the_same_person_everything_lies_where_it_lay(personal: SurfelAvatar) -> None:
    bare = replace(
        personal,
        wardrobe=Wardrobe(personal.wardrobe.source, (), personal.wardrobe.rest_corners),
        codes=dressed_person((), "x").codes,
    )
    made = transfer(personal, bare, ("hat_b", "eyeglasses_c", "nose_d"))
    for name in ("hat_b", "eyeglasses_c"):
        old, new = _attribute(personal, name).own, _attribute(made, name).own
        where, there = points_of(personal, old), points_of(made, new)
        apart, nearest = torch.cdist(there, where).min(dim=1)
        assert len(new) > 50 and apart.median() < 1e-3 and apart.max() < 0.1, name
        change = (old.colour.sigmoid()[nearest] - new.colour.sigmoid()).abs()
        assert change.median() < 0.02
    moved = _moved(made, "nose_d")
    assert (
        moved[on_parts(made, ["nose"])].mean() > 5 * moved[on_parts(made, ["scalp", "neck"])].mean()
    )


def _moved(avatar: SurfelAvatar, name: str) -> Tensor:
    dressed = avatar.wardrobe.dressed({name: 1.0})
    everything = avatar.wardrobe.everything
    moved = points_of(avatar, dressed) - points_of(avatar, everything)
    return moved[: len(avatar.wardrobe.source)].norm(dim=1)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("hat_b", 2e-3), ("hair_a", 2e-3), ("eyeglasses_c", 2e-2)]
)
def test_what_is_worn_neither_floats_nor_sinks(
    personal: SurfelAvatar, target: SurfelAvatar, name: str, tolerance: float
) -> None:
    """Glasses do not shrink with a head: they stand off this smaller one a little."""
    made = transfer(personal, target, (name,))
    old, new = worn_look(personal, _attribute(personal, name)).surfels, _attribute(made, name).own
    new = new.chosen((~is_part(new.part, ["scalp"])).nonzero()[:, 0])
    before, after = (_heights(personal, surfels) for surfels in (old, new))
    assert (before.median() - after.median()).abs() < tolerance
    assert (before.quantile(0.1) - after.quantile(0.1)).abs() < 2 * tolerance


def test_glasses_stay_before_the_eyes(personal: SurfelAvatar, target: SurfelAvatar) -> None:
    look = look_of(personal, _attribute(personal, "eyeglasses_c").own)
    across = Correspondence.between(personal, target)
    laid = laid_around(look, target, across, "eyeglasses")
    before, after = look.points - eyes_of(personal), points_of(target, laid) - eyes_of(target)
    assert (before - after).abs().max() < 1e-4, "neither higher nor lower, level, in their form"


def test_a_hat_stands_off_the_skin_as_far_as_it_did(
    personal: SurfelAvatar, target: SurfelAvatar
) -> None:
    look = look_of(personal, _attribute(personal, "hat_b").own)
    across = Correspondence.between(personal, target)
    points = points_of(target, laid_around(look, target, across, "hat"))
    before, after = _from_skin(personal, look.points), _from_skin(target, points)
    close = before < 0.05
    assert (before - after)[close].abs().quantile(0.9) < 1e-3
    assert (before / after)[~close].log().abs().max() < 0.2, "its brim fits the head"


def _from_skin(avatar: SurfelAvatar, points: Tensor) -> Tensor:
    vertices = pose_head(avatar.head, avatar.shape, torch.zeros(50), torch.zeros(15)).vertices
    bound = bind_points(vertices, avatar.head.faces, points, skin_triangles(avatar.head))
    return bound.offset.norm(dim=1)


def test_what_is_worn_follows_expressions_as_it_did(
    personal: SurfelAvatar, target: SurfelAvatar
) -> None:
    """Their states are the same in another order."""
    states = copy.deepcopy(personal.states)
    order = torch.randperm(NUM_STATES, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        states.linear.weight.copy_(personal.states.linear.weight[order])
        states.linear.bias.copy_(personal.states.linear.bias[order])
    other = replace(target, states=states)
    own = _attribute(personal, "hat_b").own
    made = _attribute(transfer(personal, other, ("hat_b",)), "hat_b").own
    assert made.offset_states.abs().max() > 0.5 * own.offset_states.abs().max() > 0
    carried = with_states_of(own, states_across(personal, other))
    generator = torch.Generator().manual_seed(2)
    expression, feature = (torch.rand(size, generator=generator) for size in (50, 36))
    with torch.no_grad():
        before, after = personal.states(expression, feature), states(expression, feature)
    for name in ("offset_states", "colour_states"):
        moved = torch.einsum("r,nrc->nc", before, getattr(own, name))
        assert torch.allclose(
            torch.einsum("r,nrc->nc", after, getattr(carried, name)), moved, atol=1e-4
        )
    opacity = carried.opacity_states @ after
    assert torch.allclose(opacity, own.opacity_states @ before, atol=1e-4)


def test_eyeballs_take_the_place_of_the_own_ones(
    personal: SurfelAvatar, target: SurfelAvatar
) -> None:
    made = transfer(personal, target, ("eyes_f",))
    own, source = _attribute(made, "eyes_f").own, made.wardrobe.source
    eyes = PART_NAMES.index("eyes")
    assert len(own) > 100 and (triangle_parts(made.head)[own.triangle] == eyes).all()
    dressed = made.wardrobe.dressed({"eyes_f": 1.0})
    hidden = (triangle_parts(made.head)[source.triangle] == eyes) & (source.part == eyes)
    assert dressed.opacity[: len(source)][hidden].max() < -7


def test_attributes_that_change_nothing_leave_white_skin_white(
    personal: SurfelAvatar, target: SurfelAvatar
) -> None:
    none = torch.zeros(0, dtype=torch.long)
    attributes = tuple(
        replace(a, region=none, difference=Difference.none(0), own=a.own.chosen(none), part=None)
        for a in personal.wardrobe.attributes
    )
    nothing = replace(personal, wardrobe=replace(personal.wardrobe, attributes=attributes))
    source = target.wardrobe.source
    white = replace(source, colour=torch.full_like(source.colour, 12.0))
    white_target = replace(target, wardrobe=replace(target.wardrobe, source=white))
    made = transfer(nothing, white_target, ("nose_d", "mouth_e", "ears_g"))
    dressed = made.wardrobe.dressed({"nose_d": 1.0, "mouth_e": 1.0, "ears_g": 1.0})
    assert dressed.colour[: len(source)].min() > 4


@pytest.mark.parametrize(
    ("name", "part", "push"),
    [("nose_d", "nose", (0.0, 0.0, 0.04)), ("ears_g", "ears", (0.03, 0.0, 0.0))],
)
def test_a_part_that_others_surfels_show_elsewhere_moves_there(
    personal: SurfelAvatar, target: SurfelAvatar, name: str, part: str, push: tuple[float, ...]
) -> None:
    """A training may hide the old nose and grow a new one: no surfel has moved."""
    lender, plain = _shaded(personal), _shaded(target)
    source = lender.wardrobe.source
    region = is_part(source.part, [part]).nonzero()[:, 0]
    points, frames = (getattr(look_of(lender, source), n)[region] for n in ("points", "frames"))
    moved = torch.tensor(push) * torch.where(points[:, :1] < 0, torch.tensor([-1.0, 1, 1]), 1.0)
    offset = source.offset[region] + (frames.transpose(1, 2) @ moved[:, :, None])[:, :, 0]
    hidden = replace(Difference.none(len(region)), opacity=torch.full((len(region),), -12.0))
    own = replace(source.chosen(region), offset=offset)
    attribute = Attribute(name, region, hidden, own, source.part[region])
    wearing = tuple(attribute if a.name == name else a for a in lender.wardrobe.attributes)
    made = transfer(
        replace(lender, wardrobe=replace(lender.wardrobe, attributes=wearing)), plain, (name,)
    )
    shown = on_parts(made, [part])
    new, old = made.wardrobe.dressed({name: 1.0}), made.wardrobe.everything
    way = points_of(made, new) - points_of(made, old)
    side = torch.where(points_of(made, old)[:, 0] < 0, -1.0, 1.0)
    along = way[:, 2] if push[2] else side * way[:, 0]
    among = torch.cat([shown, torch.zeros(len(old) - len(shown), dtype=torch.bool)])
    assert along[among].median() > 0.4 * max(push)
    assert new.opacity[among].min() > 0
    away = torch.cat([on_parts(made, ["scalp", "neck"]), ~torch.ones(len(old) - len(shown)).bool()])
    assert way[away].norm(dim=1).median() < 1e-3


def _shaded(avatar: SurfelAvatar) -> SurfelAvatar:
    """The same, closed and opaque, in colours that lie side by side as on a face."""
    source = avatar.wardrobe.source
    points = points_of(avatar, source)
    colour = torch.stack([torch.sin(25 * points[:, k] + k) for k in range(3)], dim=1)
    source = replace(
        source,
        offset=torch.zeros_like(source.offset),
        rotation=torch.zeros_like(source.rotation),
        log_radius=torch.full_like(source.log_radius, 0.015).log(),
        opacity=torch.full_like(source.opacity, 3.0),
        colour=colour,
        opacity_states=torch.zeros_like(source.opacity_states),
    )
    return replace(avatar, wardrobe=replace(avatar.wardrobe, source=source), light=LightNetwork())


def _heights(avatar: SurfelAvatar, surfels: Surfels) -> Tensor:
    """How far surfels on the scalp and the brow stand off the triangles that they ride on."""
    above = require_parts(avatar.head).on("scalp", "skin")[avatar.head.faces].all(dim=1)
    above &= avatar.wardrobe.rest_corners[:, :, 1].min(dim=1).values > 0
    return surfels.offset[above[surfels.triangle], 2]


def test_hair_goes_for_hair_and_skin_is_below(personal: SurfelAvatar, target: SurfelAvatar) -> None:
    made = transfer(personal, target, ("hair_a",))
    dressed = made.wardrobe.dressed({"hair_a": 1.0})
    source = torch.arange(len(made.wardrobe.source))
    assert dressed.opacity[source][on_parts(made, ["hair"])].max() < -7
    assert (dressed.opacity[source] - made.wardrobe.source.opacity)[
        on_parts(made, ["nose"])
    ].max() == 0
    skin = is_part(_attribute(made, "hair_a").own.part, ["scalp"])
    assert skin.sum() > 500
    colours = _attribute(made, "hair_a").own.colour[skin].sigmoid()
    assert colours.std(dim=0).max() < 0.12, "skin is smooth, the source's colours are chance"


def test_heads_that_differ_are_laid_over_one_another(personal: SurfelAvatar) -> None:
    head = other_head()
    larger = dressed_person((), "carl")
    wardrobe = replace(larger.wardrobe, rest_corners=rest_corners(head, larger.shape))
    larger = replace(larger, head=replace(head, sha256="0" * 64), wardrobe=wardrobe)
    made = transfer(personal, larger, ("hat_b", "nose_d"))
    where = points_of(personal, _attribute(personal, "hat_b").own)
    there = points_of(made, _attribute(made, "hat_b").own)
    apart = torch.cdist(there, 1.01 * where).min(dim=1).values
    assert apart.median() < 0.02
    assert _moved(made, "nose_d")[on_parts(made, ["nose"])].mean() > 0
    blank = replace(larger, head=replace(larger.head, landmarks=None))
    with pytest.raises(pr.InvalidInput, match="no landmarks") as refusal:
        transfer(personal, blank, ("hat_b",))
    assert "\n" not in str(refusal.value)


@pytest.fixture
def files(personal: SurfelAvatar, target: SurfelAvatar, tmp_path: Path) -> Path:
    personal.save(tmp_path / "p.avatar")
    replace(target, name="bert").save(tmp_path / "t.avatar")
    published_avatar(["hair_a"], every=99).save(tmp_path / "old.avatar")
    (tmp_path / "there.avatar").write_bytes(b"somebody's")
    (tmp_path / "cut.avatar").write_bytes((tmp_path / "t.avatar").read_bytes()[:5000])
    return tmp_path


BAD = [
    ("--attribute hair_aa", "has no attribute 'hair_aa'; did you mean hair_a"),
    ("--attribute hair_a --attribute hair_z", "has no attribute 'hair_z'"),
    ("", "name at least one"),
    ("--attribute hair_a --out new/x.avatar", "new"),
    ("--attribute hair_a --out there.avatar", "is there already"),
    ("--attribute hair_a --out p.avatar --replace", "is the avatar .*itself"),
    ("--attribute hair_a --out .", "folder"),
    ("--attribute hair_a --target nobody.avatar", "nobody.avatar"),
    ("--attribute hair_a --target cut.avatar", "cut.avatar"),
    ("--attribute hair_a --target old.avatar", "published model"),
    ("--attribute hair_a --avatar old.avatar", "published model"),
    ("--attribute hair_a --name a/b", "name"),
    ("--avatar t.avatar --attribute hair_z", "has hair_z already; give --replace"),
]


@pytest.mark.parametrize(("words", "says"), BAD)
def test_mistakes_are_told_in_one_line(
    files: Path, words: str, says: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(files)
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    usual = {"--avatar": "p.avatar", "--target": "t.avatar", "--out": "new.avatar"}
    given = [w for name, value in usual.items() if name not in words for w in (name, value)]
    assert main(["transfer", *given, *words.split()]) == 2
    said = capsys.readouterr().err
    assert re.search(says, said) and said.count("\n") == 1
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_two_of_a_category_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    surfel_avatar(("hair_a", "hair_b"), 300).save(tmp_path / "p.avatar")
    surfel_avatar((), 300).save(tmp_path / "t.avatar")
    given = ["--avatar", "p.avatar", "--target", "t.avatar", "--out", "n.avatar"]
    given = [w if w.startswith("-") else str(tmp_path / w) for w in given]
    assert main(["transfer", *given, "--attribute", "hair_a", "--attribute", "hair_b"]) == 2
    assert "hair_a and hair_b are both hair" in capsys.readouterr().err


def test_a_dry_run_tells_programs_what_would_be(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--avatar", str(files / "p.avatar"), "--target", str(files / "t.avatar")]
    assert main(["transfer", *given, "--dry-run"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["problems"] == [] and told["seconds"] > 0
    assert [row["name"] for row in told["attributes"]] == list(NAMES)
    assert all(row["transferable"] for row in told["attributes"])
    wrong = [*given, "--attribute", "hat_c", "--out", str(files / "there.avatar"), "--dry-run"]
    assert main(["transfer", *wrong]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["problems"]) == 2 and "did you mean hat_b" in told["problems"][0]
    assert main(["transfer", "--avatar", "no.avatar", "--target", "demo", "--dry-run"]) == 0
    assert "no.avatar" in json.loads(capsys.readouterr().out)["problems"][0]


def test_replaced_attributes_and_files_take_the_place_of_the_old(files: Path) -> None:
    given = ["--avatar", str(files / "p.avatar"), "--target", str(files / "t.avatar")]
    out = files / "there.avatar"
    words = ["transfer", *given, "--attribute", "hat_b", "--out", str(out), "--replace"]
    assert main([*words, "--name", "new one"]) == 0
    assert pr.load_avatar(out).name == "new one"
    again = ["transfer", "--avatar", str(files / "p.avatar"), "--target", str(out)]
    words = [*again, "--attribute", "hat_b", "--out", str(files / "n.avatar")]
    assert main(words) == 2
    assert main([*words, "--replace"]) == 0
    assert pr.load_avatar(files / "n.avatar").attribute_names == ("hair_z", "hat_b")
