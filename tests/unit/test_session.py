"""Rendering: passes, backgrounds, caching by what changed, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.deform import renderer
from tests.evaluation_counter import count_evaluated
from tests.factories import published_avatar


@pytest.fixture(scope="module")
def avatar() -> pr.Avatar:
    return published_avatar(["hair_a"], every=3, radius=0.06, blendshapes=0.02)


@pytest.fixture
def session(avatar: pr.Avatar) -> pr.Session:
    return pr.Session(avatar, "cpu")


@pytest.fixture
def camera(avatar: pr.Avatar) -> pr.Camera:
    return avatar.default_camera((40, 56))


def test_shapes_and_ranges_of_all_passes(
    session: pr.Session, avatar: pr.Avatar, camera: pr.Camera
) -> None:
    from pegasus_runtime.passes import PASSES

    frame = session.render(avatar.neutral(), camera, PASSES)
    for name in PASSES:
        channels = 1 if name in ("alpha", "depth", "segmentation") else 3
        assert frame[name].shape == (40, 56, channels)
        assert frame[name].dtype == np.float32
        assert np.isfinite(frame[name]).all()
        assert name == "depth" or (frame[name].min() >= 0 and frame[name].max() <= 1 + 1e-5)
    assert frame.points.shape == frame.normals.shape == (avatar.num_points, 3)
    assert np.allclose(np.linalg.norm(frame.normals, axis=1), 1, atol=1e-4)


def test_the_head_stands_upright_in_the_middle(
    session: pr.Session, avatar: pr.Avatar, camera: pr.Camera
) -> None:
    alpha = session.render(avatar.neutral(), camera, ("alpha",))["alpha"][:, :, 0]
    rows, columns = np.nonzero(alpha > 0.5)
    assert 0.6 * 40 < rows.max() - rows.min() < 40
    assert abs(columns.mean() - 27.5) < 3
    left = session.render(avatar.neutral(), pr.Camera.orbit((0, 0, 0), 5, 90), ("alpha",))
    assert left["alpha"].max() > 0.5


def test_background(session: pr.Session, avatar: pr.Avatar, camera: pr.Camera) -> None:
    neutral = avatar.neutral()
    bare = session.render(neutral, camera, ("rgb", "alpha"), background=None)
    white = session.render(neutral, camera, ("rgb",))
    red = session.render(neutral, camera, ("rgb",), background=(1, 0, 0))
    assert np.allclose(white["rgb"], bare["rgb"] + 1 - bare["alpha"], atol=1e-6)
    assert np.allclose(red["rgb"][0, 0], [1, 0, 0])
    with pytest.raises(pr.InvalidInput, match="background"):
        session.render(neutral, camera, background=(2, 0, 0))


def test_only_what_changed_is_evaluated_again(
    session: pr.Session,
    avatar: pr.Avatar,
    camera: pr.Camera,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluated, posed, pose = count_evaluated(monkeypatch), [], renderer.pose_surface
    monkeypatch.setattr(
        renderer, "pose_surface", lambda *given: posed.append(given) or pose(*given)
    )
    total = avatar.num_points
    params = avatar.neutral()
    session.render(params, camera)
    session.render(params, avatar.default_camera((20, 20)), ("normal", "rgb"))
    assert (sum(evaluated), len(posed)) == (total, 1)
    params.expression[0] = 1
    session.render(params, camera)
    assert (sum(evaluated), len(posed)) == (total, 2)
    params.attributes["hair"] = "a"
    session.render(params, camera)
    assert (sum(evaluated), len(posed)) == (2 * total, 3)


def test_changes_are_seen(session: pr.Session, avatar: pr.Avatar, camera: pr.Camera) -> None:
    neutral = session.render(avatar.neutral(), camera)["rgb"]
    smiling, posed, shaped = avatar.neutral(), avatar.neutral(), avatar.neutral()
    smiling.expression[:2] = 3
    posed.pose[4] = 0.5
    shaped.shape[:3] = 3
    for params in (smiling, posed, shaped):
        assert np.abs(session.render(params, camera)["rgb"] - neutral).max() > 0.02


def test_a_latent_wins_over_attributes(
    session: pr.Session, avatar: pr.Avatar, camera: pr.Camera
) -> None:
    params = avatar.neutral()
    params.latent = avatar.codes.compose({"hair": "a"}).detach().numpy()
    worn = pr.Parameters(shape=params.shape, attributes={"hair": pr.AttributeBlend("hair_a")})
    a, b = session.render(params, camera)["rgb"], session.render(worn, camera)["rgb"]
    assert np.array_equal(a, b)


def test_a_subset_of_points_is_even(
    session: pr.Session, avatar: pr.Avatar, camera: pr.Camera
) -> None:
    frame = session.render(avatar.neutral(), camera, max_points=300)
    assert len(frame.points) == 300
    full = session.render(avatar.neutral(), camera).points
    assert np.abs(frame.points.mean(0) - full.mean(0)).max() < 0.1


@pytest.mark.parametrize("bad", ["tpu", "cuda:99", "meta"])
def test_unknown_devices(avatar: pr.Avatar, bad: str) -> None:
    with pytest.raises(pr.InvalidInput, match="device"):
        pr.Session(avatar, bad)


@pytest.mark.parametrize("size", [(0, 10), (10, -1), (1.5, 3), "x", (10**6, 10)])
def test_absurd_sizes(avatar: pr.Avatar, size: object) -> None:
    with pytest.raises(pr.InvalidInput, match="size"):
        avatar.default_camera(size)  # type: ignore[arg-type]


def test_coming_closer_opens_no_gaps(avatar: pr.Avatar) -> None:
    from dataclasses import replace

    scaled = replace(avatar, view_scale=1.0)
    near = pr.Camera.orbit((0, 0, 0), 3, fov_deg=30)
    far = pr.Camera.orbit((0, 0, 0), 6, fov_deg=30)
    assert scaled.radius_in(near) == pytest.approx(2 * scaled.radius_in(far))
    assert avatar.radius_in(near) == avatar.radius


def test_a_camera_projects_alike_with_and_without_gradients(camera: pr.Camera) -> None:
    points = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    plain = camera.project(points)
    watched = camera.project(points.clone().requires_grad_())
    assert watched.requires_grad and not plain.requires_grad
    assert torch.allclose(plain, watched.detach(), atol=1e-6)
    assert camera.project(torch.empty(0, 3)).shape == (0, 3)
    assert camera.project(points.double()).dtype == torch.float64
    in_its_plane = torch.from_numpy(camera.centre)[None]
    assert camera.project(in_its_plane).shape == (1, 3)
