"""The document and the controllers, with no window anywhere."""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app.controllers.avatar_loader import Preloader, loader_with_head
from app.controllers.live_view import LiveView
from app.rendering.render_loop import RenderLoop
from app.rendering.request import RenderRequest
from app.state.controls import JAW_OPEN, combined_controls
from app.state.document import Document
from app.state.preferences import Preferences
from app.state.view import DISTANCE_RANGE, FOV_RANGE_DEG, MAX_OFFSET, MAX_PITCH_DEG, View
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.frame import Frame
from pegasus_runtime.parameters import AttributeBlend
from tests.factories import published_avatar


class SlowSession:
    """Stands for the runtime: waits until it is let go, and notes what it was asked for."""

    device = "cpu"

    def __init__(self, gate: threading.Event, asked: list) -> None:
        self._gate, self._asked = gate, asked

    def render(
        self, params, camera, passes=("rgb",), background=None, max_points=None, interrupted=None
    ):
        self._asked.append(float(params.expression[0]))
        assert self._gate.wait(10)
        height, width = camera.image_size
        grey = np.full((height, width, 1), params.expression[0], np.float32)
        images = {"rgb": np.repeat(grey, 3, axis=2), "alpha": np.ones_like(grey)}
        return Frame(images, np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32))


def test_of_many_requests_only_the_newest_is_rendered():
    gate, asked, pictures, errors = threading.Event(), [], [], []
    loop = RenderLoop(
        pictures.append, lambda *_: None, errors.append, lambda _: SlowSession(gate, asked)
    )
    loop.start()
    loop.open(SimpleNamespace(num_points=1, legible_points=1))
    face = Document().face
    requests = [
        RenderRequest(face.with_expression({0: n / 10}), View(), (4, 4), "rgb", n) for n in range(9)
    ]
    loop.submit(requests[0])
    deadline = time.monotonic() + 10
    while not asked and time.monotonic() < deadline:
        time.sleep(0.005)
    for request in requests[1:]:
        loop.submit(request)
    gate.set()
    while len(pictures) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    loop.stop()
    assert errors == []
    assert [picture.request.generation for picture in pictures] == [0, 8]
    assert pictures[-1].pixels[0, 0].tolist() == [204, 204, 204, 255]


def test_a_drag_is_one_entry_and_two_drags_are_two():
    document = Document()
    for value in (0.1, 0.2, 0.3):
        document.set_expression({0: value}, "Smile")
    document.end_gesture()
    document.set_expression({0: 0.5}, "Smile")
    assert document.history.labels == ["Smile", "Smile"]
    document.undo()
    assert document.face.expression[0] == 0.3
    document.undo()
    assert document.face.expression[0] == 0 and document.history.undo_label is None
    document.redo()
    assert document.face.expression[0] == 0.3


def test_a_new_change_forgets_what_was_undone():
    document = Document()
    document.wear("hair", AttributeBlend("hair_curly"), "Hair")
    document.undo()
    document.set_pose({6: 0.1}, "Jaw")
    assert document.history.redo_label is None and document.face.attributes == {}


def test_setting_the_same_value_is_no_change():
    document = Document()
    document.set_expression({3: 0.0}, "nothing")
    assert document.history.labels == []


def test_face_becomes_the_runtimes_parameters():
    document = Document()
    document.wear("hair", AttributeBlend("hair_curly", 0.5), "Hair")
    document.set_pose({6: 0.2}, "Jaw")
    parameters = document.face.parameters()
    assert parameters.attributes == {"hair": ("hair_curly", 0.5)}
    assert parameters.pose.dtype == np.float32 and parameters.pose[6] == np.float32(0.2)


def test_combined_controls_pair_left_and_right():
    names = ["smile left", "smile right", "brow inner up", "brow outer up left",
             "brow outer up right", "jaw left", "jaw right", "detail 1"]  # fmt: skip
    controls = {control.title: control for control in combined_controls(names)}
    assert controls["Smile"].indices == (0, 1) and controls["Brow raise"].indices == (2, 3, 4)
    assert "Jaw" not in controls


def test_a_slider_in_degrees_moves_radians_and_back():
    values = JAW_OPEN.values(20.0)
    pose = [0.0] * 15
    pose[6] = values[6]
    assert values[6] == pytest.approx(0.349, abs=1e-3)
    assert JAW_OPEN.position(pose) == pytest.approx(20.0)


