"""Frames as a CUDA device draws them: all parts together, and what CUDA graphs hold of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.cuda_graph import GraphedCalls
from tests.fake_cuda import FakeGraph, session_as_on_cuda

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
PASSES = ("rgb", "normal", "depth", "segmentation")
Change = Callable[[pr.Parameters], None]


@pytest.fixture(scope="module")
def avatar() -> pr.Avatar:
    """More points than the smallest shading table needs, some of which wait in a store."""
    head = pr.load_free_head()
    sizes = pr.NetworkSizes(
        num_frequencies=2, geometry_width=16, geometry_depth=2, geometry_skip=0,
        deformer_width=16, deformer_depth=2, shading_width=8,
    )  # fmt: skip
    torch.manual_seed(0)
    made = pr.initial_avatar(
        head, torch.cat([head.template, 0.01 * torch.rand(200, 3)]), 0.05, sizes=sizes,
        attribute_names=["hair_a"],
    )  # fmt: skip
    made.store = torch.tensor([[-0.05] * 3, [0.05] * 3])
    torch.manual_seed(1)
    with torch.no_grad():
        torch.nn.init.normal_(made.networks.deformer.blendshapes.weight, std=0.02)
        torch.nn.init.normal_(made.networks.shading.layers[-1].weight_v, std=0.5)
    return made


def smile(params: pr.Parameters) -> None:
    """More of it each time."""
    params.expression[:3] += 0.4


def open_jaw(params: pr.Parameters) -> None:
    """Wider each time, and the head turns."""
    params.pose[6] += 0.05
    params.pose[1] -= 0.03


def widen(params: pr.Parameters) -> None:
    """Another shape each time."""
    params.shape[:4] += 0.5


def wear(params: pr.Parameters) -> None:
    """Other hair."""
    params.attributes["hair"] = "a"


def strengthen(params: pr.Parameters) -> None:
    """Another latent code each time."""
    before = params.attributes.get("hair")
    strength = before.strength if isinstance(before, pr.AttributeBlend) else 0.0
    params.attributes["hair"] = pr.AttributeBlend("a", strength + 0.1)


DRAGS = (smile, smile, smile, open_jaw, open_jaw, wear, smile, smile, widen, widen, widen, smile)


def drag(
    avatar: pr.Avatar, session: pr.Session, changes: tuple[Change, ...], passes=PASSES
) -> list[pr.Frame]:
    """A frame after every change, each seen from a little farther round."""
    params, frames = avatar.neutral(), []
    for step, change in enumerate(changes):
        change(params)
        camera = pr.Camera.orbit((0, 0, 0), 5 - 0.05 * step, 4.0 * step, image_size=(40, 48))
        frames.append(session.render(params, camera, passes))
    return frames


def assert_like(frames: list[pr.Frame], expected: list[pr.Frame]) -> None:
    """The same but for roundings, by which one point in a thousand may come before another."""
    for number, (one, other) in enumerate(zip(frames, expected, strict=True)):
        assert np.abs(one.points - other.points).max() < 1e-4, number
        assert np.abs(one.normals - other.normals).max() < 2e-3, number
        for name in PASSES:
            far = np.abs(one[name] - other[name]) > 5e-3
            assert far.mean() < 2e-3, (number, name)


def test_frames_are_those_of_a_cpu(avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = drag(avatar, pr.Session(avatar, "cpu"), DRAGS)
    session = session_as_on_cuda(avatar, monkeypatch)
    # All are asked for once all are drawn: a replay must not reach into earlier frames.
    assert_like(drag(avatar, session, DRAGS), expected)
    # Of a drag the first frame is drawn as it is; the second is recorded; all from there on come
    # from the recording. Shapes begin anew, for the head's vertices are then displaced.
    poses, views = FakeGraph.made[0::2], FakeGraph.made[1::2]
    assert [graph.num_replays for graph in poses] == [4, 2, 3]
    assert [graph.num_replays for graph in views] == [4, 6]


def test_what_changes_with_every_frame_is_not_recorded(
    avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_as_on_cuda(avatar, monkeypatch)
    drag(avatar, session, (strengthen,) * 4, ("rgb",))
    assert not FakeGraph.made


def test_a_frame_is_drawn_where_it_cannot_be_recorded(
    avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = drag(avatar, pr.Session(avatar, "cpu"), (smile,) * 4)
    session = session_as_on_cuda(avatar, monkeypatch)

    def refuse(graph: FakeGraph, **_: object) -> None:
        raise RuntimeError("operation not permitted\nand a trace of it")

    monkeypatch.setattr(FakeGraph, "capture_begin", refuse)
    assert_like(drag(avatar, session, (smile,) * 4), expected)
    assert [record.getMessage() for record in caplog.records] == [
        "Frames are drawn without CUDA graphs: operation not permitted"
    ] * 2


def test_a_function_that_waits_for_the_device_is_not_recorded(
    avatar: pr.Avatar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = session_as_on_cuda(avatar, monkeypatch)
    calls = session.renderer._pose_calls

    def reads_back(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (values * float(values[0]),)

    for _ in range(3):
        assert calls("key", reads_back, torch.tensor([2.0, 3.0]))[0].tolist() == [4.0, 6.0]
    assert len(caplog.records) == 1 and "_local_scalar_dense" in caplog.text


def test_elsewhere_nothing_is_recorded() -> None:
    calls, given = GraphedCalls(torch.device("cpu")), []
    for number in range(3):
        value = torch.tensor([float(number)])
        (found,) = calls("key", lambda x: (given.append(x) or x + 1,), value)
        assert found.item() == number + 1 and given[-1] is value


@pytest.mark.gpu
@needs_cuda
def test_frames_of_a_card_are_those_of_a_cpu(
    avatar: pr.Avatar, caplog: pytest.LogCaptureFixture
) -> None:
    expected = drag(avatar, pr.Session(avatar, "cpu"), DRAGS)
    assert_like(drag(avatar, pr.Session(avatar, "cuda"), DRAGS), expected)
    assert not caplog.records


@pytest.mark.gpu
@needs_cuda
def test_no_drag_waits_for_the_card(avatar: pr.Avatar) -> None:
    session = pr.Session(avatar, "cuda")
    drags = (smile, smile, smile, open_jaw)
    try:
        # The first frames evaluate the latent code, compile kernels and record graphs.
        for mode in ("default", "error"):
            torch.cuda.set_sync_debug_mode(mode)
            drag(avatar, session, drags)
    finally:
        torch.cuda.set_sync_debug_mode("default")
