"""The avatar file: everything comes back, and nothing damaged, foreign or newer is opened."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import pegasus_runtime as pr
from pegasus_runtime.avatar.file import read_header

SIZES = pr.NetworkSizes(
    num_frequencies=2,
    geometry_width=8,
    geometry_depth=2,
    geometry_skip=0,
    deformer_width=8,
    deformer_depth=2,
    shading_width=8,
)


@pytest.fixture(scope="module")
def avatar() -> pr.Avatar:
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    return pr.initial_avatar(
        pr.load_free_head(),
        points,
        0.05,
        sizes=SIZES,
        attribute_names=["hair_a", "hat_b"],
        name="somebody",
    )


@pytest.fixture
def saved(avatar: pr.Avatar, tmp_path: Path) -> Path:
    avatar.save(tmp_path / "a.avatar")
    return tmp_path / "a.avatar"


def _rewrite(path: Path, header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, path, {"pegasus_avatar": json.dumps(header)})


def test_everything_comes_back(avatar: pr.Avatar, saved: Path) -> None:
    again = pr.load_avatar(saved)
    assert again.name == "somebody"
    assert again.attribute_names == ("hair_a", "hat_b")
    assert again.radius == avatar.radius
    assert torch.equal(again.points, avatar.points)
    for name, value in avatar.networks.state_dict().items():
        assert torch.equal(again.networks.state_dict()[name], value)


def test_no_head_and_no_pickle_in_it(avatar: pr.Avatar, saved: Path) -> None:
    header = read_header(saved)
    assert header["head"] == {"name": "free head", "sha256": avatar.head.sha256}
    assert not any("template" in name or "directions" in name for name in load_file(saved))
    assert b"cpickle" not in saved.read_bytes().lower()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 99}, "newer"),
        ({"format": "other"}, "not an avatar"),
        ({"radius": -1}, "radius"),
        ({"radius": float("nan")}, "radius"),
        ({"num_points": 7}, "points"),
        ({"sizes": {"geometry_width": 10**9}}, "geometry_width"),
        ({"categories": ["hair"]}, "damaged|source category"),
        ({"attribute_names": ["beard_x", "hat_b"]}, "beard_x"),
        ({"points_per_pixel": 0}, "points_per_pixel"),
        ({"head": {"name": "other", "sha256": "00"}}, "--head"),
    ],
)
def test_a_wrong_header_is_refused_in_one_line(
    saved: Path, change: dict[str, Any], says: str
) -> None:
    _rewrite(saved, {**read_header(saved), **change}, load_file(saved))
    with pytest.raises(pr.Refused, match=says) as refusal:
        pr.load_avatar(saved)
    assert str(saved) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_nan_in_weights_is_refused(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["networks.geometry.output.bias"][0] = float("nan")
    _rewrite(saved, read_header(saved), tensors)
    with pytest.raises(pr.Refused, match="NaN"):
        pr.load_avatar(saved)


def test_truncated_and_foreign_files_are_refused(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for share in (0.0, 0.01, 0.5, 0.99):
        saved.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(pr.Refused):
            pr.load_avatar(saved)
    with pytest.raises(pr.Refused, match="folder"):
        pr.load_avatar(tmp_path)
    with pytest.raises(FileNotFoundError):
        pr.load_avatar(tmp_path / "nothing.avatar")


def test_random_changes_are_opened_or_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    choose = random.Random(0)
    for _ in range(60):
        changed = bytearray(whole)
        for _ in range(choose.randint(1, 4)):
            changed[choose.randrange(min(len(changed), 6000))] = choose.randrange(256)
        saved.write_bytes(changed)
        try:
            pr.load_avatar(saved)
        except pr.Refused as refusal:
            assert "\n" not in str(refusal)


def test_an_avatar_with_nan_is_not_written(avatar: pr.Avatar, tmp_path: Path) -> None:
    from dataclasses import replace

    path = tmp_path / "b.avatar"
    path.write_bytes(b"older")
    with pytest.raises(pr.Refused, match="NaN"):
        replace(avatar, points=avatar.points * float("nan")).save(path)
    assert path.read_bytes() == b"older"
    with pytest.raises(pr.Refused, match="does not exist"):
        avatar.save(tmp_path / "missing" / "c.avatar")
    assert [p.name for p in tmp_path.iterdir()] == ["b.avatar"]