def test_damaged_preferences_do_not_stop_the_editor(tmp_path, monkeypatch):
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path))
    kept = Preferences(theme="light")
    kept.add_recent(tmp_path / "a.avatar")
    kept.save()
    assert Preferences.load() == kept
    file = tmp_path / "config" / "editor.json"
    file.write_text('{"theme": 3, "recent": "x", "later": 1}')
    assert Preferences.load() == Preferences()
    file.write_text("{ damaged")
    assert Preferences.load() == Preferences()


def test_distance_moves_the_camera_and_keeps_the_field_of_view():
    view = View(fov_deg=35.0).at_distance(3.0)
    assert view.distance == pytest.approx(3.0) and view.fov_deg == 35.0
    away = view.camera((64, 64)).centre - np.asarray(view.target)
    assert np.linalg.norm(away) == pytest.approx(3.0, rel=1e-5)


def test_pucker_is_an_everyday_control_although_it_has_one_side():
    titles = [c.title for c in combined_controls(["mouth pucker", "smile left", "smile right"])]
    assert titles == ["Smile", "Mouth pucker"]


def test_a_head_that_is_given_is_tried_before_the_asset_folder(monkeypatch, tmp_path):
    asked = []

    def refuse(source, head=None):
        asked.append(head)
        if head is not None:
            raise InvalidInput("wrong head")
        return "from the asset folder"

    monkeypatch.setattr("pegasus_runtime.avatar_file.load_avatar", refuse)
    given = tmp_path / "head.pkl"
    assert loader_with_head(given)("a.avatar") == "from the asset folder"
    assert asked == [given, None]


def test_what_is_loaded_early_is_loaded_once_and_may_fail():
    loaded: list[str] = []

    def load(source):
        loaded.append(source)
        if source == "broken":
            raise InvalidInput("broken: not an avatar.")
        return source.upper()

    early = Preloader(load, "demo")
    assert early("demo") == "DEMO"
    assert loaded == ["demo"]
    assert early("demo") == "DEMO"
    assert loaded == ["demo", "demo"]
    with pytest.raises(InvalidInput, match="not an avatar"):
        Preloader(load, "broken")("broken")
    assert Preloader(load, "demo")("other") == "OTHER"


def test_the_same_picture_is_asked_for_once_until_it_fails():
    document = Document()
    live = LiveView(document, dispatch=lambda function: function())
    asked: list[object] = []
    live.loop = SimpleNamespace(submit=asked.append, open=lambda avatar: None)
    document.open(published_avatar())
    assert len(asked) == 1
    live.request()
    live.set_size(512, 512)
    assert len(asked) == 1
    live.set_size(400, 300)
    assert len(asked) == 2
    live._fail(InvalidInput("out of memory"))
    live.request()
    assert len(asked) == 3


@pytest.mark.parametrize("fov", [5.0, 20.0, 90.0])
def test_nothing_takes_the_camera_beyond_its_limits(fov):
    document, chance = Document(), random.Random(fov)
    document.set_view(replace(document.view, fov_deg=fov))
    for _ in range(500):
        view = document.view
        size = 10 ** chance.uniform(-3, 3)
        document.set_view(
            chance.choice(
                [
                    view.zoomed(1.12 ** chance.uniform(-50, 50)),
                    view.at_distance(size),
                    view.orbited(chance.uniform(-size, size), chance.uniform(-size, size)),
                    view.panned(chance.uniform(-size, size), chance.uniform(-size, size)),
                    replace(view, fov_deg=chance.uniform(-10, 200)),
                    replace(view, roll_deg=chance.uniform(-1e6, 1e6)),
                    replace(view, yaw_deg=math.nan, reach=math.inf),
                ]
            )
        )
        now = document.view
        assert DISTANCE_RANGE[0] - 1e-9 <= now.distance <= DISTANCE_RANGE[1] + 1e-9
        assert abs(now.yaw_deg) <= 180 and abs(now.roll_deg) <= 180
        assert abs(now.pitch_deg) <= MAX_PITCH_DEG
        assert FOV_RANGE_DEG[0] <= now.fov_deg <= FOV_RANGE_DEG[1]
        assert max(map(abs, now.target)) <= MAX_OFFSET


def test_an_avatar_of_another_scale_keeps_its_framing():
    far = View(reach=50.0)
    assert far.limited(far) == far
    assert far.zoomed(0.5).limited(far).distance == pytest.approx(far.distance)
    assert far.zoomed(2.0).limited(far).distance == pytest.approx(far.distance / 2)
