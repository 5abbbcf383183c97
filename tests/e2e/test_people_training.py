"""A training that puts another person's hair onto its own first: stopped there, and going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pegasus_runtime.head.parts import PART_NAMES
from tests.e2e.test_synthesis import ROOT, write_labelled
from tests.factories import SIDE

pytestmark = pytest.mark.slow
PREPARING = "Learning the source person"
NAMES = (*PART_NAMES, "background")


def _events(run: Path) -> list[dict]:
    path = run / "events.jsonl"
    text = path.read_text("utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.skipif(os.name == "nt", reason="interrupted in POSIX's way")
def test_a_training_with_other_people_is_one_run_that_goes_on(tmp_path: Path) -> None:
    write_labelled(tmp_path / "me", 5, NAMES)
    write_labelled(tmp_path / "people" / "ann", 4, NAMES)
    run = tmp_path / "run"
    settings = {
        "data.people": tmp_path / "people", "data.folder": tmp_path / "me", "data.people_steps": 5,
        "data.people_frames": 4, "data.attributes": "[hair_ann]", "data.image_size": SIDE,
        "data.held_out_every": 0, "points.initial": 300, "points.maximum": 400, "steps": 4,
        "threads": 1, "device": "cpu",
    }  # fmt: skip
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "trainer", "train", *words, "--out", str(run)]

    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not any(each.get("preparing") == PREPARING for each in _events(run)):
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    said = first.communicate(timeout=300)[1]
    assert first.returncode == 130 and "Traceback" not in said, said

    again = [*command[: command.index("--set")], "--out", str(run)]
    done = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "1 attribute is learned" in done.stderr and "2 subjects" in done.stderr
    kept = yaml.safe_load((run / "config.yaml").read_text("utf-8"))["data"]
    assert kept["people"] == str(tmp_path / "people")
    assert kept["folder"] == str(tmp_path / "me") and kept["source"] == "source"
    assert list(run.glob("*.avatar"))
    assert _events(run)[-1]["step"] == 4 and not any("preparing" in e for e in _events(run))

    made = (run / "database" / "hair_ann" / "image" / "1.png").stat().st_mtime_ns
    more = subprocess.run(
        [*again, "--set", "steps=5"], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert more.returncode == 0 and "put on already" in more.stderr, more.stderr
    assert made == (run / "database" / "hair_ann" / "image" / "1.png").stat().st_mtime_ns
