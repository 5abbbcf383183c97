"""The window as a user meets it: mouse and keys in, pictures out."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.editor_window import EditorWindow
from app.screenshot import grab_window
from app.state.preferences import Preferences
from app.widgets.control_panel import ControlList
from app.widgets.message_dialog import MessageDialog
from app.widgets.slider_row import SliderRow

LEFT = Qt.MouseButton.LeftButton


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference of two pictures in grey levels."""
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


def _row(window, title):
    return next(row for row in window.expression.rows() if row.title == title)


def _point(slider, number):
    return QPoint(round(slider.x_of(number)), slider.height() // 2)


def _drag(slider, start, *numbers):
    QTest.mousePress(slider, LEFT, pos=_point(slider, start))
    for number in numbers:
        QTest.mouseMove(slider, _point(slider, number))
        QApplication.processEvents()
    QTest.mouseRelease(slider, LEFT, pos=_point(slider, numbers[-1]))


def _on_screen(window) -> np.ndarray:
    image = window.viewport.grabFramebuffer().convertToFormat(
        window.viewport.grabFramebuffer().Format.Format_RGBA8888
    )
    return np.array(image.constBits()).reshape(image.height(), image.bytesPerLine() // 4, 4)


@pytest.mark.slow
def test_dragging_a_slider_changes_the_picture_and_is_one_undo(qtbot, window, full_picture):
    before, shown = full_picture(), _on_screen(window)
    row = _row(window, "Jaw open")
    _drag(row.slider, 0, 5, 10, 20, 28)
    after = full_picture()
    assert row.number.value() == pytest.approx(28, abs=1)
    assert difference(before, after) > 0.5
    qtbot.waitUntil(lambda: difference(shown, _on_screen(window)) > 0.5)
    assert window.editor.document.history.labels == ["Jaw open"]
    window.actions_.undo.trigger()
    assert row.number.value() == 0 and row.slider.number() == 0
    assert np.array_equal(before, full_picture())
    window.actions_.redo.trigger()
    assert row.number.value() == pytest.approx(28, abs=1)
    assert np.array_equal(after, full_picture())


@pytest.mark.slow
def test_a_typed_value_reaches_the_document_and_double_click_resets_it(qtbot, window):
    row = _row(window, "Smile left")
    row.number.setFocus()
    row.number.selectAll()
    QTest.keyClicks(row.number, "0.75")
    QTest.keyClick(row.number, Qt.Key.Key_Return)
    document = window.editor.document
    index = window.editor.document.avatar.head.expression_names.index("smile left")
    assert document.face.expression[index] == 0.75
    assert row.slider.number() == pytest.approx(0.75, abs=0.01)
    QTest.mouseDClick(row.slider, LEFT, pos=_point(row.slider, 0.75))
    assert document.face.expression[index] == 0 and row.number.value() == 0


@pytest.mark.slow
def test_a_closed_section_has_no_sliders_until_something_in_it_is_found(qtbot, window):
    controls = window.expression.findChildren(ControlList)[-1]
    assert not controls.findChildren(SliderRow)
    index = window.editor.document.avatar.head.expression_names.index("smile left")
    window.editor.document.set_expression({index: 1.5}, "smile")
    tabs = window.expression.parentWidget().parentWidget()
    tabs.setCurrentWidget(window.expression)
    window.expression.search.setText("left smile")
    rows = controls.findChildren(SliderRow)
    assert [row.title for row in rows if not row.isHidden()] == ["Smile left"]
    assert [row.value() for row in rows if row.value()] == [1.5]
    window.expression.search.clear()
    assert not any(row.isHidden() for row in rows)


@pytest.mark.slow
def test_a_combined_control_moves_both_sides(qtbot, window):
    names = window.editor.document.avatar.head.expression_names
    slider = _row(window, "Smile").slider
    _drag(slider, 0, 1, slider.high)
    expression = window.editor.document.face.expression
    assert 1 <= slider.high == expression[names.index("smile left")] < 2
    assert expression[names.index("smile right")] == slider.high
    assert _row(window, "Smile right").number.value() == slider.high


@pytest.mark.slow
def test_a_number_beyond_the_slider_is_shown_and_stays(qtbot, window):
    document, row = window.editor.document, _row(window, "Blink left")
    index = document.avatar.head.expression_names.index("blink left")
    document.set_expression({index: -1.5}, "from a project")
    assert row.value() == -1.5 and row.slider.number() == row.slider.low > -0.5
    assert "Beyond the slider's end" in row.slider.toolTip()
    for lifted in (True, False):
        window.expression.lift.setChecked(lifted)
        assert (row.slider.low == -2) is lifted and row.value() == -1.5
        assert ("Beyond" in row.slider.toolTip()) is not lifted
    assert document.face.expression[index] == -1.5
    _drag(row.slider, row.slider.low, 0.2, 0.5)
    assert row.value() == pytest.approx(0.5, abs=0.02) and "Beyond" not in row.slider.toolTip()


@pytest.mark.slow
def test_mouth_close_is_a_share_of_the_open_jaw(qtbot, window):
    document, row = window.editor.document, _row(window, "Mouth close")
    index = document.avatar.head.expression_names.index("mouth close")
    assert not row.isEnabled()
    document.set_pose({6: 0.2}, "Jaw")
    assert row.isEnabled() and row.slider.high == 1
    _drag(row.slider, 0, 0.5, 1)
    closed = document.face.expression[index]
    assert 0.5 < closed < 0.7 and row.value() == 1
    document.end_gesture()
    document.set_pose({6: 0.1}, "Jaw")
    assert 0 < document.face.expression[index] < 0.6 * closed and row.value() == 1
    document.undo()
    assert document.face.expression[index] == closed and document.face.pose[6] == 0.2
    window.expression.lift.setChecked(True)
    assert row.slider.high == 2 and row.value() == pytest.approx(closed, abs=0.006)
    document.set_pose({6: 0.0}, "Jaw")
    assert document.face.expression[index] == closed


@pytest.mark.slow
def test_a_tongue_that_comes_out_opens_the_jaw_as_far_as_it_needs(qtbot, window):
    document, row = window.editor.document, _row(window, "Tongue out")
    _drag(row.slider, 0, 0.5, 1)
    opened = document.face.pose[6]
    assert 0.08 < opened < 0.2
    document.end_gesture()
    _drag(row.slider, 1, 0.5, 0)
    assert document.face.pose[6] == 0, "it closes behind it"
    document.end_gesture()
    document.undo()
    assert document.face.pose[6] == opened and row.value() == pytest.approx(1, abs=0.02)
    document.set_pose({6: 0.3}, "Jaw")
    _drag(row.slider, 1, 0.5, 0)
    assert document.face.pose[6] == 0.3, "somebody has opened it"
    _drag(row.slider, 0, 0.5, 1)
    document.set_pose({6: 0.0}, "Jaw")
    _drag(row.slider, 1, 0.8, 0.5)
    assert document.face.pose[6] == 0, "somebody has closed it on the tongue"
    document.set_expression({42: 0.0}, "Tongue")
    window.expression.lift.setChecked(True)
    document.set_expression({42: 1.0}, "Tongue")
    assert document.face.pose[6] == 0


@pytest.mark.slow
def test_clicking_an_attribute_wears_it_and_strength_changes_it(qtbot, window, full_picture):
    before = full_picture()
    section = window.attributes.sections["hair"]
    assert section.strength.isHidden()
    QTest.mouseClick(section.gallery.tiles["hair_curly"], LEFT)
    worn = full_picture()
    assert difference(before, worn) > 0.5
    assert window.editor.document.face.attributes["hair"].name == "hair_curly"
    QApplication.processEvents()
    _drag(section.strength.slider, 1, 0.6, 0.2)
    weaker = full_picture()
    assert difference(worn, weaker) > 0.1
    assert 0.15 < window.editor.document.face.attributes["hair"].strength < 0.25
    assert len(window.editor.document.history.labels) == 2
    QTest.mouseClick(section.gallery.tiles[""], LEFT)
    assert np.array_equal(before, full_picture())


@pytest.mark.slow
def test_undo_brings_the_worn_tile_back(qtbot, window):
    section = window.attributes.sections["hat"]
    QTest.mouseClick(section.gallery.tiles["hat_beanie"], LEFT)
    window.actions_.undo.trigger()
    assert section.gallery.tiles[""].isChecked() and section.strength.isHidden()


@pytest.mark.slow
def test_thumbnails_come_and_are_found_again_on_disk(qtbot, window, tmp_path):
    qtbot.waitUntil(lambda: window.editor.thumbnails.num_pending == 0, timeout=30_000)
    sections = window.attributes.sections.values()
    assert all(t.image for section in sections for t in section.gallery.tiles.values())
    kept = list((tmp_path / "home" / "cache" / "thumbnails").rglob("*.png"))
    # Four attributes, and the source as the nose's pictures and as hair and hats show it.
    assert len(kept) == 6


@pytest.mark.slow
def test_the_wheel_over_a_slider_leaves_the_value(qtbot, window):
    row = _row(window, "Smile")
    for widget in (row.slider, row.number):
        place = QPointF(widget.rect().center())
        event = QWheelEvent(
            place,
            widget.mapToGlobal(place),
            QPoint(),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(widget, event)
    assert row.number.value() == 0


@pytest.mark.slow
def test_the_viewport_orbits_pans_zooms_and_frames(qtbot, window):
    document, viewport = window.editor.document, window.viewport
    start = document.view
    centre = viewport.rect().center()
    QTest.mousePress(viewport, LEFT, pos=centre)
    QTest.mouseMove(viewport, centre + QPoint(60, 20))
    QTest.mouseRelease(viewport, LEFT, pos=centre + QPoint(60, 20))
    assert document.view.yaw_deg < start.yaw_deg and document.view.pitch_deg > start.pitch_deg
    shift = Qt.KeyboardModifier.ShiftModifier
    QTest.mousePress(viewport, LEFT, shift, centre)
    QTest.mouseMove(viewport, centre + QPoint(30, 0))
    QTest.mouseRelease(viewport, LEFT, shift, centre)
    before = document.view
    QTest.keyClick(viewport, Qt.Key.Key_Plus)
    assert document.view.reach < before.reach
    document.frame_head()
    assert document.view.target == pytest.approx(start.target)
    assert document.history.labels == ["Turn camera", "Turn camera", "Zoom", "Frame head"]
    for _ in range(4):
        document.undo()
    assert document.view == start
    window.actions_.undo_camera.trigger()
    document.reset_view()
    document.set_view(start.zoomed(2))
    assert document.history.labels == [] and not window.preferences.undo_camera


@pytest.mark.slow
def test_the_head_stays_under_the_cursor_while_panning(window):
    view = window.editor.document.view
    moved = view.panned(0.25, 0.1)
    import torch

    target = torch.tensor([view.target])
    x, y = moved.camera((400, 400)).project(target)[0, :2].tolist()
    # NDC runs left and up over [-1, 1]; the drag ran right and down over the whole side.
    assert (-x / 2, -y / 2) == pytest.approx((0.25, 0.1), abs=1e-4)


@pytest.mark.slow
def test_dropping_a_wrong_file_says_so_and_keeps_the_avatar(qtbot, window, tmp_path):
    wrong = tmp_path / "wrong.avatar"
    wrong.write_bytes(b"this is not an avatar")
    before = window.editor.document.avatar
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(wrong))])
    event = QDropEvent(
        QPointF(50, 50), Qt.DropAction.CopyAction, mime, LEFT, Qt.KeyboardModifier.NoModifier
    )
    window.dropEvent(event)
    qtbot.waitUntil(lambda: bool(window.findChildren(MessageDialog)))
    dialog = window.findChildren(MessageDialog)[0]
    assert "wrong.avatar" in dialog.text and "\n" not in dialog.text
    dialog.close()
    assert window.editor.document.avatar is before
    assert str(wrong) not in window.preferences.recent


