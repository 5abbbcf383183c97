"""The avatar file: everything comes back, and nothing damaged, foreign or newer is opened."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import pegasus_runtime as pr
from pegasus_runtime.avatar_file import read_header
from tests.factories import published_avatar


@pytest.fixture(scope="module")
def avatar() -> pr.Avatar:
    return published_avatar(["hair_a", "hat_b"], every=99, name="somebody")


@pytest.fixture
def saved(avatar: pr.Avatar, tmp_path: Path) -> Path:
    avatar.save(tmp_path / "a.avatar")
    return tmp_path / "a.avatar"


def _nested(depth: int) -> Any:
    return {"a": _nested(depth - 1)} if depth else 0


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
        ({"points_per_pixel": True}, "points_per_pixel"),
        ({"radius": 1e30}, "radius"),
        ({"radius": 10**400}, "too large"),
        ({"radius": "0.1"}, "radius"),
        ({"radius": [0.1]}, "radius"),
        ({"view_scale": 0}, "view_scale"),
        ({"canonical_jaw_rad": float("nan")}, "canonical_jaw_rad nan"),
        ({"canonical_jaw_rad": float("inf")}, "canonical_jaw_rad inf"),
        ({"canonical_jaw_rad": None}, "canonical_jaw_rad"),
        ({"moves_points": "no"}, "moves_points"),
        ({"provenance": ["x"]}, "provenance"),
        ({"provenance": {"a": "x" * 200_000}, "name": 3}, "avatar 3: a name has to be a text"),
        ({"name": "/etc/passwd"}, "avatar '/etc/passwd'"),
        ({"name": "x\n" * 100_000}, "avatar 'x"),
        ({"name": ""}, "use a name"),
        ({"store": 3}, "store"),
        ({"store": [[0, 0, 0], [1, 1]]}, "store"),
        ({"store": [[0, 0, 0], [1, 1, float("nan")]]}, "store"),
        ({"store": [[1, 1, 1], [0, 0, 0]]}, "store"),
        ({"num_points": 10**18}, "num_points"),
        ({"num_points": "50"}, "num_points"),
        ({"attribute_names": ["hair_/tmp/a", "hat_b"]}, "slashes"),
        ({"attribute_names": ["hair_a", "hair_a"]}, "twice"),
        ({"attribute_names": "hair_a"}, "list of names"),
        ({"attribute_names": [["hair_a"], "hat_b"]}, "has to be a text"),
        ({"attribute_names": ["hair_a"] * 10**5}, "more than"),
        ({"categories": ["hair", "hair"]}, "twice"),
        ({"categories": []}, "categories"),
        ({"sizes": {"geometry_width": 4096, "deformer_width": 4096}}, "not fit"),
        ({"sizes": {"latent_size": 4096}}, "fit together"),
        ({"sizes": {"depth": 3}}, "sizes"),
        ({"sizes": [1]}, "sizes"),
        ({"head": None}, "head = None"),
        ({"head": {"name": [], "sha256": 3}}, "head = "),
        ({"version": True}, "not an avatar"),
        ({"provenance": _nested(100)}, "levels"),
        ({"head": {"name": "other", "sha256": "00"}}, "--head"),
    ],
)
def test_a_wrong_header_is_refused_in_one_line(
    saved: Path, change: dict[str, Any], says: str
) -> None:
    _rewrite(saved, {**read_header(saved), **change}, load_file(saved))
    with pytest.raises(pr.InvalidInput, match=says) as refusal:
        pr.load_avatar(saved)
    assert str(saved) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("networks.geometry.output.bias", float("nan"), "NaN"),
        ("networks.geometry.output.bias", 3e38, "3e\\+38"),
        ("networks.geometry.layers.0.weight_g", 1e6, ""),
        ("networks.shading.layers.1.weight_v", 0.0, "NaN"),
        ("codes.attributes", 1e30, "makes no sense"),
        ("points", 1e9, "points"),
        ("canonical_expression", 133_333.0, "canonical_expression"),
        ("shape", float("inf"), "NaN"),
    ],
)
def test_numbers_that_make_no_picture_are_refused(
    saved: Path, name: str, value: float, says: str
) -> None:
    tensors = load_file(saved)
    tensors[name][:] = value
    _rewrite(saved, read_header(saved), tensors)
    if not says:
        pr.load_avatar(saved)
        return
    with pytest.raises(pr.InvalidInput, match=says):
        pr.load_avatar(saved)


def test_wide_networks_are_refused_before_they_are_built(saved: Path) -> None:
    """It declares 4,096 wide networks, four gigabytes, in a file of a few kilobytes."""
    sizes = dict.fromkeys(("geometry_width", "deformer_width", "shading_width"), 4096)
    depths = dict.fromkeys(("geometry_depth", "deformer_depth", "shading_depth"), 32)
    header = read_header(saved)
    header["sizes"] = header["sizes"] | sizes | depths
    _rewrite(saved, header, load_file(saved))
    before = torch.get_rng_state()
    with (
        torch.profiler.profile(profile_memory=True) as profile,
        pytest.raises(pr.InvalidInput, match="not fit"),
    ):
        pr.load_avatar(saved)
    assert sum(max(event.cpu_memory_usage, 0) for event in profile.events()) < 1 << 20
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", [torch.int64, torch.complex64, torch.bool, torch.float8_e4m3fn])
def test_tensors_of_other_kinds_are_refused(saved: Path, kind: torch.dtype) -> None:
    tensors = load_file(saved)
    _rewrite(saved, read_header(saved), {**tensors, "points": tensors["points"].to(kind)})
    with pytest.raises(pr.InvalidInput, match="points holds"):
        pr.load_avatar(saved)
    _rewrite(saved, read_header(saved), {**tensors, "points": tensors["points"].half()})
    assert pr.load_avatar(saved).points.dtype == torch.float32
    _rewrite(saved, read_header(saved), {**tensors, "networks.x" + "y\n" * 99: torch.ones(1)})
    with pytest.raises(pr.InvalidInput, match="unknown"):
        pr.load_avatar(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a/b"},
        {"name": "a\0"},
        {"radius": float("nan")},
        {"provenance": {"a": object()}},
        {"canonical_jaw_rad": 50.0},
        {"points_per_pixel": 0},
    ],
)
def test_what_could_not_be_opened_is_not_written(
    avatar: pr.Avatar, change: dict[str, Any], tmp_path: Path
) -> None:
    from dataclasses import replace

    with pytest.raises(pr.InvalidInput) as refusal:
        replace(avatar, **change).save(tmp_path / "b.avatar")
    assert str(refusal.value).isprintable() and not list(tmp_path.iterdir())


def test_truncated_and_foreign_files_are_refused(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for share in (0.0, 0.01, 0.5, 0.99):
        saved.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(pr.InvalidInput):
            pr.load_avatar(saved)
    with pytest.raises(pr.InvalidInput, match="folder"):
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
        except pr.InvalidInput as refusal:
            assert "\n" not in str(refusal)


def test_an_avatar_with_nan_is_not_written(avatar: pr.Avatar, tmp_path: Path) -> None:
    from dataclasses import replace

    path = tmp_path / "b.avatar"
    path.write_bytes(b"older")
    with pytest.raises(pr.InvalidInput, match="NaN"):
        replace(avatar, points=avatar.points * float("nan")).save(path)
    assert path.read_bytes() == b"older"
    with pytest.raises(pr.InvalidInput, match="does not exist"):
        avatar.save(tmp_path / "missing" / "c.avatar")
    assert [p.name for p in tmp_path.iterdir()] == ["b.avatar"]


def test_tensors_that_share_memory_are_written(avatar: pr.Avatar, tmp_path: Path) -> None:
    both = torch.linspace(0, 0.5, 50 + avatar.shape.numel())
    shared = replace(avatar, canonical_expression=both[:50], shape=both[: len(avatar.shape)])
    path = tmp_path / "shared.avatar"
    shared.save(path)
    again = pr.load_avatar(path)
    assert torch.equal(again.shape, shared.shape)
    assert torch.equal(again.canonical_expression, shared.canonical_expression)
