"""Save, close, open again: the same picture; and the questions when something would be lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from app.state.controls import JAW_OPEN
from app.state.display import Display
from app.state.journal import find_recoveries
from app.widgets.message_dialog import MessageDialog
from pegasus_runtime.parameters import AttributeBlend
from tests.factories import published_avatar

ROOT = Path(__file__).resolve().parents[2]


def work(window) -> None:
    """Something of every kind, by what the panels emit."""
    document = window.editor.document
    window.attributes.worn.emit("hair", AttributeBlend("hair_curly", 0.7))
    window.expression.changed.emit({0: 1 / 3, 7: -0.1}, "Expression")
    window.pose.changed.emit(JAW_OPEN.values(17.0), "Jaw")
    document.set_view(document.view.orbited(0.1234, 0.05).zoomed(1.3))
    window.scene.display_changed.emit(Display("rgb", "checker", (0.1, 0.2, 0.3)))


def settled(qtbot, window) -> np.ndarray:
    qtbot.waitUntil(
        lambda: window.editor.live.is_settled and not window.editor.avatar_loader.num_opening,
        timeout=60_000,
    )
    return np.array(window.editor.live.latest.pixels)


def answer(qtbot, window, title: str) -> None:
    qtbot.waitUntil(lambda: window.projects.question is not None, timeout=30_000)
    window.projects.question.answers[title].click()
    QApplication.processEvents()


@pytest.fixture()
def project(qtbot, window, tmp_path) -> Path:
    """A saved project with something of every kind."""
    work(window)
    path = tmp_path / "work" / "ann.pegasus.yaml"
    path.parent.mkdir()
    window.projects.save_to(path)
    return path


@pytest.mark.slow
def test_closed_and_opened_again_it_is_the_same_to_the_bit(
    qtbot, window, open_window, project, monkeypatch
):
    before, document = settled(qtbot, window), window.editor.document
    kept, thumbnail = document.snapshot, window.projects.recent_files()[0].picture
    assert not document.is_modified and window.windowTitle().startswith("ann[*]")
    assert window.preferences.recent[0] == str(project) and Path(thumbnail).is_file()
    window.close()
    second = open_window()
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(project))])
    position, action = QPointF(50, 50), Qt.DropAction.CopyAction
    second.dropEvent(
        QDropEvent(position, action, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier(0))
    )
    qtbot.waitUntil(lambda: second.editor.document.project is not None, timeout=30_000)
    second.resize(window.size())
    after = settled(qtbot, second)
    assert second.editor.document.snapshot == kept and not second.editor.document.is_modified
    # What was dragged is posed from sums of earlier frames, which round otherwise.
    assert before.shape == after.shape and np.abs(before.astype(int) - after).max() <= 1
    second.projects.close()
    second.projects.open(str(project))
    assert np.array_equal(after, settled(qtbot, second))
    assert second.attributes.sections["hair"].gallery.tiles["hair_curly"].isChecked()
    assert second.scene.backgrounds.currentData() == "checker"


@pytest.mark.slow
def test_surfels_are_the_same_to_the_bit_also_after_drags(qtbot, window, open_window, tmp_path):
    window.projects.open("demo")
    document = window.editor.document
    settled(qtbot, window)
    work(window)
    for step in range(6):
        window.expression.changed.emit({0: step / 7, 3: step / 9}, "Expression")
        window.pose.changed.emit(JAW_OPEN.values(3.0 * step), "Jaw")
        document.set_view(document.view.orbited(0.05, 0.01))
        document.end_gesture()
        if step % 2:
            settled(qtbot, window)
    path = tmp_path / "demo.pegasus.yaml"
    window.projects.save_to(path)
    before = settled(qtbot, window)
    window.close()
    second = open_window()
    second.projects.open(str(path))
    qtbot.waitUntil(lambda: second.editor.document.project is not None, timeout=60_000)
    second.resize(window.size())
    assert np.array_equal(before, settled(qtbot, second))


@pytest.mark.slow
def test_what_a_project_is_shown_before_is_not_the_usual_background(
    qtbot, window, open_window, project, avatar_file
):
    assert window.preferences.background == "checker"  # chosen in the panel
    window.scene.display_changed.emit(Display("rgb", "white"))
    window.projects.open(str(avatar_file))
    answer(qtbot, window, "Discard")
    settled(qtbot, window)
    window.projects.open(str(project))
    qtbot.waitUntil(lambda: window.editor.document.project is not None, timeout=30_000)
    assert window.editor.document.display.background == "checker"
    assert window.preferences.background == "white"
    window.projects.open(str(avatar_file))
    qtbot.waitUntil(lambda: window.editor.document.project is None, timeout=30_000)
    assert window.editor.document.display.background == "white"


@pytest.mark.slow
def test_save_asks_for_a_name_once_and_marks_what_is_not_saved(window, tmp_path, monkeypatch):
    asked = []
    chosen = str(tmp_path / "b")
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *a: (asked.append(a), (chosen, ""))[1]
    )
    document = window.editor.document
    document.set_expression({0: 0.5}, "Smile")
    assert window.isWindowModified()
    window.actions_.save.trigger()
    assert document.project == tmp_path / "b.pegasus.yaml" and not window.isWindowModified()
    document.set_expression({0: 0.6}, "Smile")
    document.undo()
    assert not window.isWindowModified()
    document.set_view(document.view.zoomed(2))
    assert window.isWindowModified()
    window.actions_.save.trigger()
    assert len(asked) == 1 and not window.isWindowModified()
    assert yaml.safe_load(document.project.read_text())["view"]["reach"] == document.view.reach


@pytest.mark.slow
def test_to_close_with_unsaved_work_is_asked_about(qtbot, window, tmp_path, monkeypatch):
    window.editor.document.set_view(window.editor.document.view.zoomed(2))
    assert not window.editor.document.is_modified  # to have looked is no work
    window.editor.document.set_expression({0: 0.5}, "Smile")
    window.close()
    assert window.isVisible()
    answer(qtbot, window, "Cancel")
    assert window.isVisible()
    window.projects.open("demo")
    answer(qtbot, window, "Cancel")
    assert not window.editor.avatar_loader.num_opening
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: ("", ""))
    window.close()
    answer(qtbot, window, "Save")
    assert window.isVisible()
    chosen = str(tmp_path / "c.pegasus.yaml")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: (chosen, ""))
    window.close()
    answer(qtbot, window, "Save")
    assert not window.isVisible() and Path(chosen).is_file()


@pytest.mark.slow
def test_discard_discards(qtbot, window):
    window.editor.document.set_expression({0: 0.5}, "Smile")
    window.close()
    answer(qtbot, window, "Discard")
    assert not window.isVisible()


@pytest.mark.slow
def test_an_avatar_that_is_gone_is_located(qtbot, window, project, tmp_path, monkeypatch):
    kept, avatar = window.editor.document.snapshot, window.editor.document.avatar.path
    moved = tmp_path / "moved.avatar"
    avatar.rename(moved)
    published_avatar(every=40).save(tmp_path / "bald.avatar")
    window.projects.close()
    window.projects.open(str(project))
    qtbot.waitUntil(lambda: window.projects.question is not None, timeout=30_000)
    assert "was not found" in window.projects.question.text()
    assert window.start_screen.isVisible()
    choices = iter([str(tmp_path / "bald.avatar"), str(moved)])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: (next(choices), ""))
    answer(qtbot, window, "Locate …")
    assert "is not the avatar that ann" in window.projects.question.text()
    answer(qtbot, window, "Locate …")
    settled(qtbot, window)
    assert window.editor.document.snapshot == kept and window.isWindowModified()
    window.actions_.save.trigger()
    assert yaml.safe_load(project.read_text())["avatar"]["path"] == "../moved.avatar"


@pytest.mark.slow
def test_what_another_avatar_lacks_is_said(qtbot, window, project, tmp_path):
    published_avatar(every=40).save(window.editor.document.avatar.path)
    window.projects.close()
    window.projects.open(str(project))
    answer(qtbot, window, "Open with it")
    qtbot.waitUntil(lambda: bool(window.findChildren(MessageDialog)), timeout=30_000)
    dialog = window.findChildren(MessageDialog)[0]
    assert "has no attribute hair_curly" in dialog.text
    dialog.close()
    window.actions_.save.trigger()
    assert yaml.safe_load(project.read_text())["face"]["attributes"]["hair"]["strength"] == 0.7


@pytest.mark.slow
def test_the_history_is_a_list_to_click_and_widgets_are_in_step(qtbot, window):
    document, panel = window.editor.document, window.history
    first = document.snapshot
    work(window)
    last = document.snapshot
    titles = [panel.model.index(row, 0).data() for row in range(panel.model.rowCount())]
    assert titles[:3] == ["As it was opened", "Hair: Curly", "Expression"] and len(titles) == 6
    place = panel.list.visualRect(panel.model.index(0, 0)).center()
    QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert document.snapshot == first and panel.list.currentIndex().row() == 0
    assert window.attributes.sections["hair"].gallery.tiles[""].isChecked()
    assert window.scene.backgrounds.currentData() == first.display.background
    panel.state_chosen.emit(5)
    assert document.snapshot == last and not window.actions_.redo.isEnabled()
    document.go_to(2)
    assert document.face.expression[0] == 1 / 3 and document.view == first.view


@pytest.mark.slow
def test_a_double_click_that_resets_is_one_change(window):
    row = next(row for row in window.expression.rows() if row.title == "Jaw open")
    row.value_changed.emit(20.0)
    row.gesture_ended.emit()
    place = QPoint(round(row.slider.x_of(10)), row.slider.height() // 2)
    QTest.mouseClick(row.slider, Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseDClick(row.slider, Qt.MouseButton.LeftButton, pos=place)
    assert window.editor.document.face.pose[6] == 0
    assert window.editor.document.history.labels == ["Jaw open"] * 2
    window.editor.document.undo()
    assert row.value() == 20.0


EDITOR = """
import sys
from app.application import close_on_signals, make_application
from app.editor_window import EditorWindow
from app.state.preferences import Preferences
from PySide6.QtCore import QTimer

