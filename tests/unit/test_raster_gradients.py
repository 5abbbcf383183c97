"""The oracle against finite differences, and the fast engines against the oracle."""

from __future__ import annotations

import pytest
import torch

from pegasus_runtime import raster

Options = tuple[int, tuple[int, int], float, int]

# How many points, image size, radius, points kept per pixel.
CASES: list[Options] = [
    (1, (7, 7), 0.7, 1),
    (300, (40, 40), 0.1, 10),
    (500, (17, 90), 0.25, 3),
    (500, (90, 17), 0.4, 1),
    (200, (33, 65), 3.0, 6),
    (3000, (64, 64), 0.03, 10),
    (40, (64, 48), 0.6, 64),
]


@pytest.fixture(params=("numba", "triton"))
def engine(request: pytest.FixtureRequest) -> str:
    why = raster.missing_engines().get(request.param)
    if why is not None:
        pytest.skip(f"{request.param}: {why}")
    return str(request.param)


def _cloud(num_points: int, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(num_points + size[1])
    reach = torch.tensor([max(1.0, size[1] / size[0]), max(1.0, size[0] / size[1]), 1.0])
    points = (torch.rand(num_points, 3) * 2.4 - 1.2) * reach
    # Depths on a coarse grid give many ties; some are behind the camera.
    points[:, 2] = torch.round(points[:, 2] * 4) + 2
    return points, torch.randn(num_points, 4)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_fragments_are_those_of_the_oracle(case: Options, engine: str) -> None:
    num_points, size, radius, num_kept = case
    points, _ = _cloud(num_points, size)
    fast = raster.rasterize(points, size, radius, num_kept, engine)
    plain = raster.rasterize(points, size, radius, num_kept, "torch")
    assert torch.equal(fast.index, plain.index)
    assert torch.equal(fast.depth, plain.depth)
    torch.testing.assert_close(fast.distance2, plain.distance2)
    assert torch.equal(raster.visible_points(fast), raster.visible_points(plain))


@pytest.mark.slow
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_image_and_gradients_are_those_of_the_oracle(
    case: Options, engine: str, fused: bool
) -> None:
    num_points, size, radius, _ = case
    points, features = _cloud(num_points, size)
    upstream = torch.randn(*size, 4)
    expected = _image_and_gradients("torch", points, features, upstream, case, fused=True)
    found = _image_and_gradients(engine, points, features, upstream, case, fused=fused)
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert (one - other).abs().max() <= 1e-4 * other.abs().max()


def _image_and_gradients(
    engine: str,
    points: torch.Tensor,
    features: torch.Tensor,
    upstream: torch.Tensor,
    case: Options,
    fused: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    _, size, radius, num_kept = case
    points, features = points.clone().requires_grad_(), features.clone().requires_grad_()
    if fused:
        image = raster.render_points(
            points,
            features,
            image_size=size,
            radius=radius,
            points_per_pixel=num_kept,
            engine=engine,
        )
    else:
        fragments = raster.rasterize(points, size, radius, num_kept, engine)
        image = raster.composite(fragments, features)
    (image * upstream).sum().backward()
    assert points.grad is not None and features.grad is not None
    return image.detach(), points.grad, features.grad


def test_the_oracle_agrees_with_finite_differences() -> None:
    torch.manual_seed(3)
    points = (torch.rand(12, 3, dtype=torch.float64) * 1.6 - 0.8).requires_grad_()
    features = torch.randn(12, 2, dtype=torch.float64, requires_grad=True)
    # Depths far apart: a step of the differences never changes the order. z has no gradient.
    depth = torch.arange(1.0, 13.0, dtype=torch.float64)

    def render(xy: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        placed = torch.cat([xy, depth[:, None]], dim=1)
        return raster.render_points(
            placed, values, image_size=(6, 8), radius=0.5, points_per_pixel=12, engine="torch"
        )

    xy = points[:, :2].detach().requires_grad_()
    assert torch.autograd.gradcheck(render, (xy, features))


@pytest.mark.slow
def test_gradients_of_numba_are_the_same_on_every_run() -> None:
    case = (2000, (96, 96), 0.1, 10)
    points, features = _cloud(case[0], case[1])
    upstream = torch.randn(96, 96, 4)
    for fused in (False, True):
        first = _image_and_gradients("numba", points, features, upstream, case, fused)
        second = _image_and_gradients("numba", points, features, upstream, case, fused)
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one, other)


def test_double_precision_points_keep_their_type_in_gradients(engine: str) -> None:
    points = torch.tensor([[0.1, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    features = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    image = raster.render_points(points, features, image_size=(3, 3), radius=0.5, engine=engine)
    image.sum().backward()
    assert points.grad is not None and points.grad.dtype == torch.float64
    assert points.grad.abs().sum() > 0
