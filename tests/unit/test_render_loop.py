"""The render thread: drafts while dragging, full pictures that give way, the last one in full."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.rendering.render_loop import RenderLoop
from app.rendering.request import Picture, RenderRequest
from app.state.document import Document
from app.state.view import View
from pegasus_runtime.errors import Interrupted
from pegasus_runtime.frame import Frame
from pegasus_runtime.parameters import AttributeBlend

NUM_POINTS = 100_000
LEGIBLE_POINTS = 6_000
AVATAR: Any = SimpleNamespace(num_points=NUM_POINTS, legible_points=LEGIBLE_POINTS)


class PatientSession:
    """Stands for the runtime: a full picture takes until the test lets it, or is interrupted."""

    device = "cpu"

    def __init__(self, state: SimpleNamespace) -> None:
        self._state = state

    def render(
        self, params: Any, camera: Any, passes: Any = (), background: Any = None,
        max_points: int | None = None, interrupted: Any = None,
    ) -> Frame:  # fmt: skip
        if max_points is None:
            self._state.started += 1
            deadline = time.monotonic() + 10
            while not self._state.go:
                assert time.monotonic() < deadline
                if interrupted is not None and interrupted():
                    raise Interrupted
                time.sleep(0.002)
        blank = np.zeros((*camera.image_size, 3), np.float32)
        points = np.zeros((max_points or NUM_POINTS, 3), np.float32)
        return Frame({"rgb": blank, "alpha": blank[:, :, :1]}, points, points)


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("num_changes", [1, 3])
def test_a_full_picture_gives_way_and_the_last_value_is_drawn_in_full(num_changes: int) -> None:
    state = SimpleNamespace(started=0, go=False)
    pictures: list[Picture] = []
    errors: list[BaseException] = []
    loop = RenderLoop(
        pictures.append, lambda *_: None, errors.append, lambda _: PatientSession(state)
    )
    loop.start()
    loop.open(AVATAR)
    face = Document().face
    for number in range(num_changes):
        worn = face.wearing("hair", AttributeBlend("hair_curly", number / 10))
        loop.submit(RenderRequest(worn, View(), (8, 8), "rgb", number))
        _wait(lambda number=number: state.started == number + 1)
    state.go = True
    _wait(lambda: pictures and not pictures[-1].is_draft)
    loop.stop()
    assert errors == []
    assert [picture.is_draft for picture in pictures] == [True] * num_changes + [False]
    assert [p.request.generation for p in pictures] == [*range(num_changes), num_changes - 1]


class TimedSession:
    """Takes a time by a clock of its own: so much for each point, more where the machine is busy.

    Evaluating another latent code takes as long again. Some pictures can be told to fail.
    """

    device = "cpu"

    def __init__(self, machine: SimpleNamespace) -> None:
        self._machine = machine
        self._code: Any = None

    def render(
        self, params: Any, camera: Any, passes: Any = (), background: Any = None,
        max_points: int | None = None, interrupted: Any = None,
    ) -> Frame:  # fmt: skip
        if self._machine.failures:
            raise self._machine.failures.pop()
        count = max_points or NUM_POINTS
        code = sorted(params.attributes.items()), count
        self._machine.now += count * self._machine.point_s * (1 + (code != self._code))
        self._code = code
        blank = np.zeros((*camera.image_size, 3), np.float32)
        points = np.zeros((count, 3), np.float32)
        return Frame({"rgb": blank, "alpha": blank[:, :, :1]}, points, points)


@pytest.fixture()
def machine() -> Any:
    """A loop on a machine whose speed the test sets, and what it has shown."""
    machine = SimpleNamespace(now=0.0, point_s=1e-6, failures=[], pictures=[], errors=[])
    machine.loop = RenderLoop(
        machine.pictures.append,
        lambda *_: None,
        machine.errors.append,
        lambda _: TimedSession(machine),
        lambda: machine.now,
    )
    machine.loop.start()
    machine.loop.open(AVATAR)
    yield machine
    machine.loop.stop()


def _drag(machine: Any, num_changes: int) -> list[int]:
    """Points of the drafts while a strength is dragged; ends with the full picture."""
    machine.pictures.clear()
    face = Document().face
    for number in range(num_changes):
        worn = face.wearing("hair", AttributeBlend("hair_curly", number / 100))
        machine.loop.submit(RenderRequest(worn, View(), (8, 8), "rgb", number))
        _wait(lambda n=number: any(p.request.generation == n for p in tuple(machine.pictures)))
    _wait(lambda: not machine.pictures[-1].is_draft)
    assert machine.pictures[-1].request.generation == num_changes - 1
    return [picture.num_points for picture in machine.pictures if picture.is_draft]


def test_drafts_of_a_busy_machine_stay_a_face_and_grow_back(machine: Any) -> None:
    usual = _drag(machine, 20)
    machine.point_s *= 100
    busy = _drag(machine, 20)
    machine.point_s /= 100
    again = _drag(machine, 20)
    assert usual[-1] == max(usual) > usual[0]
    assert min(busy) == busy[-1] == LEGIBLE_POINTS
    assert again[-1] == usual[-1]


def test_one_slow_draft_does_not_spoil_the_next_drag(machine: Any) -> None:
    usual = _drag(machine, 20)[-1]
    machine.point_s *= 50
    _drag(machine, 1)
    machine.point_s /= 50
    assert _drag(machine, 20)[-1] == usual


@pytest.mark.parametrize("is_slow", [True, False])
def test_a_full_picture_follows_one_that_failed(machine: Any, is_slow: bool) -> None:
    machine.point_s = 1e-6 if is_slow else 1e-9
    _drag(machine, 3)
    machine.failures.append(MemoryError("no room"))
    machine.pictures.clear()
    machine.loop.submit(RenderRequest(Document().face, View(), (8, 8), "rgb", 50))
    _wait(lambda: machine.pictures and not machine.pictures[-1].is_draft)
    assert machine.pictures[-1].request.generation == 50
    assert [type(error) for error in machine.errors] == [MemoryError]


def test_where_few_points_show_no_face_drafts_have_all_and_the_first_picture_is_none(
    machine: Any,
) -> None:
    machine.loop.open(SimpleNamespace(num_points=NUM_POINTS, legible_points=NUM_POINTS))
    machine.point_s = 1e-4
    assert _drag(machine, 1) == []
    assert set(_drag(machine, 20)) == {NUM_POINTS}
