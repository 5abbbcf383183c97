"""What no picture should meet: it is finite or refused, and never a crash or a hang."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.frame import PASSES
from pegasus_runtime.raster import render_points


@pytest.fixture(scope="module")
def avatar() -> pr.Avatar:
    head = pr.load_free_head()
    sizes = pr.NetworkSizes(
        num_frequencies=1, geometry_width=8, geometry_depth=2, geometry_skip=0,
        deformer_width=8, deformer_depth=2, shading_width=8,
    )  # fmt: skip
    return pr.initial_avatar(head, head.template[::9], 0.05, sizes=sizes)


def _is_finite(frame: pr.Frame) -> bool:
    return all(np.isfinite(frame[name]).all() for name in PASSES)


def test_an_avatar_without_points(avatar: pr.Avatar) -> None:
    empty = replace(avatar, points=torch.zeros(0, 3))
    frame = pr.Session(empty, "cpu").render(empty.neutral(), empty.default_camera((9, 7)), PASSES)
    assert _is_finite(frame) and not frame["alpha"].any()
    assert (frame["rgb"] == 1).all() and frame.points.shape == (0, 3)


@pytest.mark.parametrize("exact", [False, True])
def test_points_that_are_not_finite(avatar: pr.Avatar, exact: bool) -> None:
    points = avatar.points.clone()
    points[::3] = float("nan")
    points[1::3] = float("inf")
    broken = replace(avatar, points=points)
    camera = avatar.default_camera((16, 16))
    frame = pr.Session(broken, "cpu", exact=exact).render(broken.neutral(), camera, PASSES)
    assert _is_finite(frame) and frame["alpha"].max() > 0


@pytest.mark.parametrize("value", [1e30, -1e30, 3e38])
def test_extreme_sliders(avatar: pr.Avatar, value: float) -> None:
    params, camera = avatar.neutral(), avatar.default_camera((16, 16))
    session = pr.Session(avatar, "cpu")
    params.expression[:] = value
    assert _is_finite(session.render(params, camera, PASSES))
    params.expression[:] = 0
    assert session.render(params, camera, PASSES)["alpha"].max() > 0.5


@pytest.mark.parametrize("place", [(0, 0, -5), (0, 50, 3), (0, 0, 0), (1e9, 0, 1)])
def test_heads_behind_beside_and_around_the_camera(
    avatar: pr.Avatar, place: tuple[float, float, float]
) -> None:
    camera = replace(avatar.default_camera((16, 16)), translation=np.array(place, np.float32))
    assert _is_finite(pr.Session(avatar, "cpu").render(avatar.neutral(), camera, PASSES))


@pytest.mark.parametrize("radius", [1e-12, 5.0, 1e6, 1e30])
def test_a_radius_of_any_size(radius: float) -> None:
    points = torch.tensor([[0.0, 0.0, 1.0], [3.0, -2.0, 2.0], [0.1, 0.1, -1.0]]).requires_grad_()
    features = torch.ones(3, 2).requires_grad_()
    image = render_points(points, features, image_size=(8, 12), radius=radius)
    image.sum().backward()
    assert image.isfinite().all()
    assert points.grad is not None and points.grad.isfinite().all()
    assert radius < 1 or float(image.detach()[..., 0].min()) > 0.8


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_radius_is_refused(radius: float) -> None:
    with pytest.raises(pr.Refused, match="radius"):
        render_points(torch.zeros(1, 3), torch.ones(1, 1), image_size=(4, 4), radius=radius)
