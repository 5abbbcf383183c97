"""From a video to an avatar: dialog, look, start, the part before the training, following it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PySide6.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from app.controllers.camera import camera_command, has_camera
from app.controllers.run_follower import RunFollower
from app.runs import launch
from app.runs.launch import ROOT
from app.runs.run import Run, Status
from app.screenshot import grab_window
from app.widgets.training.camera_dialog import INSTRUCTIONS, CameraDialog
from app.widgets.training.run_view import RunView
from app.widgets.training.runs_window import RunsWindow
from pegasus_runtime.parameters import AttributeBlend
from tests.talking_demo import filmed_demo, put_beside
from tests.videos import grey_levels, write_video
from trainer.preprocess.frame_filter import NO_FACE

LEFT = Qt.MouseButton.LeftButton
LOOK_MS = 180_000
pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the screenless test machine is Linux"
)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    frames = list(filmed_demo(14))
    frames[4] = np.full_like(frames[0], 90)
    return write_video(tmp_path_factory.mktemp("film") / "my talk.mp4", frames, rate=25)


@pytest.fixture()
def dialog(qtbot, window, tmp_path):
    """The dialog, on a machine whose camera is a file that is not there."""
    window.training.camera_source = str(tmp_path / "no camera")
    window.training.new_video.trigger()
    qtbot.waitUntil(lambda: window.training.dialog is not None, timeout=60_000)
    shown = window.training.dialog
    yield shown
    shown.blockSignals(True)
    shown.hide()


def look(qtbot, dialog, path: Path) -> None:
    dialog.set_video(path)
    qtbot.waitUntil(lambda: "Looking" not in dialog.status.text(), timeout=LOOK_MS)


def keep_picture(widget, name: str) -> None:
    """For people who want to look at it."""
    folder = os.environ.get("PEGASUS_TEST_PICTURES")
    if folder:
        QApplication.processEvents()
        widget.grab().save(str(Path(folder) / f"{name}.png"))


@pytest.mark.slow
def test_what_was_seen_is_shown_and_what_it_takes(qtbot, window, dialog, film) -> None:
    assert not dialog.start.isEnabled() and "Choose a video" in dialog.start.toolTip()
    look(qtbot, dialog, film)
    assert dialog.status.text() == "Ready to start." and dialog.start.isEnabled()
    texts = [dialog.strip.item(row).text() for row in range(dialog.strip.count())]
    assert len(texts) == 8 and texts.count(NO_FACE) == 1
    assert not any(dialog.strip.item(row).icon().isNull() for row in range(len(texts)))
    assert dialog.name.text() == "my talk"
    assert "256 × 256 px" in dialog.facts.text()
    titles = [button.text() for button in dialog.choices.buttons()]
    assert titles == ["Quick look", "Good", "Best"]
    assert all("About" in label.text() for label in dialog.choices.texts.values())
    keep_picture(dialog, "video_dialog")
    dialog.resize(560, 420)
    keep_picture(dialog, "video_dialog_small")
    window.set_theme("light")
    dialog.resize(980, 620)
    keep_picture(dialog, "video_dialog_light")
    window.set_theme("dark")
    dialog.choices.buttons()[1].setChecked(True)
    QTest.keyClicks(dialog.name, "/")
    assert not dialog.start.isEnabled() and "file name" in dialog.status.text()
    dialog.name.clear()
    QTest.keyClicks(dialog.name, "anna")
    assert dialog.start.isEnabled() and dialog.run_folder().name == "anna"
    wanted = yaml.safe_load(dialog.config_text())
    assert wanted["data"]["video"] == str(film) and wanted["name"] == "anna"
    assert wanted["data"]["image_size" if "image_size" in wanted["data"] else "video"]
    qtbot.waitUntil(lambda: dialog.record.text() == "No camera found", timeout=60_000)
    assert not dialog.record.isEnabled()


@pytest.mark.slow
def test_escape_asks_before_a_filled_form_is_lost(qtbot, dialog, tmp_path) -> None:
    def answer(title: str) -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        keep_picture(box, "video_discard")
        next(button for button in box.buttons() if button.text() == title).click()

    dialog.video.setText(str(tmp_path / "x.mp4"))
    QTimer.singleShot(0, lambda: answer("Go on editing"))
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    dialog.video.clear()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


@pytest.mark.slow
def test_tab_goes_from_the_video_to_the_start(qtbot, dialog) -> None:
    order, field = [], dialog.video
    for _ in range(60):
        order.append(field)
        field = field.nextInFocusChain()
    buttons = dialog.choices.buttons()
    wanted = [dialog.video, dialog.browse, dialog.record, dialog.name, dialog.strip, buttons[0]]
    places = [order.index(each) for each in [*wanted, dialog.close_button, dialog.start]]
    assert places == sorted(places)


def _text(path: Path) -> Path:
    path.write_text("no video", "utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_text, "no video"),
        (lambda path: write_video(path, grey_levels(6)), "no face was found"),
        (lambda path: path, "no such file"),
    ],
    ids=["text", "grey", "missing"],
)
def test_what_cannot_be_used_is_one_line(qtbot, dialog, tmp_path, make, says) -> None:
    look(qtbot, dialog, make(tmp_path / "x.mkv"))
    assert says in dialog.status.text() and "\n" not in dialog.status.text()
    assert not dialog.start.isEnabled() and dialog.start.toolTip() == dialog.status.text()


@pytest.mark.slow
def test_a_dropped_video_of_two_people_says_who_is_taken(qtbot, dialog, tmp_path) -> None:
    video = write_video(tmp_path / "two.mkv", put_beside(filmed_demo(14)[:4], 0.8))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(video))])
    copy, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    dialog.dropEvent(QDropEvent(QPointF(9, 9), copy, data, Qt.MouseButton.LeftButton, none))
    qtbot.waitUntil(lambda: "Looking" not in dialog.status.text(), timeout=LOOK_MS)
    assert "2 faces: number 1 from the left is used, the largest" in dialog.notes.text()
    assert dialog.start.isEnabled() and dialog.face.isVisible() and dialog.face.count() == 3
    dialog.face.setCurrentIndex(2)
    dialog.face.activated.emit(2)
    assert not dialog.start.isEnabled()
    qtbot.waitUntil(lambda: "Looking" not in dialog.status.text(), timeout=LOOK_MS)
    assert "number 2 from the left is used." in dialog.notes.text()
    assert yaml.safe_load(dialog.config_text())["data"]["video_face"] == 2
    keep_picture(dialog, "video_dialog_two")
    dialog.video.clear()
    assert dialog.face.isHidden() and dialog.face.currentIndex() == 0


@pytest.mark.slow
def test_a_video_becomes_one_run_that_the_viewport_follows(qtbot, window, dialog, film) -> None:
    look(qtbot, dialog, film)
    folder = dialog.run_folder()
    small = {
        "name": "anna", "steps": 5000, "checkpoint_every": 30, "preview_every": 90,
        "data": {"video": str(film), "image_size": 64, "source_share": 1.0, "held_out_every": 0},
        "points": {"initial": 300, "maximum": 300}, "device": "cpu", "threads": 1,
    }  # fmt: skip
    dialog.config_text = lambda: yaml.safe_dump(small)
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: window.training.runs is not None, timeout=60_000)
    runs = window.training.runs
    run = runs.run
    assert run.folder == folder
    try:
        qtbot.waitUntil(lambda: "before the training" in runs.view.facts.text(), timeout=LOOK_MS)
        keep_picture(runs, "video_run")
        launch.pause(run)
        qtbot.waitUntil(lambda: run.state().status is Status.PAUSED, timeout=LOOK_MS)
        assert not run.state().detail
        launch.resume_run(run)
        qtbot.waitUntil(lambda: runs.offer.isVisible(), timeout=LOOK_MS)
        keep_picture(runs, "video_offer")
        QTest.mouseClick(runs.offer, LEFT)
        document = window.editor.document
        latest = run.folder / "previews" / "latest.avatar"
        qtbot.waitUntil(lambda: document.avatar.path == latest, timeout=LOOK_MS)
        first = document.avatar
        document.set_expression({0: 0.5}, "Smile")
        qtbot.waitUntil(lambda: document.avatar is not first, timeout=LOOK_MS)
        assert document.avatar.path == latest and document.face.expression[0] == 0.5
        qtbot.waitUntil(lambda: window.editor.live.is_settled, timeout=30_000)
        keep_picture(runs, "video_followed")
        if os.environ.get("PEGASUS_TEST_PICTURES"):
            grab_window(window).save(f"{os.environ['PEGASUS_TEST_PICTURES']}/window_followed.png")
        QTest.mouseClick(runs.follow, LEFT)
        assert window.training.follower.run is None
        launch.stop(run)
        qtbot.waitUntil(lambda: run.state().status is Status.INTERRUPTED, timeout=LOOK_MS)
    finally:
        if run.state().status is Status.RUNNING:
            launch.stop_now(run)


def test_the_view_tells_what_comes_before_the_training(qtbot, tmp_path) -> None:
    (tmp_path / "config.yaml").write_text("steps: 9\ndata: {video: me.mp4}\n", "utf-8")
    lines = [
        {"preparing": "Reading the video", "share": 0.4, "seconds_left": 12},
        {"preparing": "Reading the video", "share": 1e99, "seconds_left": "x"},
        {"preparing": 3, "share": 0.5},
        {"failed": "me.mp4: no face was found"},
    ]
    view, run = RunView(), Run(tmp_path)
    qtbot.addWidget(view)
    path = tmp_path / "events.jsonl"
    for count, expected in ((1, "Reading the video · 40%"), (2, "video · 0%"), (3, "step 0 of 9")):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines[:count]), "utf-8")
        run.events.read()
        view.show_run(run, [])
        assert expected in view.facts.text() and "Interrupted" in view.status.text()
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    run.events.read()
    view.show_run(run, [])
    assert run.state().status is Status.FAILED
    assert "Failed – me.mp4: no face was found" in view.status.text().replace("</b>", "")


def test_following_ends_when_something_else_is_opened(tmp_path) -> None:
    class Avatar:
        path: Path | None = None

    class Document:
        avatar = Avatar()

    asked: list[Run] = []
    document, run = Document(), Run(tmp_path)
    follower = RunFollower(document, asked.append)
    (tmp_path / "config.yaml").write_text("steps: 9\n", "utf-8")
    saves = tmp_path / "checkpoints"
    (saves / "step-00000000").mkdir(parents=True)
    follower.follow(run)
    follower.look()
    follower.look()
    assert len(asked) == 1
    assert not follower.exported(run)
    (saves / "step-00000100").mkdir()
    follower.look()
    assert len(asked) == 1, "while it is being opened"
    Document.avatar.path = tmp_path / "previews" / "latest.avatar"
    follower.look()
    assert len(asked) == 2 and follower.exported(run)
    Document.avatar.path = tmp_path / "other" / "x.avatar"
    follower.look()
    assert follower.run is None


@pytest.mark.slow
def test_a_newer_state_keeps_what_was_chosen(window, full_picture, small_avatar) -> None:
    document = window.editor.document
    document.set_expression({0: 0.5}, "Smile")
    document.set_view(document.view.orbited(0.3, 0.1))
    view = document.view
    document.replace(small_avatar)
    full_picture()
    assert document.avatar is small_avatar and document.view == view
    assert document.face.expression[0] == 0.5 and document.history.entries


@pytest.mark.slow
def test_a_newer_state_leaves_what_is_being_typed(window, full_picture, small_avatar) -> None:
    document, section = window.editor.document, window.attributes.sections["hair"]
    document.wear("hair", AttributeBlend("hair_curly", 1.0), "Hair")
    jaw = window.expression.rows()[0]
    for field, typed in ((section.strength.number, "0.4"), (jaw.number, "0.2")):
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, typed)
        document.replace(small_avatar)
        assert field.text().startswith(typed) and window.attributes.sections["hair"] is section
        QTest.keyClick(field, Qt.Key.Key_Return)
    assert document.face.attributes["hair"].strength == 0.4 and jaw.value() == 0.2
    section.strength.number.selectAll()
    QTest.keyClicks(section.strength.number, "0.9")
    document.open(small_avatar)
    assert window.expression.rows()[0].number.text() == "0.0°" and not document.face.attributes


@pytest.mark.slow
def test_a_recording_shows_what_to_do(qtbot, film, tmp_path) -> None:
    assert has_camera(str(film)) and not has_camera(str(tmp_path / "none"))
    out = tmp_path / "recording.avi"
    camera = CameraDialog(camera_command(str(film), str(out), "600"), ROOT, out)
    qtbot.addWidget(camera)
    camera.show()
    keep_picture(camera, "camera_before")
    seen: list[str] = []
    camera.accepted.connect(lambda: seen.append(camera.instruction.text()))
    QTest.mouseClick(camera.record, LEFT)
    qtbot.waitUntil(lambda: bool(seen), timeout=60_000)
    keep_picture(camera, "camera")
    assert out.stat().st_size > 1000 and INSTRUCTIONS[0] in seen[0]
    gone = CameraDialog(camera_command(str(tmp_path / "none"), str(out), "1"), ROOT, out)
    qtbot.addWidget(gone)
    gone.show()
    QTest.mouseClick(gone.record, LEFT)
    qtbot.waitUntil(lambda: "no picture" in gone.instruction.text(), timeout=60_000)
    assert gone.record.isEnabled()
    gone.reject()
    assert not out.exists()


def test_the_face_is_offered_only_where_it_can_be_shown(qtbot, tmp_path) -> None:
    shown = RunsWindow()
    qtbot.addWidget(shown)
    shown.show()
    for name in ("show",):
        shown.buttons[name].setEnabled(False)
    shown.show_following(False, True)
    assert shown.offer.isHidden()
    shown.buttons["show"].setEnabled(True)
    shown.follow.setEnabled(True)
    shown.show_following(False, True)
    assert shown.offer.isVisible()
    shown.show_following(True, False)
    assert shown.offer.isHidden() and shown.follow.isChecked()


@pytest.mark.slow
def test_what_was_recorded_is_the_video(qtbot, window, dialog, film) -> None:
    window.training.camera_source = str(film)
    dialog.set_camera(True)
    QTest.mouseClick(dialog.record, LEFT)
    camera = window.training.camera
    QTest.mouseClick(camera.record, LEFT)
    qtbot.waitUntil(lambda: bool(dialog.video.text()), timeout=60_000)
    assert dialog.video.text() == str(camera.out) and camera.out.is_file()
    assert "home/data/recordings" in camera.out.as_posix()
    qtbot.waitUntil(lambda: dialog.start.isEnabled(), timeout=LOOK_MS)


@pytest.mark.slow
def test_a_video_that_is_dropped_on_the_window_opens_the_dialog(
    qtbot, window, film, tmp_path
) -> None:
    window.training.camera_source = str(tmp_path / "no camera")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(film))])
    copy, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    window.dropEvent(QDropEvent(QPointF(9, 9), copy, data, LEFT, none))
    qtbot.waitUntil(lambda: window.training.dialog is not None, timeout=60_000)
    dialog = window.training.dialog
    qtbot.waitUntil(lambda: dialog.start.isEnabled(), timeout=LOOK_MS)
    assert dialog.video.text() == str(film) and window.editor.document.avatar is not None
    window.projects.close()
    keep_picture(window, "start_screen")
    dialog.blockSignals(True)
    dialog.hide()
