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
from app.state.face import Wear
from app.state.view import View
from pegasus_runtime.errors import Interrupted
from pegasus_runtime.frame import Frame

NUM_POINTS = 100_000


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
    loop.open(SimpleNamespace(num_points=NUM_POINTS))  # type: ignore[arg-type]
    face = Document().face
    for number in range(num_changes):
        worn = face.wearing("hair", Wear("hair_curly", number / 10))
        loop.submit(RenderRequest(worn, View(), (8, 8), "rgb", number))
        _wait(lambda number=number: state.started == number + 1)
    state.go = True
    _wait(lambda: pictures and not pictures[-1].is_draft)
    loop.stop()
    assert errors == []
    assert [picture.is_draft for picture in pictures] == [True] * num_changes + [False]
    assert [p.request.generation for p in pictures] == [*range(num_changes), num_changes - 1]
