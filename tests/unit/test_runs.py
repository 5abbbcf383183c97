"""Run folders: reading the diary, telling states apart, starting, pausing, stopping."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.runs import launch
from app.runs.event_reader import EventReader
from app.runs.run import Run, Status, advice
from app.runs.run_list import RunList
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.process_identity import ProcessIdentity, this_process
from pegasus_runtime.run_lock import LOCK_FILE, hold
from trainer.engine.stop_requests import stop_requests

TRAINER = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
if "fail" in (folder / "config.yaml").read_text():
    sys.exit("trainer: [Errno 28] No space left on device")
try:
    for step in range(1, 2000):
        with open(folder / "events.jsonl", "a") as stream:
            stream.write(json.dumps({"step": step, "losses": {"rgb": 1 / step}}) + "\\n")
        time.sleep(0.02)
except KeyboardInterrupt:
    (folder / "checkpoints" / "step-00000001").mkdir(parents=True, exist_ok=True)
    sys.exit(130)
"""


def event(step: int) -> str:
    return json.dumps(
        {
            "step": step,
            "epoch": step / 100,
            "losses": {"rgb": 0.1, "mask": 0.2, "sdf": 0.3, "eikonal": 0.1, "total": 0.7},
            "num_points": 5000,
            "radius": 0.03,
            "learning_rates": {"geometry": 1e-3, "points": 1e-3, "latents": 2e-3},
            "seconds": 0.2,
        }
    )


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def small_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that only counts."""
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER, "utf-8")
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        launch, "command_of", lambda folder, _=0: [sys.executable, str(script), str(folder)]
    )


@pytest.fixture()
def started(tmp_path: Path):
    """A run under way, ended with the test."""
    run = launch.start_run(tmp_path / "run", "steps: 2000\n")
    wait_for(lambda: run.events.read())
    yield run
    if run.state().status is Status.RUNNING:
        launch.stop_now(run)
        wait_for(lambda: run.state().status is not Status.RUNNING)


def test_a_line_cut_in_the_middle_waits_for_its_end(tmp_path: Path) -> None:
    path, reader = tmp_path / "events.jsonl", EventReader(tmp_path)
    assert not reader.read()
    whole = event(2)
    path.write_text(event(1) + "\n" + whole[:40], "utf-8")
    assert reader.read() and reader.curves.steps == [1]
    assert not reader.read()
    with path.open("a", encoding="utf-8") as stream:
        stream.write(whole[40:] + "\n{broken\n")
    assert reader.read() and reader.curves.steps == [1, 2]
    assert reader.curves.values["losses.rgb"] == [0.1, 0.1]
    assert reader.curves.seconds_per_step == 0.2


def test_a_diary_written_anew_is_read_anew(tmp_path: Path) -> None:
    path, reader = tmp_path / "events.jsonl", EventReader(tmp_path)
    path.write_text("".join(event(step) + "\n" for step in range(1, 6)), "utf-8")
    reader.read()
    other = tmp_path / "other"
    other.write_text(event(1) + "\n", "utf-8")
    other.replace(path)
    assert reader.read() and reader.curves.steps == [1]


@pytest.mark.slow
def test_a_day_of_events_opens_at_once(tmp_path: Path) -> None:
    lines = "".join(event(step) + "\n" for step in range(1, 100_001))
    (tmp_path / "events.jsonl").write_text(lines, "utf-8")
    reader = EventReader(tmp_path)
    began = time.process_time()
    reader.read()
    print(f"100,000 lines: {time.process_time() - began:.2f} s")
    assert reader.curves.steps[-1] == 100_000 and len(reader.curves.steps) > 10_000


def test_a_process_is_known_by_more_than_its_number() -> None:
    mine = this_process()
    assert mine.is_alive
    assert not ProcessIdentity(mine.pid, mine.started - 60, mine.host).is_alive
    assert not ProcessIdentity(mine.pid, mine.started, "another-host").is_alive
    assert not ProcessIdentity(1 << 70, mine.started, mine.host).is_alive


def test_pause_and_resume(started: Run) -> None:
    assert started.state().status is Status.RUNNING
    launch.pause(started)
    wait_for(lambda: started.state().status is Status.PAUSED)
    assert started.checkpoint() is not None
    again = Run(started.folder)
    launch.resume_run(again)
    wait_for(lambda: again.state().status is Status.RUNNING)


def test_a_second_start_is_refused(started: Run) -> None:
    with pytest.raises(InvalidInput, match=r"a training is running there \(process \d+\)"):
        launch.start_run(started.folder, "steps: 1\n")
    with pytest.raises(InvalidInput, match="stop it first"):
        launch.resume_run(Run(started.folder))


def test_stopping_saves_and_stopping_now_does_not(started: Run) -> None:
    launch.stop(started)
    wait_for(lambda: started.state().status is Status.INTERRUPTED)
    assert started.state().detail == "stopped, saved"
    launch.resume_run(started)
    launch.stop_now(started)
    wait_for(lambda: started.state().status is Status.INTERRUPTED)
    assert started.state().detail == "stopped, not saved"
    with pytest.raises(InvalidInput, match="holds a run already"):
        launch.start_run(started.folder, "steps: 1\n")


@pytest.mark.skipif(os.name == "nt", reason="killed in POSIX's way")
def test_killed_from_outside(started: Run) -> None:
    os.kill(started.process_facts().process.pid, signal.SIGKILL)
    wait_for(lambda: started.state().status is Status.INTERRUPTED)
    assert "from outside" in started.state().detail


@pytest.mark.skipif(os.name == "nt", reason="held in POSIX's way")
def test_it_has_not_ended_before_its_guard_has_said_how(started: Run) -> None:
    facts = started.process_facts()
    os.kill(facts.guard.pid, signal.SIGSTOP)
    os.kill(facts.process.pid, signal.SIGINT)
    wait_for(lambda: not facts.process.is_alive)
    assert started.state().status is Status.RUNNING and started.state().detail == "ending"
    os.kill(facts.guard.pid, signal.SIGCONT)
    wait_for(lambda: started.state().status is not Status.RUNNING)
    assert started.state().detail.startswith("stopped")


@pytest.mark.skipif(os.name == "nt", reason="killed in POSIX's way")
def test_without_its_guard_a_run_still_obeys(started: Run) -> None:
    os.kill(started.process_facts().guard.pid, signal.SIGKILL)
    wait_for(lambda: not started.process_facts().guard.is_alive)
    assert started.state().status is Status.RUNNING
    launch.stop(started)
    wait_for(lambda: started.state().status is Status.INTERRUPTED)
    assert started.checkpoint() is not None


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    run = launch.start_run(tmp_path / "run", "fail: true\n")
    wait_for(lambda: run.state().status is Status.FAILED)
    assert run.state().detail.startswith("The disk is full")
    assert "No space left" in run.last_lines()[-1]
    assert "last lines" in advice(["something else"])


def test_runs_of_others_are_judged_by_their_lock(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.state().status is Status.FOUND
    (tmp_path / "config.yaml").write_text("steps: 2\n", "utf-8")
    path = tmp_path / "events.jsonl"
    path.write_text(event(1) + "\n", "utf-8")
    assert run.state().status is Status.INTERRUPTED
    with hold(tmp_path):
        assert run.state().status is Status.RUNNING
        assert run.state().detail == f"started in a terminal, process {os.getpid()}"
        with pytest.raises(
            InvalidInput, match=rf"training is running there \(process {os.getpid()}\)"
        ):
            launch.resume_run(run)
    assert run.state().status is Status.INTERRUPTED
    far = {"pid": 1, "started": 1.0, "host": "far"}
    lock = tmp_path / LOCK_FILE
    lock.write_text(json.dumps({"process": far, "job": "", "token": "x"}), "utf-8")
    assert run.state().detail == "started in a terminal on far, process 1"
    facts = {"process": far, "guard": far, "began": 0.0}
    (tmp_path / "process.json").write_text(json.dumps(facts), "utf-8")
    assert run.state().status is Status.RUNNING and run.state().detail == "on far"
    assert run.state().can_be_told
    os.utime(lock, (0, 0))
    assert run.state().status is Status.INTERRUPTED
    (tmp_path / "my.avatar").touch()
    assert run.state().status is Status.FINISHED


def test_a_training_of_a_terminal_obeys(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "events.jsonl").write_text(event(1) + "\n", "utf-8")
    (tmp_path / "request").write_text("stop", "utf-8")
    (tmp_path / "checkpoints" / "step-00000001").mkdir(parents=True)
    with hold(tmp_path):
        with stop_requests(tmp_path) as stop:
            # What was asked of an earlier one counts no more.
            assert not stop.is_set and run.state().can_be_told
            launch.pause(run)
            assert stop.is_set and run.state().detail.endswith("saving, then pausing")
        with stop_requests(tmp_path) as stop:
            launch.ask(tmp_path, "kill")
            with pytest.raises(KeyboardInterrupt):
                print(stop.is_set)
        launch.pause(run)
    assert run.state().status is Status.PAUSED
    (tmp_path / "request").write_text("stop", "utf-8")
    assert run.state().detail == "stopped, saved"


def test_beside_a_supervisor_its_signal_is_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGASUS_SUPERVISED", "1")
    launch.ask(tmp_path, "pause")
    with stop_requests(tmp_path) as stop:
        assert not stop.is_set and (tmp_path / "request").exists()


GARBAGE = (
    b"", b"{}", b"null", b"[]", b"7", b"\xff\xfe\x00", b"[" * 200_000, b'{"process": {}}', b"1e999",
    b'{"process": {"pid": 1e999, "started": "x", "host": 7}, "guard": null, "began": []}',
    b'{"step": 1e999}', b'{"step": true, "losses": 3}', b'{"step": "7"}',
    b'{"step": 9223372036854775807}', b"steps: [1, 2]\npreview_every: {}\n", b"steps: -3\n",
    b'{"step": 5, "losses": {"a": 1e999, "b": null, "c": [1]}, "seconds": "x", "radius": -1e308}',
)  # fmt: skip


@pytest.mark.parametrize("written", GARBAGE)
def test_garbage_in_a_run_folder_is_no_state_but_no_fault(tmp_path: Path, written: bytes) -> None:
    for name in ("process.json", "request", "training.lock", "config.yaml", "events.jsonl"):
        (tmp_path / name).write_bytes(written + b"\n")
    (tmp_path / "current_checkpoint").write_bytes(written)
    (tmp_path / "checkpoints").write_bytes(written)
    (tmp_path / "previews").write_bytes(written)
    run = Run(tmp_path)
    run.events.read()
    assert run.state().status in Status
    found = (run.total_steps, run.remaining_s, run.preview_share, run.checkpoint(), run.preview())
    assert found == (0, None, None, None, None)
    assert run.request() is not None and run.avatar() is None and run.last_lines() == []
    assert all(step <= 1_000_000_000 for step in run.events.curves.steps)


@pytest.mark.slow
def test_thousands_of_names_and_endless_lines_are_cut(tmp_path: Path) -> None:
    losses = {f"loss {number}": 1.0 for number in range(3000)}
    line = json.dumps({"step": 1, "losses": losses}).encode() + b"\n"
    path = tmp_path / "events.jsonl"
    path.write_bytes(line * 400)
    reader = EventReader(tmp_path)
    assert reader.read() and len(reader.curves.values) <= 64
    with path.open("ab") as stream:
        stream.truncate(70 << 20)
        stream.seek(70 << 20)
        stream.write(b"\n" + event(2).encode() + b"\n")
    while reader.read():
        pass
    assert reader.curves.steps[-1] == 2


@pytest.mark.parametrize(
    "written", [b"{}", b"null", b"\xff", b'[1, null, "", "\\u0000", ["x"], {}]']
)
def test_a_damaged_list_of_runs_is_an_empty_one(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "home" / "config").mkdir(parents=True)
    (tmp_path / "home" / "config" / "runs.json").write_bytes(written)
    assert RunList().runs == []


def test_runs_are_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(FileNotFoundError):
        RunList().add(folder)
    folder.mkdir()
    with pytest.raises(InvalidInput, match="not a run folder"):
        RunList().add(folder)
    (folder / "config.yaml").write_text("steps: 7\n", "utf-8")
    run = RunList().add(folder)
    assert run.total_steps == 7
    listed = RunList()
    assert [run.folder for run in listed.runs] == [folder]
    listed.forget(listed.runs[0])
    assert RunList().runs == []


def test_memory_and_what_previews_cost_are_read(tmp_path: Path) -> None:
    lines = [json.loads(event(step)) | {"memory_mb": 1900} for step in range(1, 7)]
    lines[2]["preview_seconds"] = 2.0
    # Windows does not tell the memory.
    lines[5]["memory_mb"] = None
    (tmp_path / "events.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines), "utf-8")
    run = Run(tmp_path)
    assert run.events.read() and len(run.events.curves.steps) == 6
    assert run.events.curves.memory_mb == 1900 and run.preview_share is None
    (tmp_path / "config.yaml").write_text("preview_every: 40\n", "utf-8")
    assert run.preview_share == pytest.approx(2 / (2 + 40 * 0.2))