@pytest.mark.slow
def test_window_state_is_kept(qtbot, open_window):
    first = open_window()
    first.docks[0].hide()
    first.resize(1111, 700)
    QApplication.processEvents()
    first.set_theme("light")
    QApplication.processEvents()
    size = first.size()
    first.close()
    kept = Preferences.load()
    second = open_window(kept)
    assert second.docks[0].isHidden() and not second.docks[1].isHidden()
    assert second.size() == size
    assert abs(size.width() - 1111) < 20 and abs(size.height() - 700) < 20
    assert kept.theme == "light" and kept.recent[0].endswith("small.avatar")
    second.set_theme("dark")


@pytest.mark.slow
def test_a_change_is_kept_at_once_and_garbage_is_told(qtbot, open_window, tmp_path):
    file = tmp_path / "home" / "config" / "editor.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"theme": [], "layout": "AAAA", "geometry": "/w=="}')
    window = open_window(Preferences.load())
    assert any("editor.json.bad" in text for _, text in window.editor.activity.lines)
    window.set_theme("light")
    assert Preferences.load().theme == "light"
    window.resize(1100, 700)
    qtbot.waitUntil(lambda: Preferences.load().geometry == window.preferences.geometry != "")
    before = Preferences.load().geometry
    window.resize(1000, 650)
    qtbot.waitUntil(lambda: Preferences.load().geometry != before)
    window.set_theme("dark")


