"""What no picture should meet: it is finite or refused, and never a crash or a hang."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.parameters import MAX_COEFFICIENT, MAX_ROTATION_RAD
from pegasus_runtime.passes import PASSES
from pegasus_runtime.raster import render_points
from tests.factories import published_avatar


@pytest.fixture(scope="module")
def avatar() -> pr.Avatar:
    return published_avatar()


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


@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_sliders(avatar: pr.Avatar, sign: int) -> None:
    params, camera = avatar.neutral(), avatar.default_camera((16, 16))
    session = pr.Session(avatar, "cpu")
    params.expression[:] = params.shape[:] = sign * MAX_COEFFICIENT
    params.pose[:] = sign * MAX_ROTATION_RAD
    assert _is_finite(session.render(params, camera, PASSES))
    params = avatar.neutral()
    assert session.render(params, camera, PASSES)["alpha"].max() > 0.5
    for name, value in (("expression", 133_333.0), ("shape", 1e30), ("pose", 50.0)):
        bad = avatar.neutral()
        getattr(bad, name)[3] = sign * value
        with pytest.raises(pr.InvalidInput, match=f"{name}: number 3 is .* from"):
            session.render(bad, camera)


def _wrong_calls(avatar: pr.Avatar, session: pr.Session) -> dict[str, Callable[[], object]]:
    """By what the message has to say."""
    params, camera = avatar.neutral(), avatar.default_camera((9, 7))

    def render(**changes: Any) -> Callable[[], object]:
        return lambda: session.render(**{"params": params, "camera": camera, **changes})

    def given(**arrays: Any) -> Callable[[], object]:
        return render(params=replace(params, **arrays))

    def worn(choice: Any) -> Callable[[], object]:
        return given(attributes={"hair": choice})

    def points(**changes: Any) -> Callable[[], object]:
        usual = {"points": torch.zeros(1, 3), "image_size": (4, 4), "radius": 0.1}
        return lambda: pr.rasterize(**{**usual, **changes})

    return {
        "strength of hair_a 'much'": worn(("a", "much")),
        "strength of hair_a nan": worn(("a", float("nan"))),
        "strength of hair_a None": worn(("a", None)),
        "strength of hair_a 11": worn(("a", 11)),
        "strength of hair_a 1000": worn(("a", 10**400)),
        "a name and a strength": worn(("a", 1, 2)),
        "hair 3: give a name": worn(3),
        "this avatar does not have it": worn("b\n" * 10_000),
        "category → attribute": given(attributes=["hair_a"]),
        "category 3": given(attributes={3: "hair_a"}),
        "passes None": render(passes=None),
        "pass 3": render(passes=(3,)),
        "pass ['rgb']": render(passes=(["rgb"],)),
        "background 'white'": render(background="white"),
        "background (1, 1)": render(background=(1, 1)),
        "background (1, 1, nan)": render(background=(1, 1, float("nan"))),
        "background 3": render(background=3),
        "max_points 'many'": render(max_points="many"),
        "avatar.neutral()": render(params=None),
        "a Camera": render(camera="front"),
        "expected 50 numbers, got 100": given(expression=np.zeros(100)),
        "expected 15 numbers, got 6": given(pose=np.zeros(6)),
        "got matrices of shape 5 × 3 × 3": given(pose=np.zeros((5, 3, 3))),
        "got matrices of shape 4 × 4": given(pose=np.eye(4)),
        "got shape 50 × 2": given(expression=np.zeros((50, 2))),
        "expression 'smile'": given(expression="smile"),
        "expression {'smile': 1}": given(expression={"smile": 1}),
        "expression [None, None": given(expression=[None] * 50),
        "expression array": given(expression=np.zeros(50, complex)),
        "shape: number 7 is nan": given(shape=[0.0] * 7 + [float("nan")] * 93),
        "latent: number 0 is 1e+30": given(latent=np.full(avatar.codes.latent_size, 1e30)),
        "camera rotation 'left'": lambda: replace(camera, rotation="left"),
        "camera translation": lambda: replace(camera, translation=[1, 2]),
        "camera intrinsics": lambda: replace(camera, intrinsics=np.full((4, 4), 1e300)),
        "picture size (inf, 3)": lambda: replace(camera, image_size=(float("inf"), 3)),
        "camera distance 'far'": lambda: pr.Camera.orbit((0, 0, 0), "far"),  # type: ignore
        "field of view nan": lambda: pr.Camera.orbit((0, 0, 0), 1.0, fov_deg=float("nan")),
        "yaw inf": lambda: pr.Camera.orbit((0, 0, 0), 1.0, yaw_deg=float("inf")),
        "camera target": lambda: pr.Camera.orbit((0, 0), 1.0),
        "points: None is not a tensor": points(points=None),
        "radius 'r'": points(radius="r"),
        "points_per_pixel 0": points(points_per_pixel=0),
        "points_per_pixel 2.5": points(points_per_pixel=2.5),
        "image_size 4": points(image_size=4),
        "engine ['numba']": points(engine=["numba"]),
        "device 3": lambda: pr.Session(avatar, 3),  # type: ignore[arg-type]
        "load_avatar": lambda: pr.Session("demo"),  # type: ignore[arg-type]
        "None: not a path": lambda: pr.load_avatar(None),  # type: ignore[arg-type]
        "'a\\x00b': not a path": lambda: pr.load_head("a\0b"),
    }


def test_values_of_wrong_kinds_are_refused_in_one_line(avatar: pr.Avatar) -> None:
    dressed = published_avatar(["hair_a"])
    session = pr.Session(dressed, "cpu")
    for says, call in _wrong_calls(dressed, session).items():
        with pytest.raises(pr.InvalidInput) as refusal:
            call()
        message = str(refusal.value)
        assert says in message and message.isprintable() and len(message) < 300
    params, camera = dressed.neutral(), dressed.default_camera((8, 8))
    params.attributes["hair"] = ["a", np.float32(0.5)]
    assert session.render(params, camera, background=np.ones(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [(0, 0, -5), (0, 50, 3), (0, 0, 0), (1e9, 0, 1)])
def test_heads_behind_beside_and_around_the_camera(
    avatar: pr.Avatar, place: tuple[float, float, float]
) -> None:
    camera = replace(avatar.default_camera((16, 16)), translation=np.array(place, np.float32))
    assert _is_finite(pr.Session(avatar, "cpu").render(avatar.neutral(), camera, PASSES))


@pytest.mark.slow
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
    with pytest.raises(pr.InvalidInput, match="radius"):
        render_points(torch.zeros(1, 3), torch.ones(1, 1), image_size=(4, 4), radius=radius)
