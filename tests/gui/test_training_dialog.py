"""The whole path of a training: form, start, losses, pause, resume, found again, its avatar."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from app.runs import launch
from app.runs.run import Run, Status
from app.runs.slurm import SlurmJob
from app.widgets.training.slurm_box import SlurmBox
from tests.factories import SIDE, write_small_capture

LEFT = Qt.MouseButton.LeftButton
SMALL = {
    "steps": 3000,
    "threads": 1,
    "device": "cpu",
    "checkpoint_every": 50,
    "preview_every": 50,
    "data": {"image_size": SIDE, "held_out_every": 3},
    "points": {"initial": 200, "maximum": 300},
}
pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the screenless test machine is Linux"
)


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    """A capture of two subjects."""
    return write_small_capture(tmp_path_factory.mktemp("capture"), {"source": 4, "hat_a": 3})


@pytest.fixture()
def dialog(qtbot, window, qapp):
    """The dialog with its settings."""
    window.training.new.trigger()
    qtbot.waitUntil(lambda: window.training.dialog is not None, timeout=120_000)
    return window.training.dialog


def fill(qtbot, dialog, capture: Path, **changes: object) -> None:
    content = {**SMALL, **changes, "data": {**SMALL["data"], "folder": str(capture)}}
    dialog.yaml.setPlainText(yaml.safe_dump(content))
    qtbot.waitUntil(
        lambda: "looking" not in dialog.preflight.verdict.text().lower(), timeout=60_000
    )


def wait_for_status(qtbot, run: Run, status: Status) -> None:
    qtbot.waitUntil(lambda: run.state().status is status, timeout=60_000)


@pytest.fixture()
def ended(qtbot):
    """Runs that are ended with the test."""
    runs: list[Run] = []
    yield runs
    for run in runs:
        if run.state().status is Status.RUNNING:
            launch.stop_now(run)
            wait_for_status(qtbot, run, Status.INTERRUPTED)


@pytest.mark.slow
def test_from_the_form_to_the_avatar(qtbot, window, open_window, dialog, capture, ended):
    fill(qtbot, dialog, capture)
    assert dialog.start.isEnabled() and dialog.preflight.verdict.text() == "Ready to start"
    assert dialog.form.values()["steps"] == 3000
    folder = dialog.run_folder()
    QTest.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: window.training.runs is not None, timeout=30_000)
    runs = window.training.runs
    run = runs.run
    ended.append(run)
    assert run.folder == folder and not dialog.isVisible()
    losses = runs.view.plots["Losses"]
    qtbot.waitUntil(lambda: _steps(run) > 3, timeout=90_000)
    qtbot.waitUntil(lambda: len(losses._items) > 3, timeout=10_000)
    QTest.mouseClick(runs.buttons["pause"], LEFT)
    wait_for_status(qtbot, run, Status.PAUSED)
    runs.show_states()
    QTest.mouseClick(runs.buttons["resume"], LEFT)
    wait_for_status(qtbot, run, Status.RUNNING)
    window.close()

    again = open_window()
    again.training.show_all.trigger()
    found = again.training.runs.run
    assert found.folder == folder and found.state().status is Status.RUNNING
    qtbot.waitUntil(lambda: again.training.runs.buttons["stop"].isEnabled(), timeout=10_000)
    done = found.checkpoint()
    qtbot.waitUntil(lambda: found.checkpoint() != done, timeout=90_000)
    qtbot.waitUntil(lambda: not again.training.runs.view.preview.pixmap().isNull(), timeout=30_000)
    qtbot.waitUntil(lambda: found.preview_share is not None, timeout=30_000)
    again.training.refresh()
    facts = again.training.runs.view.facts.text()
    assert "GB memory" in facts and "previews: " in facts
    _keep_picture(again.training.runs)
    QTest.mouseClick(again.training.runs.buttons["stop"], LEFT)
    wait_for_status(qtbot, found, Status.INTERRUPTED)
    assert found.state().detail == "stopped, saved"
    QTest.mouseClick(again.training.runs.buttons["show"], LEFT)
    qtbot.waitUntil(
        lambda: again.editor.document.avatar.attribute_names == ("hat_a",), timeout=60_000
    )


def _steps(run: Run) -> int:
    assert run.state().status is not Status.FAILED, run.last_lines()
    return len(run.events.curves.steps)


def _keep_picture(widget) -> None:
    """For people who want to look at it."""
    folder = os.environ.get("PEGASUS_TEST_PICTURES")
    if folder:
        widget.grab().save(str(Path(folder) / "runs.png"))


@pytest.mark.slow
def test_form_and_file_say_the_same(qtbot, dialog, capture):
    dialog.form.fields["steps"].setValue(77)
    assert yaml.safe_load(dialog.config_text())["steps"] == 77
    dialog.yaml.setPlainText("steps: 88\noptimiser: {points: 1e-4}\n")
    assert dialog.form.values()["steps"] == 88
    assert dialog.form.values()["optimiser.points"] == 1e-4
    for text, says in (
        ("stepz: 1\n", "stepz is not a setting"),
        ("steps: many\n", "“Steps” = many: use a whole number from 1"),
        ("steps: 0\n", "“Steps” = 0: use a whole number from 1"),
        ("data: {view_balance: 2}\n", "“View balance” (Data) = 2: use a number from 0 to 1"),
        ("a: &a [*a]\n", "stands for itself"),
    ):
        dialog.yaml.setPlainText(text)
        assert says in dialog.preflight.problems.text()
        assert not dialog.start.isEnabled()
    dialog.yaml.setPlainText("data: {source: 074}\nname: no\n")
    assert dialog.rows.source.currentText() == "074" and dialog.form.values()["name"] == "no"


@pytest.mark.slow
def test_fields_say_what_they_cannot_take(qtbot, dialog):
    share = dialog.form.fields["data.view_balance"]
    share.lineEdit().setText("9")
    share.editingFinished.emit()
    share.interpretText()
    assert share.value() == 1 and "most" in share.hint
    name = dialog.form.fields["name"]
    name.setText("a/b")
    assert "“Name of the avatar” = a/b: use a name" in dialog.preflight.problems.text()
    assert not dialog.start.isEnabled() and "a/b" in name.accessibleDescription()
    name.setText("ada")
    assert not dialog.preflight.problems.isVisible()


def _looks() -> list[psutil.Process]:
    """The trainer's processes that look at data."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "preflight" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