@pytest.mark.slow
def test_the_window_grabbed_holds_the_picture(qtbot, window):
    image = grab_window(window)
    place = window.viewport.mapTo(window, window.viewport.rect().center())
    region = [
        image.pixelColor(place + QPoint(dx, dy)).getRgb()
        for dx in range(-80, 81, 10)
        for dy in range(-80, 81, 10)
    ]
    assert len(set(region)) > 20
    assert max(sum(colour[:3]) for colour in region) > 90


@pytest.mark.slow
def test_screenshot_command(avatar_file, tmp_path, qapp):
    import subprocess
    import sys

    out = tmp_path / "window.png"
    script = (
        "from pathlib import Path\nfrom app.application import open_editor\n"
        f"raise SystemExit(open_editor({str(avatar_file)!r}, Path({str(out)!r})))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env=dict(os.environ),
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    from PySide6.QtGui import QImage

    assert QImage(str(out)).width() >= 800
    assert [p.name for p in tmp_path.glob("*.png")] == ["window.png"]


@pytest.mark.slow
def test_the_log_is_closed_until_asked_for_or_an_export_runs(qtbot, window, tmp_path):
    assert window.activity_dock.isHidden()
    written = []
    window.editor.exporter.finished.connect(lambda _, out: written.append(out))
    window.binding.save_picture(tmp_path / "picture.png")
    assert not window.activity_dock.isHidden()
    qtbot.waitUntil(lambda: bool(written), timeout=30_000)
    assert (tmp_path / "picture.png").exists()


@pytest.mark.slow
def test_a_typed_distance_changes_the_picture(qtbot, window, full_picture):
    before = full_picture()[..., 3].astype(int).sum()
    window.scene.distance.value_changed.emit(window.editor.document.view.distance * 2)
    assert full_picture()[..., 3].astype(int).sum() < 0.5 * before


@pytest.mark.slow
def test_help_lists_the_keys_of_the_menus(window):
    box = window.actions_.help.show_shortcuts()
    assert "Export turntable" in box.informativeText() and "Ctrl+O" in box.informativeText()
    box.close()


@pytest.mark.slow
def test_a_job_that_reports_after_the_window_is_closed_is_not_heard(qtbot, window):
    heard = []
    window.close()
    window.dispatch(lambda: heard.append(1))
    QApplication.processEvents()
    assert heard == []


@pytest.mark.slow
def test_while_nothing_is_open_there_is_a_start_screen(qtbot, qapp, avatar_file, tmp_path):
    window = EditorWindow(Preferences(recent=[str(avatar_file), str(tmp_path / "gone.avatar")]))
    window.show()
    try:
        start = window.start_screen
        assert not start.isVisible()
        window.editor.avatar_loader.open(str(tmp_path / "none.avatar"))
        qtbot.waitUntil(start.isVisible, timeout=30_000)
        assert "Open an avatar" in start.hint.text() and not window.attributes.isEnabled()
        assert list(start.tiles) == [str(avatar_file)]
        start.tiles[str(avatar_file)].click()
        qtbot.waitUntil(window.viewport.isVisible, timeout=60_000)
        qtbot.waitUntil(lambda: window.editor.live.is_settled, timeout=60_000)
        assert window.attributes.isEnabled() and window.windowTitle().startswith("Small")
        window.actions_.close.trigger()
        assert start.isVisible() and window.windowTitle() == "PEGASUS editor"
        assert not start.tiles[str(avatar_file)].icon().pixmap(50, 50).isNull()
    finally:
        window.close()
        window.deleteLater()


def test_garbage_is_collected_on_the_windows_thread(qapp):
    from app.gui_thread import GuiThreadGC

    taken_down = []

    class Knot:
        def __init__(self):
            self.itself = self

        def __del__(self):
            taken_down.append(threading.current_thread())

    Knot()
    kept = []
    worker = threading.Thread(target=lambda: kept.extend([] for _ in range(100_000)))
    worker.start()
    worker.join()
    assert not taken_down
    (qapp.findChild(GuiThreadGC) or GuiThreadGC(qapp)).collect()
    assert taken_down == [threading.main_thread()]
