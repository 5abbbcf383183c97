"""The rasteriser's rules, on cases small enough to work out by hand."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import torch

from pegasus_runtime import raster
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.raster.pixel_grid import pixel_centres


@pytest.fixture(params=raster.available_engines())
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_pixel_centres_follow_the_formula_of_a_square_image() -> None:
    x, y = pixel_centres((4, 4))
    assert x.tolist() == y.tolist() == [0.75, 0.25, -0.25, -0.75]


def test_the_longer_side_reaches_beyond_one() -> None:
    x, y = pixel_centres((2, 6))
    assert y.tolist() == [0.5, -0.5]
    assert x == pytest.approx([2.5, 1.5, 0.5, -0.5, -1.5, -2.5])


def test_nearer_points_come_first_and_ties_go_by_index(engine: str) -> None:
    points = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0], [0.0, 0.0, 1.0]])
    fragments = raster.rasterize(points, (1, 1), 0.5, 3, engine)
    assert fragments.index[0, 0].tolist() == [1, 3, 2]
    assert fragments.depth[0, 0].tolist() == [1.0, 1.0, 2.0]


def test_plus_x_is_left_and_plus_y_is_up(engine: str) -> None:
    fragments = raster.rasterize(torch.tensor([[0.75, 0.75, 1.0]]), (4, 4), 0.1, 1, engine)
    assert torch.nonzero(fragments.index[..., 0] == 0).tolist() == [[0, 0]]


def test_points_behind_or_not_finite_are_not_drawn(engine: str) -> None:
    nan, inf = float("nan"), float("inf")
    bad = [
        [0, 0, -1],
        [nan, 0, 1],
        [0, nan, 1],
        [0, 0, nan],
        [inf, 0, 1],
        [0, -inf, 1],
        [0, 0, inf],
    ]
    points = torch.tensor([*bad, [0, 0, 1.0], [0, 0, -0.0]])
    fragments = raster.rasterize(points, (3, 3), 0.2, 10, engine)
    assert fragments.index[1, 1].tolist() == [8, 7] + [-1] * 8
    image = raster.render_points(
        points, torch.ones(9, 2), image_size=(3, 3), radius=0.2, engine=engine
    )
    assert torch.isfinite(image).all()
    assert image[1, 1].tolist() == [1.0, 1.0]


def test_what_is_not_drawn_spoils_no_gradient(engine: str) -> None:
    nan = float("nan")
    points = torch.tensor([[nan, nan, nan], [0.1, 0.0, 1.0]], requires_grad=True)
    features = torch.tensor([[nan], [1.0]], requires_grad=True)
    image = raster.render_points(points, features, image_size=(3, 3), radius=0.5, engine=engine)
    image.sum().backward()
    assert points.grad is not None and features.grad is not None
    assert torch.isfinite(image).all()
    assert torch.isfinite(points.grad).all() and not points.grad[0].any()
    assert torch.isfinite(features.grad).all() and features.grad[1] > 0


def test_the_edge_of_a_disc_is_outside(engine: str) -> None:
    points = torch.tensor([[0.5, 0.0, 1.0]])
    assert raster.rasterize(points, (1, 1), 0.5, 1, engine).index.item() == -1
    assert raster.rasterize(points, (1, 1), 0.5001, 1, engine).index.item() == 0


def test_colours_blend_by_alpha_front_to_back(engine: str) -> None:
    points = torch.tensor([[0.5, 0.0, 2.0], [0.0, 0.5, 1.0]])
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    image = raster.render_features(points, features, (1, 1), 1.0, engine=engine)
    # Both alphas are 1 − 0.25 = 0.75; the second point is in front.
    assert image[0, 0].tolist() == pytest.approx([0.75 * 0.25, 0.75])


def test_visible_are_the_first_and_the_heavy(engine: str) -> None:
    points = torch.tensor([[0.9, 0.0, 1.0], [0.1, 0.0, 2.0], [0.0, 0.0, 3.0], [9.0, 0.0, 1.0]])
    fragments = raster.rasterize(points, (1, 1), 1.0, 10, engine)
    assert raster.visible_points(fragments).tolist() == [True, True, False, False]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (37, 5)])
@pytest.mark.parametrize("radius", [1e-30, 0.3, 50.0, 1e18])
def test_any_size_and_radius_gives_a_finite_image(
    engine: str, size: tuple[int, int], radius: float
) -> None:
    torch.manual_seed(0)
    points = torch.randn(40, 3).abs().requires_grad_()
    features = torch.rand(40, 3, requires_grad=True)
    image = raster.render_points(
        points, features, image_size=size, radius=radius, points_per_pixel=4, engine=engine
    )
    image.sum().backward()
    assert image.shape == (*size, 3)
    for tensor in (image, points.grad, features.grad):
        assert torch.isfinite(tensor).all()


def test_no_points_give_an_empty_image(engine: str) -> None:
    points = torch.zeros(0, 3, requires_grad=True)
    features = torch.zeros(0, 3, requires_grad=True)
    image = raster.render_points(points, features, image_size=(5, 4), radius=0.1, engine=engine)
    image.sum().backward()
    fragments = raster.rasterize(points, (5, 4), 0.1, 2, engine)
    assert not image.any()
    assert (fragments.index == -1).all()
    assert not raster.composite(fragments, features).any()
    assert raster.visible_points(fragments).shape == (0,)


def test_far_away_points_do_not_wrap_into_the_image(engine: str) -> None:
    points = torch.tensor([[1e30, 0.0, 1.0], [0.0, -1e30, 1.0], [3e38, 3e38, 3e38]])
    assert (raster.rasterize(points, (8, 8), 0.5, 2, engine).index == -1).all()


@pytest.mark.parametrize(
    "change",
    [
        {"points": torch.zeros(3)},
        {"points": torch.zeros(2, 3, dtype=torch.int64)},
        {"image_size": (0, 4)},
        {"radius": 0.0},
        {"radius": float("nan")},
        {"points_per_pixel": 0},
        {"engine": "steam"},
        {"features": torch.zeros(3, 1)},
    ],
)
def test_wrong_values_are_refused_in_one_line(change: dict[str, object]) -> None:
    options = {
        "points": torch.zeros(2, 3),
        "features": torch.zeros(2, 1),
        "image_size": (4, 4),
        "radius": 0.1,
        **change,
    }
    with pytest.raises(InvalidInput) as refusal:
        raster.render_points(**options)  # type: ignore[arg-type]
    message = str(refusal.value)
    assert "\n" not in message
    assert next(iter(change)) in message


def test_an_engine_that_does_not_import_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pegasus_runtime.raster.numba.engine", None)
    with pytest.raises(InvalidInput, match="engine 'numba': cannot be loaded"):
        raster.rasterize(torch.zeros(1, 3), (2, 2), 0.1, engine="numba")
    fragments = raster.rasterize(torch.zeros(1, 3), (2, 2), 0.1)
    assert fragments.engine == "torch"


def test_importing_does_not_import_numba_or_torch() -> None:
    program = (
        "import sys, pegasus_runtime.raster; "
        "sys.exit('numba' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_two_threads_may_draw_at_once() -> None:
    torch.manual_seed(1)
    points, features = torch.rand(2000, 3) * 2 - 0.5, torch.rand(2000, 3)
    expected = raster.render_features(points, features, (64, 64), 0.05)
    wrong: list[int] = []

    def draw(number: int) -> None:
        for _ in range(20):
            if not torch.equal(raster.render_features(points, features, (64, 64), 0.05), expected):
                wrong.append(number)

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not wrong
