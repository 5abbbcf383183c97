"""Training as a person starts it: the command, Ctrl+C, going on, the finished avatar."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pegasus_runtime as pr
from tests.fake_capture import SIDE, write_fake_capture

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "steps": "400",
    "warm_start_steps": "2",
    "preview_every": "400",
    "checkpoint_every": "1000",
    "threads": "1",
    "device": "cpu",
    "data.image_size": str(SIDE),
    "data.held_out_every": "3",
    "model.geometry_width": "16",
    "model.geometry_depth": "2",
    "model.deformer_width": "16",
    "points.initial": "200",
    "points.maximum": "300",
}


def _command(capture: Path, run: Path, **changes: str) -> list[str]:
    settings = {**SETTINGS, "data.folder": str(capture), **changes}
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "trainer", "train", "--out", str(run), *pairs]


@pytest.mark.skipif(os.name == "nt", reason="Ctrl+C is sent to a process in POSIX's way here")
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    capture = write_fake_capture(tmp_path / "capture", {"source": 4, "hat_a": 3})
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
