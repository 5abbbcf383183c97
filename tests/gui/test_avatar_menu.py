"""Attributes given to another person, and the evaluation of an avatar, with a quick trainer."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QMessageBox

from app.widgets.evaluation_dialog import QUICK_FRAMES, EvaluationDialog
from app.widgets.start_screen import RecentFile
from app.widgets.transfer_dialog import OfferedAttribute, TransferDialog
from pegasus_runtime.parameters import AttributeBlend
from tests.fake_trainer import use_fake_trainer

LEFT = Qt.MouseButton.LeftButton
WAIT_MS = 60_000
GIVING = """
import shutil
assert command == "transfer" and option("--attribute") == "hair_curly", words
tell("Aligning the heads", 0.5, 61)
wait_for(option("--target") + ".go")
shutil.copyfile(option("--avatar"), option("--out"))
"""
EVALUATING = """
report = Path(option("--out"))
report.mkdir(exist_ok=True)
assert command == "evaluate" and Path(option("--data")).is_dir()
tell("Novel views", 0.5, 61)
wait_for(report / "go")
(report / "index.html").write_text(" ".join(words), "utf-8")
"""
pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the screenless test machine is Linux"
)


@pytest.fixture()
def anna(window, avatar_file, tmp_path) -> Path:
    """Another person, who was open lately; the open one wears something."""
    other = tmp_path / "anna.avatar"
    shutil.copyfile(avatar_file, other)
    window.editor.preferences.add_recent(other)
    window.editor.document.wear("hair", AttributeBlend("hair_curly", 0.7), "Hair")
    return other


def free_head_file(folder: Path) -> Path:
    """The head of the small avatar, as a user may have it."""
    copy = folder / "theirs.head"
    with as_file(files("resources") / "free_head.head") as head:
        shutil.copyfile(head, copy)
    return copy


def choose_in_menu(title: str) -> None:
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    next(action for action in menu.actions() if action.text() == title).trigger()
    menu.close()


def answer(title: str) -> None:
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    box.buttons()[[button.text() for button in box.buttons()].index(title)].click()


def ticked(dialog: TransferDialog) -> dict[str, bool]:
    items = [dialog.attributes.item(row) for row in range(dialog.attributes.count())]
    checked = Qt.CheckState.Checked
    return {i.data(Qt.ItemDataRole.UserRole): i.checkState() == checked for i in items}


@pytest.mark.slow
def test_what_is_worn_is_given_to_another_person(
    qtbot, window, anna, tmp_path, monkeypatch
) -> None:
    heads = 'assert option("--head") and option("--head") == option("--target-head"), words'
    use_fake_trainer(tmp_path / "fake", monkeypatch, GIVING + heads)
    window.editor.avatar_loader.add_head(free_head_file(tmp_path))
    menu = window.avatar_menu
    assert menu.give.isEnabled()
    menu.give.trigger()
    dialog = menu.transfer
    assert ticked(dialog) == {"hair_curly": True} and not dialog.start.isEnabled()
    assert dialog.people.count() == 1 and dialog.people.item(0).text() == "anna"
    dialog.people.setCurrentRow(0)
    out = tmp_path / "anna-hair_curly.avatar"
    assert dialog.out.line.text() == str(out) and dialog.start.isEnabled()
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: "Aligning the heads" in dialog.status.text(), timeout=WAIT_MS)
    assert "1 min 1 s left" in dialog.status.text() and dialog.bar.value() == 500
    assert not dialog.people.isEnabled() and dialog.close_button.text() == "Cancel"
    Path(f"{anna}.go").touch()
    qtbot.waitUntil(dialog.open_button.isVisible, timeout=WAIT_MS)
    QTimer.singleShot(0, lambda: window.projects.question.answers["Discard"].click())
    QTest.mouseClick(dialog.open_button, LEFT)
    document = window.editor.document
    qtbot.waitUntil(lambda: document.avatar.path == out, timeout=WAIT_MS)
    assert document.face.attributes == {"hair": AttributeBlend("hair_curly", 1.0)}
    assert not dialog.isVisible()


def test_an_attribute_is_given_from_its_thumbnail(
    qtbot, window, anna, tmp_path, monkeypatch
) -> None:
    body = "tell('Reading', 0.1)\nrefuse('anna.avatar: has no landmarks; train it again.')"
    use_fake_trainer(tmp_path / "fake", monkeypatch, body)
    tile = window.attributes.sections["hat"].gallery.tiles["hat_beanie"]
    QTimer.singleShot(0, lambda: choose_in_menu("Give this to …"))
    tile.customContextMenuRequested.emit(QPoint(5, 5))
    qtbot.waitUntil(lambda: window.avatar_menu.transfer is not None, timeout=WAIT_MS)
    dialog = window.avatar_menu.transfer
    assert ticked(dialog) == {"hat_beanie": True, "hair_curly": False}
    dialog.add_target(anna)
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=WAIT_MS)
    assert dialog.status.text() == "anna.avatar: has no landmarks; train it again."
    assert dialog.open_button.isHidden() and dialog.start.isEnabled()


def test_giving_can_be_cancelled_in_the_dialog_or_goes_on_behind_it(
    qtbot, window, anna, tmp_path, monkeypatch
) -> None:
    use_fake_trainer(tmp_path / "fake", monkeypatch, GIVING)
    menu = window.avatar_menu
    menu.give.trigger()
    dialog = menu.transfer
    dialog.add_target(anna)
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: dialog.bar.value() == 500, timeout=WAIT_MS)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible() and len(window.editor.activity.jobs) == 1
    menu.give.trigger()
    assert dialog.isVisible() and menu.transfer is dialog
    QTest.mouseClick(dialog.close_button, LEFT)
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=WAIT_MS)
    assert dialog.status.text() == "Cancelled." and not window.editor.activity.jobs
    assert not (tmp_path / "anna-hair_curly.avatar").exists()


@pytest.mark.slow
@pytest.mark.parametrize("is_open", [True, False])
def test_an_evaluation_opens_its_report(
    qtbot, window, avatar_file, tmp_path, monkeypatch, is_open
) -> None:
    use_fake_trainer(tmp_path / "fake", monkeypatch, EVALUATING)
    menu, pages = window.avatar_menu, []
    menu.show_page = pages.append
    head = free_head_file(tmp_path)
    if is_open:
        window.editor.avatar_loader.add_head(head)
        menu.evaluate.trigger()
    else:
        # From the start screen: it asks which one.
        window.actions_.close.trigger()
        menu.choose_avatar = lambda: ""
        window.start_screen.evaluation_asked.emit()
        assert menu.evaluation is None
        menu.choose_avatar = lambda: str(avatar_file)
        window.start_screen.evaluation_asked.emit()
    dialog = menu.evaluation
    assert not dialog.start.isEnabled()
    (tmp_path / "data").mkdir()
    dialog.data.line.setText(str(tmp_path / "data"))
    report = tmp_path / "small-report"
    assert dialog.report.line.text() == str(report) and dialog.start.isEnabled()
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: "Novel views" in dialog.status.text(), timeout=WAIT_MS)
    QTest.mouseClick(dialog.close_button, LEFT)
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=WAIT_MS)
    assert "is kept" in dialog.status.text() and report.is_dir() and not pages
    (report / "go").touch()
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: bool(pages), timeout=WAIT_MS)
    assert pages == [report / "index.html"] and dialog.open_button.isVisible()
    written = pages[0].read_text("utf-8")
    assert f"--limit {QUICK_FRAMES}" in written and "small.avatar" in written
    assert (f"--head {head}" in written) == is_open
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def shown(qtbot, dialog):
    """A dialog that does not ask when the test is over."""
    qtbot.addWidget(dialog, before_close_func=lambda widget: widget.hide())
    dialog.show()
    return dialog


@pytest.fixture()
def transfer(qtbot, qapp, tmp_path) -> TransferDialog:
    offered = [OfferedAttribute("hair_curly", "Hair curly", QImage(), True)]
    people = [RecentFile(str(tmp_path / "anna.avatar"), "anna", "")]
    dialog = TransferDialog(tmp_path / "demo.avatar", offered, people)
    return shown(qtbot, dialog)


def test_what_is_wrong_is_told_beside_its_field(transfer, tmp_path) -> None:
    (tmp_path / "anna-hair_curly.avatar").touch()
    transfer.people.setCurrentRow(0)
    assert transfer.out.line.text() == str(tmp_path / "anna-hair_curly-2.avatar")
    for text, said in (
        ("", "Say where"),
        (str(tmp_path / "x.txt"), "ends with .avatar"),
        (str(tmp_path / "anna.avatar"), "would replace"),
        (str(tmp_path / "demo.avatar"), "would replace"),
        (str(tmp_path / "none" / "x.avatar"), "There is no folder"),
    ):
        transfer.out.line.setText(text)
        assert said in transfer.out.problem.text() and not transfer.start.isEnabled()
    transfer.out.line.setText(str(tmp_path / "x.avatar"))
    assert transfer.out.problem.isHidden() and transfer.start.isEnabled()
    transfer.attributes.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert "Tick" in transfer.attribute_problem.text() and not transfer.start.isEnabled()
    transfer.add_target(tmp_path / "demo.avatar")
    assert "is open" in transfer.person_problem.text()


@pytest.fixture()
def evaluation(qtbot, qapp, tmp_path) -> EvaluationDialog:
    return shown(qtbot, EvaluationDialog("demo", tmp_path / "demo-report"))


def test_the_evaluation_says_what_is_wrong(evaluation, tmp_path) -> None:
    dialog = evaluation
    (tmp_path / "file").touch()
    dialog.data.line.setText(str(tmp_path / "none"))
    assert "no such folder" in dialog.data.problem.text() and not dialog.start.isEnabled()
    dialog.data.line.setText(str(tmp_path))
    for text, said in (
        ("", "Say where"),
        ("/none/x", "no folder"),
        (str(tmp_path / "file"), "a file"),
    ):
        dialog.report.line.setText(text)
        assert said in dialog.report.problem.text() and not dialog.start.isEnabled()


def test_a_filled_form_asks_before_it_is_closed(transfer, evaluation, tmp_path) -> None:
    QTest.keyClick(evaluation, Qt.Key.Key_Escape)
    assert not evaluation.isVisible()
    evaluation.show()
    evaluation.data.line.setText(os.fspath(tmp_path))
    transfer.people.setCurrentRow(0)
    for dialog in (evaluation, transfer):
        QTimer.singleShot(0, lambda: answer("Go on editing"))
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
        assert dialog.isVisible()
        QTimer.singleShot(0, lambda: answer("Discard"))
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
        assert not dialog.isVisible()


def test_tab_goes_down_the_dialogs(transfer, evaluation) -> None:
    for dialog, wanted in (
        (transfer, [transfer.other, transfer.people, transfer.attributes, transfer.out.line]),
        (evaluation, [evaluation.data.line, evaluation.report.line, evaluation.frames["quick"]]),
    ):
        wanted = [*wanted, dialog.close_button, dialog.start]
        order, each = [], wanted[0]
        while each not in order:
            order.append(each)
            each = each.nextInFocusChain()
        places = [order.index(field) for field in wanted]
        assert places == sorted(places)
        assert all(field.accessibleName() or field.text() for field in wanted)
