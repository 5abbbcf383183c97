"""A command of the trainer in a process: its answer, its progress, its mistakes, its end."""

from __future__ import annotations

import threading

import psutil
import pytest
from rich.console import Console

from app.controllers.trainer_call import Cancelled, TrainerCall
from app.runs.event_reader import Preparation
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.progress import WANTS_PROGRESS
from tests.fake_trainer import use_fake_trainer
from trainer.preprocess.progress_lines import ProgressLines

TELLING = """
tell("Aligning", 0.25)
print("{half a line", file=sys.stderr)
tell("Writing", 0.5, 3)
print(json.dumps({"words": words}))
"""
REFUSING = """
tell("Aligning", 0.25)
print("a warning", file=sys.stderr)
refuse("x.avatar: has no hair")
"""
HANGING = """
import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
tell("Waiting", 0.1)
time.sleep(600)
"""


def test_progress_is_told_and_the_answer_given(tmp_path, monkeypatch):
    use_fake_trainer(tmp_path, monkeypatch, TELLING)
    told: list[Preparation] = []
    printed = TrainerCall().run("transfer", "--out", "ä.avatar", on_progress=told.append)
    assert printed == '{"words": ["--out", "\\u00e4.avatar"]}\n'
    assert told == [Preparation("Aligning", 0.25, None), Preparation("Writing", 0.5, 3)]
    assert TrainerCall().ask("transfer")["words"] == []


def test_a_mistake_is_the_last_line(tmp_path, monkeypatch):
    use_fake_trainer(tmp_path, monkeypatch, REFUSING)
    with pytest.raises(InvalidInput, match=r"^x\.avatar: has no hair$"):
        TrainerCall().ask("transfer")
    use_fake_trainer(tmp_path, monkeypatch, "sys.exit(3)")
    with pytest.raises(InvalidInput, match="without giving a reason"):
        TrainerCall().ask("transfer")


@pytest.mark.slow
def test_it_is_ended_with_all_that_it_started(tmp_path, monkeypatch):
    use_fake_trainer(tmp_path, monkeypatch, HANGING)
    before = set(psutil.Process().children(recursive=True))
    call, started = TrainerCall(), []

    def cancel(_: Preparation) -> None:
        started.extend(set(psutil.Process().children(recursive=True)) - before)
        threading.Thread(target=call.cancel).start()

    with pytest.raises(Cancelled):
        call.run("evaluate", on_progress=cancel)
    assert len(started) == 2
    gone, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    with pytest.raises(Cancelled):
        call.run("evaluate")
    with pytest.raises(InvalidInput, match="did not answer within 0.5 s"):
        TrainerCall(0.5).ask("describe")


def test_commands_tell_a_program_how_far_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(WANTS_PROGRESS, "json")
    with ProgressLines(Console(stderr=True)) as lines:
        lines.report(tmp_path, "Finding the hair", 0.25)
    assert capsys.readouterr().err == (
        '{"preparing": "Finding the hair", "share": 0.25, "seconds_left": null}\n'
    )
    monkeypatch.delenv(WANTS_PROGRESS)
    with ProgressLines(Console(stderr=True)) as lines:
        lines.report(tmp_path / "me.mp4", "hair", 0.25)
    assert capsys.readouterr().err == "me.mp4:  25% hair\n"
