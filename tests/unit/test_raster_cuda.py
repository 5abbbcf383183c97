"""The rasteriser on a CUDA device, at full size, in a CUDA graph, and without waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from pegasus_runtime import raster

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

SIZE = (512, 512)


@pytest.fixture(autouse=True)
def triton_engine() -> None:
    why = raster.missing_engines().get("triton")
    if why is not None:
        pytest.skip(f"triton: {why}")


def _head_like_cloud(num_points: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points on a sphere that fills most of the image, and six features for each; on the host."""
    torch.manual_seed(num_points)
    points = torch.nn.functional.normalize(torch.randn(num_points, 3)) * 0.8
    points[:, 2] += 3.0
    return points, torch.rand(num_points, 6)


def _results(
    engine: str, points: torch.Tensor, features: torch.Tensor, upstream: torch.Tensor
) -> list[torch.Tensor]:
    leaves = points.clone().requires_grad_(), features.clone().requires_grad_()
    image = raster.render_points(*leaves, image_size=SIZE, radius=0.005, engine=engine)
    gradients = torch.autograd.grad((image * upstream).sum(), leaves)
    return [image.detach(), *gradients]


def test_a_published_size_avatar_is_drawn_as_on_the_cpu() -> None:
    points, features = _head_like_cloud(174_000)
    upstream = torch.randn(*SIZE, 6)
    expected = _results("numba", points, features, upstream)
    found = _results("triton", points.cuda(), features.cuda(), upstream.cuda())
    assert all(tensor.is_cuda for tensor in found)
    torch.testing.assert_close(found[0].cpu(), expected[0], atol=1e-5, rtol=1e-5)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert (one.cpu() - other).abs().max() <= 1e-4 * other.abs().max()


def test_the_fragments_are_those_of_the_cpu() -> None:
    points, features = _head_like_cloud(174_000)
    expected = raster.rasterize(points, SIZE, 0.005, engine="numba")
    found = raster.rasterize(points.cuda(), SIZE, 0.005, engine="triton")
    assert torch.equal(found.index.cpu(), expected.index)
    assert torch.equal(found.depth.cpu(), expected.depth)
    torch.testing.assert_close(found.distance2.cpu(), expected.distance2)
    assert torch.equal(raster.visible_points(found).cpu(), raster.visible_points(expected))
    image = raster.composite(found, features.cuda())
    torch.testing.assert_close(
        image.cpu(), raster.composite(expected, features), atol=1e-5, rtol=1e-5
    )


def test_small_clouds_are_drawn_as_by_the_oracle_on_the_same_device() -> None:
    points, features = (tensor.cuda() for tensor in _head_like_cloud(2000))
    upstream = torch.randn(*SIZE, 6, device="cuda")
    expected = _results("torch", points, features, upstream)
    found = _results("triton", points, features, upstream)
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert (one - other).abs().max() <= 1e-4 * other.abs().max()


def test_it_is_what_a_cuda_device_gets() -> None:
    points, _ = _head_like_cloud(100)
    assert raster.rasterize(points.cuda(), (8, 8), 0.1).engine == "triton"


@pytest.fixture
def waiting_is_an_error() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


def test_nothing_waits_for_the_device(waiting_is_an_error: None) -> None:
    points, features = (tensor.cuda() for tensor in _head_like_cloud(5000))
    upstream = torch.randn(*SIZE, 6, device="cuda")
    # Kernels are compiled the first time, and that may wait.
    for mode in ("default", "error"):
        torch.cuda.set_sync_debug_mode(mode)
        _results("triton", points, features, upstream)
        fragments = raster.rasterize(points, SIZE, 0.005, engine="triton")
        raster.visible_points(fragments)


def test_a_cuda_graph_holds_the_frame_and_its_gradients() -> None:
    points, features = (tensor.cuda() for tensor in _head_like_cloud(5000))
    leaves = points.clone().requires_grad_(), features.clone().requires_grad_()
    upstream = torch.randn(*SIZE, 6, device="cuda")

    def draw() -> tuple[torch.Tensor, ...]:
        image = raster.render_points(*leaves, image_size=SIZE, radius=0.005, engine="triton")
        return image.detach(), *torch.autograd.grad((image * upstream).sum(), leaves)

    side_stream = torch.cuda.Stream()
    side_stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side_stream):
        for _ in range(3):
            draw()
    torch.cuda.current_stream().wait_stream(side_stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = draw()

    # Other points than those that were captured: the graph must not hold on to their order.
    with torch.no_grad():
        leaves[0].copy_(points.flip(0) * torch.tensor([0.9, -0.8, 1.0], device="cuda"))
        leaves[1].copy_(features * 0.5)
    graph.replay()
    eager = draw()
    assert torch.equal(captured[0], eager[0])
    for one, other in zip(captured[1:], eager[1:], strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


def test_surfels_are_drawn_as_on_the_cpu() -> None:
    points, features = _head_like_cloud(94_000)
    torch.manual_seed(2)
    root = torch.randn(len(points), 2, 2)
    conics = torch.linalg.inv(root @ root.mT + 0.3 * torch.eye(2)).reshape(-1, 4)[:, [0, 1, 3]]
    given = points, features, conics, torch.rand(len(points))
    upstream = torch.randn(*SIZE, 6), torch.randn(SIZE)
    results = []
    for engine, device in (("numba", "cpu"), ("triton", "cuda")):
        leaves = [tensor.to(device).requires_grad_() for tensor in given]
        drawn = raster.blend(
            leaves[0],
            leaves[1],
            conics=leaves[2],
            opacities=leaves[3],
            image_size=SIZE,
            engine=engine,
        )
        gradients = torch.autograd.grad(drawn, leaves, [value.to(device) for value in upstream])
        results.append([tensor.detach().cpu() for tensor in (*drawn, *gradients)])
    # Where alpha is about 1/255, or little more than nothing passes, rounding decides.
    for one, other in zip(*results, strict=True):
        is_off = (one - other).abs() > 1e-4 * other.abs().max()
        assert is_off.float().mean() < 1e-3