@pytest.mark.slow
def test_of_many_changes_one_is_looked_at(qtbot, dialog, capture):
    fill(qtbot, dialog, capture)
    most = 0
    for steps in range(10, 14):
        dialog.form.fields["steps"].setValue(steps)
        with qtbot.waitSignal(dialog.check_asked, timeout=10_000):
            pass
        qtbot.waitUntil(lambda: len(_looks()) > 0, timeout=10_000)
        most = max(most, len(_looks()))
    assert most == 1
    dialog.form.fields["steps"].setValue(20)
    qtbot.waitUntil(lambda: not _looks(), timeout=10_000)
    qtbot.waitUntil(lambda: "Ready" in dialog.preflight.verdict.text(), timeout=60_000)
    dialog.form.fields["steps"].setValue(21)
    with qtbot.waitSignal(dialog.check_asked, timeout=10_000):
        pass
    dialog.accept()
    qtbot.waitUntil(lambda: not _looks(), timeout=10_000)


@pytest.mark.slow
def test_problems_are_told_in_the_words_of_the_form(qtbot, dialog, capture, tmp_path):
    points = {**SMALL["points"], "maximum": 100}
    fill(qtbot, dialog, capture, points=points, start_from=str(tmp_path / "none.avatar"))
    text = dialog.preflight.problems.text()
    assert "“Points at most” = 100: use at least “Points at the beginning” (Points) (200)" in text
    assert "points." not in text and ".yaml" not in text
    fill(qtbot, dialog, capture, head=str(tmp_path / "none.pkl"))
    assert "none.pkl: no such" in dialog.preflight.problems.text()
    assert dialog.rows.head.text().endswith("none.pkl")


