"""Every fast path agrees with the exact one; work that is interrupted goes on where it stopped."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.deform import evaluation
from pegasus_runtime.deform.shading_lut import MAX_ERROR, bake_shading, interpolate
from pegasus_runtime.errors import Interrupted
from pegasus_runtime.lru_cache import LRUCache
from pegasus_runtime.model.geometry import Geometry
from pegasus_runtime.model.shading import Shading
from pegasus_runtime.passes import PASSES
from pegasus_runtime.raster import bands
from tests.evaluation_counter import count_evaluated
from tests.factories import published_avatar


@pytest.fixture(scope="module")
def avatar() -> pr.Avatar:
    return _random_avatar(every=2)


@pytest.fixture(scope="module")
def dense() -> pr.Avatar:
    """With enough points for a table of shading to pay."""
    return _random_avatar(every=1)


def _random_avatar(every: int) -> pr.Avatar:
    """Random networks that bend, turn and colour what they are given."""
    made = published_avatar(["hair_a"], every=every, blendshapes=0.02)
    torch.manual_seed(3)
    torch.nn.init.normal_(made.networks.deformer.skinning.weight, std=0.02)
    return made


def _moved(avatar: pr.Avatar) -> pr.Parameters:
    params = avatar.neutral()
    params.expression[:5], params.pose[3:9], params.shape[:4] = 1.5, 0.3, 2.0
    params.attributes["hair"] = ("a", 0.7)
    return params


def test_folded_posing_equals_the_model_as_written(
    avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "POINTS_PER_CHUNK", 320)  # several chunks, the last not full
    params, camera = _moved(avatar), avatar.default_camera((64, 64))
    plain = pr.Session(avatar, "cpu", exact=True).render(params, camera, PASSES)
    packed = pr.Session(avatar, "cpu").render(params, camera, PASSES)
    assert np.abs(plain.points - packed.points).max() < 1e-5
    assert np.abs(plain.normals - packed.normals).max() < 1e-4
    for name in PASSES:
        assert np.abs(plain[name] - packed[name]).mean() < 1e-5


def test_a_baked_picture_is_close_to_the_exact_one(dense: pr.Avatar) -> None:
    params, camera = _moved(dense), dense.default_camera((96, 96))
    exact = pr.Session(dense, "cpu", exact=True).render(params, camera, ("rgb",))["rgb"]
    baked = pr.Session(dense, "cpu").render(params, camera, ("rgb",))["rgb"]
    squared = float(np.square(exact - baked).mean())
    assert squared < 10 ** (-48 / 10)
    assert np.abs(exact - baked).max() <= 4 / 255


@pytest.mark.parametrize("density", ["avatar", "dense"])
def test_a_face_that_comes_back_has_the_same_picture(
    density: str, request: pytest.FixtureRequest
) -> None:
    avatar: pr.Avatar = request.getfixturevalue(density)
    session, camera = pr.Session(avatar, "cpu"), avatar.default_camera((48, 48))
    first = session.render(avatar.neutral(), camera)["rgb"]
    session.render(_moved(avatar), camera)
    assert np.array_equal(session.render(avatar.neutral(), camera)["rgb"], first)


@pytest.mark.parametrize("seed", range(4))
def test_a_table_is_within_its_bound_everywhere(seed: int) -> None:
    torch.manual_seed(seed)
    network, code = Shading(pr.NetworkSizes(shading_width=64, latent_size=8)), torch.randn(8)
    with torch.no_grad():
        network.layers[-1].weight_g.mul_(2 + seed)  # type: ignore[operator]
        table = bake_shading(lambda normals: network(normals, code), code.device)
        assert table is not None
        directions = torch.nn.functional.normalize(torch.randn(60_000, 3), dim=1)
        directions[:6] = torch.cat([torch.eye(3), -torch.eye(3)])
        wanted, found = network(directions, code), table(directions)
    assert float((wanted - found).abs().max()) <= MAX_ERROR
    assert float((interpolate(table.values, directions) - found).abs().max()) < 1e-5


def test_what_a_table_cannot_follow_is_not_baked() -> None:
    network = Shading(pr.NetworkSizes(shading_width=64, latent_size=0))
    with torch.no_grad():
        network.layers[-1].weight_g.mul_(1e5)  # type: ignore[operator]
        assert (
            bake_shading(lambda normals: network(normals, torch.zeros(0)), torch.device("cpu"))
            is None
        )


def test_normals_that_are_no_directions_get_a_finite_shade() -> None:
    network = Shading(pr.NetworkSizes(shading_width=8, latent_size=0))
    with torch.no_grad():
        table = bake_shading(lambda normals: network(normals, torch.zeros(0)), torch.device("cpu"))
    assert table is not None
    broken = torch.tensor([[float("nan")] * 3, [0.0] * 3, [float("inf"), 0.0, 0.0]])
    assert table(broken).isfinite().all()


def test_interrupted_work_goes_on(avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "POINTS_PER_CHUNK", 256)
    counted = count_evaluated(monkeypatch)
    session, params = pr.Session(avatar, "cpu"), avatar.neutral()
    camera = avatar.default_camera((32, 32))
    with pytest.raises(Interrupted):
        session.render(params, camera, interrupted=lambda: len(counted) >= 3)
    assert len(counted) == 3
    frame = session.render(params, camera)
    assert sum(counted) == avatar.num_points == len(frame.points)
    again = pr.Session(avatar, "cpu").render(params, camera)
    assert np.array_equal(frame["rgb"], again["rgb"])


def test_going_back_to_an_attribute_evaluates_nothing(
    avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, camera = pr.Session(avatar, "cpu"), avatar.default_camera((32, 32))
    neutral, worn = avatar.neutral(), _moved(avatar)
    first = session.render(neutral, camera)["rgb"]
    session.render(worn, camera)
    counted = count_evaluated(monkeypatch)
    assert np.array_equal(session.render(neutral, camera)["rgb"], first)
    assert not counted


def test_the_cache_is_bounded_and_keeps_the_newest() -> None:
    cache: LRUCache[bytes] = LRUCache(10, len)
    for key in "abc":
        cache.get(key, lambda: b"1234")
    assert len(cache) == 2 and cache.num_bytes == 8
    cache.get("b", lambda: b"never made")
    cache.get("d", lambda: b"1234")
    assert cache.get("b", lambda: b"") == b"1234"
    cache.get("large", lambda: b"x" * 50)
    assert len(cache) == 1 and cache.get("large", lambda: b"") == b"x" * 50


@pytest.mark.parametrize("skip", [0, 2])
def test_the_written_out_gradient_is_autograds(skip: int) -> None:
    torch.manual_seed(skip)
    sizes = pr.NetworkSizes(
        num_frequencies=3, geometry_width=48, geometry_depth=4, geometry_skip=skip, latent_size=9
    )
    geometry, code = Geometry(sizes), torch.randn(9)
    points = (torch.rand(300, 3) - 0.5).requires_grad_()
    found = geometry(points, code, slope=True)
    plain = geometry(points, code)
    (gradient,) = torch.autograd.grad(plain.sdf.sum(), points)
    for name, wanted in vars(replace(plain, sdf_gradient=gradient)).items():
        difference = float((getattr(found, name) - wanted).detach().abs().max())
        assert difference < 1e-4 * max(1.0, float(wanted.detach().abs().max())), name


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (51, 51)])
def test_a_picture_in_bands_is_the_whole_picture(
    avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    session, camera = pr.Session(avatar, "cpu"), avatar.default_camera(size)
    whole = session.render(avatar.neutral(), camera, PASSES)
    monkeypatch.setattr(bands, "MAX_NUMBERS", 7 * size[1] * 15)
    parts = session.render(avatar.neutral(), camera, PASSES)
    for name in PASSES:
        assert parts[name].shape == whole[name].shape
        assert np.abs(parts[name] - whole[name]).mean() < 1e-4, name


def test_frozen_networks_say_the_same(avatar: pr.Avatar) -> None:
    networks, code = copy.deepcopy(avatar.networks), avatar.codes.compose({})
    points = avatar.points[:50]
    before = networks.deformer(points, code).skinning, networks.geometry(points, code).albedo
    networks.freeze()
    after = networks.deformer(points, code).skinning, networks.geometry(points, code).albedo
    for wanted, found in zip(before, after, strict=True):
        assert torch.equal(wanted, found) and not torch.equal(wanted, torch.zeros_like(wanted))
