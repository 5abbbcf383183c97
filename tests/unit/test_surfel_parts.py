"""What each surfel shows: told by part pictures, kept in the file, else guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pegasus_runtime as pr
from pegasus_runtime.avatar_file import read_header
from pegasus_runtime.camera import Camera
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import STANDS_OFF, triangle_parts, with_guessed_parts
from tests.factories import surfel_avatar
from trainer.data.dataset import Capture
from trainer.refine.misplaced_surfels import without_misplaced
from trainer.refine.part_votes import with_parts

SIDE = 128


def _opened(path: Path) -> SurfelAvatar:
    avatar = pr.load_avatar(path)
    assert isinstance(avatar, SurfelAvatar)
    return avatar


@pytest.fixture(scope="module")
def avatar() -> SurfelAvatar:
    return surfel_avatar(["hair_a", "hat_b", "nose_c"])


@pytest.fixture
def saved(avatar: SurfelAvatar, tmp_path: Path) -> Path:
    part = torch.arange(avatar.num_points) % len(PART_NAMES)
    regions = [torch.arange(len(a.region)).byte() % 5 for a in avatar.wardrobe.attributes]
    wardrobe = avatar.wardrobe.with_parts(part.byte(), regions)
    replace(avatar, wardrobe=wardrobe).save(tmp_path / "a.avatar")
    return tmp_path / "a.avatar"


def test_parts_come_back(avatar: SurfelAvatar, saved: Path) -> None:
    again = _opened(saved).wardrobe
    assert torch.equal(
        again.everything.part.long(), torch.arange(avatar.num_points) % len(PART_NAMES)
    )
    for attribute in again.attributes:
        assert attribute.part is not None and attribute.part.tolist()[:6] == [0, 1, 2, 3, 4, 0]


def test_a_table_in_another_order_is_read_by_its_names(saved: Path) -> None:
    header, tensors = read_header(saved), load_file(saved)
    _rewrite(saved, {**header, "part_names": header["part_names"][::-1]}, tensors)
    assert int(_opened(saved).wardrobe.source.part[0]) == len(PART_NAMES) - 1


def test_an_older_file_opens_with_a_guess(avatar: SurfelAvatar, saved: Path) -> None:
    header, tensors = read_header(saved), load_file(saved)
    del header["part_names"], tensors["surfels.part"], tensors["difference.part"]
    _rewrite(saved, header, tensors)
    again = _opened(saved).wardrobe
    assert torch.equal(
        again.everything.part, with_guessed_parts(avatar.wardrobe, avatar.head).everything.part
    )
    shows = {a.name: {PART_NAMES[i] for i in a.own.part.tolist()} for a in again.attributes}
    assert shows["hair_a"] == {"hair"} and shows["hat_b"] == {"hat"}
    assert {"skin", "nose", "scalp"} <= {PART_NAMES[i] for i in again.source.part.tolist()}


@pytest.mark.parametrize(
    ("header", "tensors", "says"),
    [
        ({"part_names": ["skin"]}, {}, "names class 15, its header has 1"),
        ({"part_names": [*PART_NAMES[:-1], "x" + "y\n" * 50]}, {}, "part_names"),
        ({"part_names": 3}, {}, "part_names = 3"),
        ({"part_names": [[]]}, {}, "part_names"),
        ({}, {"surfels.part": torch.zeros(3, dtype=torch.uint8)}, "shape"),
        ({}, {"surfels.part": torch.zeros(3450)}, "holds F32"),
        ({}, {"difference.part": torch.full((600,), 200, dtype=torch.uint8)}, "class 200"),
    ],
)
def test_damaged_parts_are_refused_in_one_line(
    saved: Path, header: dict[str, Any], tensors: dict[str, torch.Tensor], says: str
) -> None:
    _rewrite(saved, {**read_header(saved), **header}, {**load_file(saved), **tensors})
    with pytest.raises(pr.InvalidInput, match=says) as refusal:
        pr.load_avatar(saved)
    assert str(saved) in str(refusal.value) and "\n" not in str(refusal.value)


def test_surfels_show_the_class_that_lies_under_them(avatar: SurfelAvatar) -> None:
    """Pictures of which the left half is clothes and the right half a hat."""
    names = ("background", "hat", "clothes", "something")
    capture = _capture(names, np.where(np.arange(SIDE) < SIDE // 2, 2, 1)[None].repeat(SIDE, 0))
    found = with_parts(avatar.wardrobe, avatar.head, capture)
    # What the back of the head shows, no picture tells.
    x = torch.where(avatar.rest_points[:, 2] > -0.1, avatar.rest_points[:, 0], 0)
    shown = found.everything.part
    assert (shown[x < -0.1] == PART_NAMES.index("clothes")).float().mean() > 0.9
    assert (shown[x > 0.1] == PART_NAMES.index("hat")).float().mean() > 0.9
    for attribute in found.attributes:
        assert attribute.part is not None and len(attribute.part) == len(attribute.region)


def test_what_no_picture_shows_is_not_as_what_lies_before_it(avatar: SurfelAvatar) -> None:
    """Filmed from the front, what lies nearest to the back of the head is a face."""
    capture = _capture(("background", "lips"), np.ones((SIDE, SIDE)))
    found = with_parts(avatar.wardrobe, avatar.head, capture).source
    points = avatar.rest_points[: len(found)]
    rides = triangle_parts(avatar.head)[found.triangle]
    behind = points[:, 2] < -0.2
    off = found.offset.norm(dim=1)
    hair = behind & (rides == PART_NAMES.index("scalp")) & (off > STANDS_OFF)
    assert hair.sum() > 20
    assert (found.part[hair] == PART_NAMES.index("hair")).float().mean() > 0.8


def test_without_part_pictures_parts_are_guessed(avatar: SurfelAvatar) -> None:
    found = with_parts(avatar.wardrobe, avatar.head, _capture((), None))
    guess = with_guessed_parts(avatar.wardrobe, avatar.head)
    assert torch.equal(found.everything.part, guess.everything.part)


def test_skin_among_the_surfels_of_hair_is_left_out(avatar: SurfelAvatar) -> None:
    """Of a third of them; where most are something else, part pictures do not know the hair."""
    wardrobe = avatar.wardrobe
    count = wardrobe.num_surfels
    part = torch.full((count,), PART_NAMES.index("hair"), dtype=torch.uint8)
    part[torch.arange(count) % 3 == 0] = PART_NAMES.index("skin")
    found = wardrobe.with_parts(part, [None] * len(wardrobe.attributes))
    left = without_misplaced(found, _capture(("hair", "skin", "hat"), None))
    by_name = {attribute.name: attribute for attribute in found.attributes}
    for attribute in left.attributes:
        before = by_name[attribute.name].own.part
        is_hair = attribute.name.startswith("hair_")
        right = before[before == PART_NAMES.index("hair")] if is_hair else before
        assert torch.equal(attribute.own.part, right)
    assert any(name.startswith("hair_") and len(a.own) for name, a in by_name.items())
    assert without_misplaced(found, _capture((), None)).num_surfels == count


def _capture(names: tuple[str, ...], labels: np.ndarray | None) -> Capture:
    """Frames of a head seen from about the front."""
    frames = []
    for yaw in (-20.0, 0.0, 20.0):
        record = SimpleNamespace(
            expression=np.zeros(50, np.float32), pose=np.zeros(15, np.float32),
            camera=Camera.orbit((0, 0, 0), 4.0, yaw_deg=yaw, fov_deg=30, image_size=(SIDE, SIDE)),
        )  # fmt: skip
        parts = None if labels is None else labels.astype(np.uint8)
        frames.append(SimpleNamespace(record=record, pictures=SimpleNamespace(parts=parts)))
    subjects = ("me", "hair_a", "hat_b", "nose_c")
    capture = SimpleNamespace(
        training={name: frames for name in subjects}, source="me",
        shape=torch.zeros(100), part_names=names,
    )  # fmt: skip
    return cast(Capture, capture)


def _rewrite(path: Path, header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, path, {"pegasus_avatar": json.dumps(header)})