@pytest.mark.slow
def test_what_was_filled_in_is_not_lost_unasked(qtbot, dialog, capture):
    asked = []

    def answer(name: str) -> None:
        box = next(each for each in dialog.findChildren(QMessageBox) if each.isVisible())
        asked.append(box.text())
        next(b for b in box.buttons() if b.text() == name).click()

    dialog.form.fields["steps"].setValue(12)
    QTimer.singleShot(0, lambda: answer("Go on editing"))
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isVisible() and "will be lost" in asked[0]
    QTimer.singleShot(0, lambda: answer("Discard"))
    dialog.close()
    assert not dialog.isVisible() and len(asked) == 2


@pytest.mark.slow
def test_an_untouched_form_closes_at_once(qtbot, dialog):
    dialog.rows.kind.setCurrentIndex(1)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


@pytest.mark.slow
def test_tab_goes_from_the_top_to_the_bottom(qtbot, dialog):
    rows, form = dialog.rows, dialog.form
    wanted = [rows.kind, rows.data, rows.source, rows.begin, rows.head, rows.out]
    wanted += [form.fields["name"], form.fields["steps"], dialog.copy, dialog.start]
    order, each = [], rows.kind
    while each not in order:
        order.append(each)
        each = each.nextInFocusChain()
    places = [order.index(field) for field in wanted]
    assert places == sorted(places)
    for field in (*wanted[:-2], *form.fields.values()):
        assert field.accessibleName()


@pytest.mark.slow
def test_a_kind_brings_its_values_and_leaves_what_was_typed(qtbot, dialog, tmp_path):
    rows, form = dialog.rows, dialog.form
    titles = [rows.kind.itemText(index) for index in range(rows.kind.count())]
    assert len(titles) == 5 and titles[0].startswith("Personal avatar")
    assert form.values()["name"] == "personal" and rows.begin.isVisible()
    # The sizes of this preset are for a GPU.
    assert (form.values()["steps"] == 40_000) == (not rows.note.isVisible())
    rows.note.linkActivated.emit("sizes")
    assert form.values()["steps"] == 40_000 and form.values()["points.maximum"] == 200_000
    rows.kind.setCurrentIndex(1)
    values = form.values()
    assert values["name"] == "person" and values["data.source_share"] == 1
    assert values["points.maximum"] == 60_000 and not rows.begin.isVisible()
    assert yaml.safe_load(dialog.config_text())["data"]["source_share"] == 1
    assert dialog.run_folder().name == "person"
    rows.data.setText(str(tmp_path))
    rows.out.clear()
    QTest.keyClicks(rows.out, str(tmp_path / "here"))
    form.fields["name"].setText("ada")
    rows.kind.setCurrentIndex(4)
    content = yaml.safe_load(dialog.config_text())
    assert content["name"] == "ada" and content["data"]["folder"] == str(tmp_path)
    assert content["model"]["kind"] == "published" and dialog.run_folder() == tmp_path / "here"
    dialog.yaml.setPlainText("start_from: a.avatar\n")
    assert rows.begin.isVisible() and rows.begin.text() == "a.avatar"


@pytest.mark.slow
def test_a_training_is_handed_to_slurm(qtbot, window, sbatch, dialog, capture):
    assert dialog.submit.isVisible()
    fill(qtbot, dialog, capture, batch_size=4)
    folder = dialog.run_folder()
    sbatch.write_text("#!/bin/sh\necho invalid partition >&2\nexit 1\n", "utf-8")
    job = SlurmJob(nodes=2, gpus_per_node=2, hours=1.5, partition="gpu", further="mem_gb=8")
    dialog.submit_asked.emit(folder, dialog.config_text(), job)
    qtbot.waitUntil(lambda: "invalid partition" in dialog.status.text(), timeout=60_000)
    assert not (folder / "config.yaml").exists() and window.training.runs is None

    sbatch.write_text("#!/bin/sh\necho Submitted batch job 123\n", "utf-8")
    QTimer.singleShot(300, lambda: dialog.findChild(SlurmBox).accept())
    dialog.submit.setEnabled(True)
    QTest.mouseClick(dialog.submit, LEFT)
    qtbot.waitUntil(lambda: window.training.runs is not None, timeout=60_000)
    runs = window.training.runs
    assert "job 123" in runs.message.text() and not dialog.isVisible()
    assert runs.run.state().status is Status.WAITING and not runs.buttons["resume"].isEnabled()
    assert runs.run.folder == folder and runs.run.state().detail == "for SLURM, as job 123"
    assert yaml.safe_load((folder / "config.yaml").read_text())["batch_size"] == 4
    script = (folder / "slurm" / "123_submission.sh").read_text()
    assert "--gpus-per-node=1" in script and "--time=1440" in script


