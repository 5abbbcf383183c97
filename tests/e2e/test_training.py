"""Training as a person starts it: the command, Ctrl+C, going on, the finished avatar."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pegasus_runtime as pr
from tests.factories import SIDE, write_small_capture
from trainer.engine.checkpoints import Checkpoints

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "steps": "400",
    "preview_every": "400",
    "checkpoint_every": "1000",
    "threads": "1",
    "device": "cpu",
    "data.image_size": str(SIDE),
    "data.held_out_every": "3",
    "points.initial": "200",
    "points.maximum": "300",
}


def _command(capture: Path, run: Path, **changes: str) -> list[str]:
    settings = {**SETTINGS, "data.folder": str(capture), **changes}
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "trainer", "train", "--out", str(run), *pairs]


@pytest.mark.skipif(os.name == "nt", reason="Ctrl+C is sent to a process in POSIX's way here")
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    capture = write_small_capture(tmp_path / "capture", {"source": 4, "hat_a": 3})
    run = tmp_path / "run"
    training = subprocess.Popen(_command(capture, run), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    events = run / "events.jsonl"
    deadline = time.monotonic() + 120
    while not (events.is_file() and events.read_text("utf-8").count("\n") > 3):
        assert training.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    training.send_signal(signal.SIGINT)
    _, said = training.communicate(timeout=60)
    assert training.returncode == 130
    assert "goes on from there" in said and "Traceback" not in said
    done = len(events.read_text("utf-8").splitlines())
    saved = sorted(p.name for p in (run / "checkpoints").iterdir())
    assert saved == ["step-00000000", f"step-{done:08d}"]

    subprocess.run(
        _command(capture, run, steps=str(done + 5)),
        cwd=ROOT,
        check=True,
        timeout=120,
        capture_output=True,
    )
    steps = [json.loads(line)["step"] for line in events.read_text("utf-8").splitlines()]
    assert steps == list(range(1, done + 6))
    avatar = pr.load_avatar(run / "avatar.avatar")
    assert avatar.attribute_names == ("hat_a",)
    assert "PSNR" in (run / "summary.txt").read_text("utf-8")
    assert "scores" in avatar.provenance
    assert not [p for p in run.rglob("*") if p.name.startswith(".")]


@pytest.mark.skipif(os.name == "nt", reason="killed in POSIX's way")
def test_killed_at_any_moment_the_run_folder_is_sound(tmp_path: Path) -> None:
    capture = write_small_capture(tmp_path / "capture", {"source": 4})
    run, chance = tmp_path / "run", random.Random(0)
    asked = _command(capture, run, checkpoint_every="1", steps="100000", preview_every="3")
    events, done = run / "events.jsonl", 0
    for _ in range(2):
        training = subprocess.Popen(asked, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while not (events.is_file() and events.read_bytes().count(b"\n") > done + 2):
            assert training.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        second = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert second.returncode == 2 and second.stderr.count("\n") == 1
        assert f"a training is running there (process {training.pid})" in second.stderr
        time.sleep(chance.random())
        training.kill()
        training.communicate(timeout=60)
        checkpoints = Checkpoints(run, 2)
        state = checkpoints.restore("auto")
        assert state is not None and state["step"] >= done
        done = state["step"]
    last = _command(capture, run, steps=str(done + 2))
    subprocess.run(last, cwd=ROOT, check=True, timeout=120, capture_output=True)
    steps = [json.loads(line)["step"] for line in events.read_text("utf-8").splitlines()]
    assert steps == list(range(1, done + 3))
    left = [path.name for path in run.rglob("*") if path.name.startswith(".")]
    assert not left and not (run / "training.lock").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_under_the_events_is_one_line_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    capture = write_small_capture(tmp_path / "capture", {"source": 4})
    run = tmp_path / "run"
    run.mkdir()
    (run / "events.jsonl").symlink_to("/dev/full")
    asked = _command(capture, run, steps="3")
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=120)
    told = [line for line in done.stderr.splitlines() if line.startswith("trainer:")]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(told) == 1 and "No space left on device; free some space" in told[0]
    (run / "events.jsonl").unlink()
    subprocess.run(asked, cwd=ROOT, check=True, timeout=120, capture_output=True)
    assert len((run / "events.jsonl").read_text("utf-8").splitlines()) == 3