application = make_application()
window = EditorWindow(Preferences())
close_on_signals(window)
window.editor.autosave.written.connect(lambda: print("written", flush=True))

def edit() -> None:
    document = window.editor.document
    document.set_expression({0: 0.25}, "First")
    document.end_gesture()
    document.set_expression({1: 0.5}, "Second")
    document.set_view(document.view.zoomed(2))
    print("edited", flush=True)

window.editor.avatar_loader.opened.connect(edit)
window.editor.avatar_loader.open(sys.argv[1])
sys.exit(application.exec())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_ended_by_the_system_it_closes_unasked_and_keeps_what_was_done(name, window, avatar_file):
    ended = subprocess.Popen(
        [sys.executable, "-c", EDITOR, str(avatar_file)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.stdout is not None
    assert any("edited" in line for line in iter(ended.stdout.readline, ""))
    ended.send_signal(getattr(signal, name))
    assert ended.wait(timeout=60) == 0
    (recovery,) = find_recoveries()
    assert recovery.num_changes == 3
    recovery.discard()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.slow
def test_after_a_kill_the_next_editor_offers_what_was_there(qtbot, open_window, avatar_file):
    killed = subprocess.Popen(
        [sys.executable, "-c", EDITOR, str(avatar_file)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert killed.stdout is not None
    lines = iter(killed.stdout)
    assert any("edited" in line for line in lines) and any("written" in line for line in lines)
    window = open_window()
    window.offer_recovery()
    QApplication.processEvents()
    assert window.projects.recovery is None  # its owner is alive
    killed.kill()
    killed.wait()
    window.offer_recovery()
    qtbot.waitUntil(lambda: window.projects.recovery is not None)
    dialog = window.projects.recovery
    assert "3 changes" in dialog.list.item(0).text()
    dialog.restore.click()
    qtbot.waitUntil(lambda: bool(window.editor.document.history.entries), timeout=30_000)
    document = window.editor.document
    assert document.face.expression[:2] == (0.25, 0.5) and window.isWindowModified()
    titles = [window.history.model.index(row, 0).data() for row in range(4)]
    assert titles == ["As it was opened", "First", "Second", "Zoom"]
    document.go_to(0)
    assert document.face == document.neutral
    assert window.expression.rows()[0].value() == 0
