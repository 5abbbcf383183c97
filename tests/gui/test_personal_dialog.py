"""The dialog of a personal avatar: ticks, costs, what the trainer is asked, and what is wrong."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from app.runs.presets import read_description
from app.widgets.training.new_personal_dialog import NewPersonalDialog
from trainer.config.presets import describe_training

TICKED, UNTICKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked
pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the screenless test machine is Linux"
)


def _picture() -> str:
    return base64.b64encode(cv2.imencode(".jpg", np.full((96, 96, 3), 90, np.uint8))[1]).decode()


def report_of(**changes: object) -> dict:
    attributes = [
        {"name": f"{category}_{person}", "category": category, "person": person,
         "picture": "" if reason else _picture(), "reason": reason}
        for person, category, reason in (
            ("ann", "hair", ""), ("ann", "hat", "is not seen"), ("ann", "nose", ""),
            ("ben", "hair", "is under a hat"), ("ben", "hat", ""), ("ben", "nose", ""),
        )
    ]  # fmt: skip
    cost = {"seconds": 60.0, "seconds_per_person": 120.0, "seconds_per_attribute": 60.0}
    cost |= {"bytes": 2**30, "bytes_per_person": 2**30, "bytes_per_attribute": 2**30}
    presets = ("people_quick", "people_good", "people_best")
    costs = {name: cost for name in presets}
    report = {"attributes": attributes, "costs_by_preset": costs, "problems": [], "notes": ["A"]}
    return {**report, "num_gpus": 0, **changes}


@pytest.fixture()
def dialog(qtbot, qapp, tmp_path):
    described = json.loads(json.dumps(describe_training()))
    shown = NewPersonalDialog(read_description(described, False), tmp_path / "runs")
    qtbot.addWidget(shown, before_close_func=lambda widget: widget.hide())
    for name in ("me/source", "D"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "me" / "source" / "flame_params.json").touch()
    shown.show()
    return shown


def fill(dialog, tmp_path: Path, person: str = "me") -> list[dict]:
    """What the trainer is asked."""
    asked: list[dict] = []
    dialog.check_asked.connect(lambda text, _: asked.append(yaml.safe_load(text)))
    dialog.person.line.setText(str(tmp_path / person))
    dialog.people.line.setText(str(tmp_path / "D"))
    dialog.look()
    return asked


def test_ticks_change_what_is_made_and_what_it_takes(dialog, tmp_path) -> None:
    asked = fill(dialog, tmp_path)
    data = asked[-1]["data"]
    assert data["folder"] == str(tmp_path / "me") and data["people"] == str(tmp_path / "D")
    assert "attributes" not in data and not dialog.start.isEnabled()
    dialog.show_report(report_of())
    table = dialog.table
    assert table.chosen() == ["hair_ann", "nose_ann", "hat_ben", "nose_ben"]
    assert dialog.start.isEnabled() and dialog.status.text() == "Ready to start."
    assert not table.item(0, 0).icon().isNull() and table.item(0, 1).text() == "–"
    assert "is not seen" in table.item(0, 1).toolTip()
    assert table.item(1, 1).data(Qt.ItemDataRole.AccessibleTextRole) == "Hat of ben"
    quick = dialog.choices.texts["people_quick"]
    assert "About 9 minutes and 7.0 GB" in quick.text()
    table.item(0, 0).setCheckState(UNTICKED)
    assert "About 8 minutes and 6.0 GB" in quick.text()
    assert dialog.facts.text() == "Put on: 3 attributes of 2 people"
    table.verticalHeader().sectionClicked.emit(1)
    assert table.chosen() == ["nose_ann"] and "1 attribute of 1 person" in dialog.facts.text()
    assert yaml.safe_load(dialog.config_text())["data"]["attributes"] == ["nose_ann"]
    table.horizontalHeader().sectionClicked.emit(2)
    assert table.chosen() == ["nose_ann", "nose_ben"]
    table.horizontalHeader().sectionClicked.emit(2)
    assert not dialog.start.isEnabled() and "Tick" in dialog.status.text()
    table.horizontalHeader().sectionClicked.emit(1)
    assert dialog.start.isEnabled()
    dialog.look()
    dialog.show_report(report_of())
    assert table.chosen() == ["hat_ben"]
    dialog.choices.buttons()[1].setChecked(True)
    assert yaml.safe_load(dialog.config_text())["steps"] == 12000
    started: list[tuple] = []
    dialog.start_asked.connect(lambda *what: started.append(what))
    QTest.mouseClick(dialog.start, Qt.MouseButton.LeftButton)
    assert started[0][0] == tmp_path / "runs" / "me" and not dialog.start.isEnabled()


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ("me/source", {"folder": "me"}),
        ("me", {"folder": "me"}),
        ("me.mp4", {"video": "me.mp4"}),
    ],
)
def test_the_person_is_a_capture_or_a_video(dialog, tmp_path, person, expected) -> None:
    (tmp_path / "me.mp4").touch()
    data = fill(dialog, tmp_path, person)[-1]["data"]
    assert {k: data[k] for k in ("folder", "video") if data.get(k)} == {
        key: str(tmp_path / value) for key, value in expected.items()
    }


def test_captures_may_have_a_head_of_their_own(dialog, tmp_path) -> None:
    (tmp_path / "me.mp4").touch()
    fill(dialog, tmp_path, "me.mp4")
    assert not dialog.head.isVisible()
    dialog.head.line.setText(str(tmp_path / "none.pkl"))
    asked = fill(dialog, tmp_path, "me.mp4")[-1]
    assert not asked.get("head")
    dialog.person.line.setText(str(tmp_path / "me"))
    assert dialog.head.isVisible() and "not there" in dialog.head.problem.text()
    (tmp_path / "theirs.pkl").touch()
    dialog.head.line.setText(str(tmp_path / "theirs.pkl"))
    assert fill(dialog, tmp_path)[-1]["head"] == str(tmp_path / "theirs.pkl")
    assert dialog.head.problem.isHidden()


def test_what_is_wrong_is_told_beside_its_field(dialog, tmp_path) -> None:
    dialog.person.line.setText(str(tmp_path / "none.mp4"))
    assert "is not there" in dialog.person.problem.text() and not dialog.start.isEnabled()
    fill(dialog, tmp_path)
    assert dialog.person.problem.isHidden()
    problem = {"text": f"{tmp_path / 'D'}: holds no captures.", "fix": "Choose.", "key": ""}
    dialog.show_report(report_of(problems=[problem], attributes=[], costs_by_preset={}))
    assert "holds no captures. Choose." in dialog.people.problem.text()
    assert not dialog.start.isEnabled()
    dialog.look()
    dialog.show_report(report_of(problems=[{"text": "The disk is full.", "fix": "X", "key": ""}]))
    assert dialog.status.text() == "The disk is full. X" and not dialog.start.isEnabled()
    dialog.look()
    dialog.show_check_failure("The trainer did not answer.")
    assert dialog.status.text() == "The trainer did not answer."
    dialog.look()
    dialog.show_report(report_of())
    dialog.name.clear()
    QTest.keyClicks(dialog.name, "a/b")
    assert "file name" in dialog.status.text() and not dialog.start.isEnabled()


def test_escape_asks_and_tab_goes_down(dialog, tmp_path) -> None:
    def answer() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        box.buttons()[[b.text() for b in box.buttons()].index("Go on editing")].click()

    fill(dialog, tmp_path)
    QTimer.singleShot(0, answer)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    wanted = [dialog.person.line, dialog.capture, dialog.people.line, dialog.name, dialog.table]
    wanted += [*dialog.choices.buttons(), dialog.close_button, dialog.start]
    order, each = [], wanted[0]
    while each not in order:
        order.append(each)
        each = each.nextInFocusChain()
    places = [order.index(field) for field in wanted]
    assert places == sorted(places)
    assert all(field.accessibleName() or field.text() for field in wanted)
