"""What the first start shows: that loops are compiled, and a greeting that leaves no trace."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numba
import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.controllers.performance import DURATION_S, Performance, face_at
from app.controllers.preparation import TITLE
from app.editor_window import EditorWindow
from app.rendering.renderer import make_session
from app.state.face import Face
from app.state.preferences import Preferences
from pegasus_runtime.cpu.jit import njit
from pegasus_runtime.devices import choose_device

NAMES = ("smile left", "smile right", "blink left", "blink right", "jaw left")


@pytest.mark.parametrize(
    ("seconds", "is_neutral", "has_hat"),
    [(-1.0, True, False), (0.0, True, False), (1.4, False, False), (5.0, False, True),
     (7.0, False, False), (DURATION_S, True, False), (99.0, True, False)],
)  # fmt: skip
def test_the_greeting_begins_and_ends_neutral(
    seconds: float, is_neutral: bool, has_hat: bool
) -> None:
    neutral = Face().with_pose({6: 0.1}).with_expression({4: 0.3})
    face = face_at(seconds, neutral, NAMES, ("hair_long", "hat_cap"))
    assert (face == neutral) == is_neutral
    assert ("hat" in face.attributes) == has_hat
    assert face.pose[6] == 0.1 and face.expression[4] == 0.3
    assert not face_at(seconds, neutral, (), ()).attributes


def test_the_greeting_moves_without_a_jump() -> None:
    faces = [face_at(t / 100, Face(), NAMES, ()) for t in range(int(DURATION_S * 100) + 1)]
    numbers = np.array([[*face.pose, *face.expression] for face in faces])
    assert np.abs(np.diff(numbers, axis=0)).max() < 0.2
    assert np.abs(numbers).max(axis=0)[[4, 15]].min() > 0.2


class Played:
    """A greeting in a window, at the time the test says."""

    def __init__(self, window: EditorWindow, wait: Callable) -> None:
        self.window, self.wait, self.now = window, wait, 0.0
        self.shown: list[Face] = []
        window.editor.live.picture_ready.connect(lambda p: self.shown.append(p.request.face))
        self.performance = Performance(window.editor, window, lambda: self.now)
        self.performance.play()
        # A picture that comes after `play`, as the first one does in the editor.
        window.editor.live.set_size(300, 301)
        wait(lambda: self.performance.is_playing, timeout=60_000)

    def go_to(self, seconds: float) -> Face:
        """Wait for a picture of that time."""
        self.now = seconds
        document = self.window.editor.document
        avatar = document.avatar
        names, attributes = avatar.head.expression_names, avatar.attribute_names
        face = face_at(seconds, document.neutral, names, attributes)
        self.wait(lambda: face in self.shown, timeout=30_000)
        return face


@pytest.fixture()
def played(qtbot, window) -> Played:
    """A greeting that plays."""
    return Played(window, qtbot.waitUntil)


@pytest.mark.slow
def test_a_greeting_plays_to_its_end_and_leaves_no_trace(qtbot, played) -> None:
    document, live = played.window.editor.document, played.window.editor.live
    before = document.snapshot
    assert "hat" in played.go_to(5.0).attributes
    assert not live.is_settled
    assert live.latest.request.face == document.face
    played.now = DURATION_S
    qtbot.waitUntil(lambda: live.is_settled and not played.performance.is_playing, timeout=30_000)
    assert document.snapshot == before and not document.is_modified
    assert document.history.labels == []


def _press(window: EditorWindow) -> None:
    QTest.mouseClick(window.attributes, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))


def _turn_wheel(window: EditorWindow) -> None:
    at, none = QPointF(50, 50), Qt.KeyboardModifier.NoModifier
    event = QWheelEvent(
        at, at, QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton, none,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(window.viewport, event)


@pytest.mark.slow
@pytest.mark.parametrize(
    "touch",
    [
        _press,
        _turn_wheel,
        lambda window: QTest.keyClick(window, Qt.Key.Key_A),
        lambda window: window.editor.document.set_expression({0: 0.5}, "Smile"),
        lambda window: window.editor.document.set_view(window.editor.document.view.orbited(0.1, 0)),
    ],
)
def test_any_touch_ends_the_greeting(qtbot, played, touch: Callable) -> None:
    played.go_to(5.0)
    touch(played.window)
    assert not played.performance.is_playing
    live, document = played.window.editor.live, played.window.editor.document
    qtbot.waitUntil(lambda: live.is_settled, timeout=30_000)
    assert live.latest.request.face == document.face


@pytest.mark.slow
def test_a_greeting_is_played_only_when_asked_for_and_can_be_switched_off(
    qtbot, open_window
) -> None:
    window = open_window()
    assert not window.performance.is_playing
    action = window.actions_.help.greeting
    assert action.isChecked()
    action.trigger()
    assert not Preferences.load().plays_greeting
    again = open_window(Preferences.load())
    assert not again.actions_.help.greeting.isChecked()
    again.greet()
    again.editor.live.set_size(300, 301)
    qtbot.waitUntil(lambda: again.editor.live.is_settled, timeout=30_000)
    qtbot.waitUntil(lambda: again.editor.thumbnails.num_pending == 0, timeout=60_000)
    qtbot.wait(100)
    assert not again.performance.is_playing


@pytest.mark.slow
@pytest.mark.skipif(choose_device("auto").type != "cpu", reason="nothing is compiled by numba")
def test_the_window_says_that_loops_are_compiled_until_a_picture_is_there(
    qtbot, qapp, avatar_file, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    go = threading.Event()

    @njit(cache=True)
    def add(a: float, b: float) -> float:
        return a + b

    def make(avatar):
        add(1.0, 2.0)
        assert go.wait(60)
        return make_session(avatar)

    window = EditorWindow(Preferences(), make)
    try:
        window.show()
        notice = window.preparation
        assert not notice.isVisible()
        window.editor.avatar_loader.open(str(avatar_file))
        qtbot.waitUntil(lambda: notice.count.text() == "1 loops compiled", timeout=60_000)
        assert notice.isVisible() and notice.title.text() == TITLE
        assert [job.title for job in window.editor.activity.jobs] == [TITLE]
        go.set()
        qtbot.waitUntil(lambda: window.editor.live.is_settled, timeout=60_000)
        assert not notice.isVisible() and window.editor.activity.jobs == []
    finally:
        go.set()
        window.close_discarding()