def test_the_slurm_box_says_what_is_wrong(qtbot, qapp):
    box = SlurmBox(batch_size=4)
    qtbot.addWidget(box)
    assert box.submit.isEnabled()
    box.gpus.setValue(3)
    assert "3 GPUs cannot share 4" in box.problem.text() and not box.submit.isEnabled()
    box.gpus.setValue(4)
    box.further.setText("fast")
    assert "write KEY=VALUE" in box.problem.text()
    box.further.setText("slurm_qos=long mem_gb=8")
    assert box.job().options()[-2:] == ["slurm_qos=long", "mem_gb=8"] and box.submit.isEnabled()


@pytest.mark.slow
def test_bad_frames_and_a_missing_card_are_explained(qtbot, dialog, tmp_path):
    broken = write_small_capture(tmp_path / "broken", {"source": 2})
    (broken / "source" / "mask" / "2.png").write_bytes(b"cut")
    fill(qtbot, dialog, broken, device="cuda:7")
    text = dialog.preflight.problems.text()
    assert "1 of 2 frames are bad" in text and "skip.json" in text
    assert "Set the device to auto or cpu" in text
    assert not dialog.start.isEnabled() and dialog.preflight.bad.count() == 1
    assert not dialog.preflight.bad.item(0).icon().isNull()


@pytest.mark.slow
def test_the_command_can_be_copied(qtbot, dialog, capture):
    fill(qtbot, dialog, capture)
    QTest.mouseClick(dialog.copy, LEFT)
    copied = QGuiApplication.clipboard().text()
    assert "-m trainer train --out" in copied and f"data.folder={capture}" in copied


@pytest.mark.slow
def test_a_run_folder_in_use_is_refused(qtbot, dialog, capture, tmp_path):
    used = tmp_path / "used"
    used.mkdir()
    (used / "config.yaml").write_text("steps: 1\n", "utf-8")
    dialog.rows.out.setText(str(used))
    fill(qtbot, dialog, capture)
    assert "holds a run already" in dialog.preflight.problems.text()
    assert not dialog.start.isEnabled()


@pytest.mark.slow
def test_a_long_run_and_a_failed_one(qtbot, window, tmp_path):
    folder = tmp_path / "long"
    folder.mkdir()
    line = '{"step": %d, "losses": {"rgb": 0.5, "mask": 0.1}, "num_points": 9, "seconds": 0.9}\n'
    text = "".join(line % step for step in range(1, 100_001))
    (folder / "events.jsonl").write_text(text + '{"step": 100001, "los', "utf-8")
    failed = tmp_path / "failed"
    failed.mkdir()
    (failed / "config.yaml").write_text("steps: 9\n", "utf-8")
    (failed / "run.log").write_text("OSError: [Errno 28] No space left on device\n", "utf-8")
    process = '{"pid": 1, "started": 1.0, "host": "y"}'
    facts = f'{{"process": {process}, "guard": {process}, "began": 0, "exit_code": 1, "ended": 1}}'
    (failed / "process.json").write_text(facts, "utf-8")
    window.training.show_runs()
    runs = window.training.runs
    began = time.perf_counter()
    runs.folder_chosen.emit(folder)
    print(f"100,000 lines shown in {time.perf_counter() - began:.2f} s")
    assert runs.run.events.curves.steps[-1] == 100_000
    runs.folder_chosen.emit(failed)
    assert "The disk is full" in runs.view.status.text()
    assert "No space left" in runs.view.log.toPlainText() and runs.view.log.isVisible()
    runs.folder_chosen.emit(tmp_path / "nowhere")
    assert "no such folder" in runs.message.text()


@pytest.mark.slow
def test_the_home_of_nobody_is_a_problem_and_no_fault(dialog):
    dialog.rows.out.setText("~nosuchuser/run")
    told = [problem["text"] for problem in dialog._own_problems()]
    assert told == ["~nosuchuser/run: no home of that name is known here; write the whole path."]
    assert dialog.run_folder().name == "run"
