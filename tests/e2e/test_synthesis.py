"""A database of another person's hair, as a person makes it: killed, gone on with, trained from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.factories import SIDE, write_small_capture

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
NAMES = ("skin", "hair", "background")


def write_labelled(folder: Path, count: int, names: Sequence[str] = NAMES) -> Path:
    """A capture of one person, whose upper third is hair by its part pictures."""
    subject = write_small_capture(folder, {"source": count}) / "source"
    (subject / "semantic").mkdir()
    (subject / "semantic_names.json").write_text(json.dumps(names), "utf-8")
    for path in (subject / "mask").iterdir():
        inside = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127
        rows = np.flatnonzero(inside.any(axis=1))
        parts = np.where(inside, names.index("skin"), names.index("background"))
        parts[: rows[0] + len(rows) // 3][inside[: rows[0] + len(rows) // 3]] = names.index("hair")
        cv2.imwrite(str(subject / "semantic" / path.name), parts.astype(np.uint8))
    return folder


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)


@pytest.mark.skipif(os.name == "nt", reason="killed in POSIX's way")
def test_a_synthesis_that_is_killed_goes_on_and_can_be_trained_from(tmp_path: Path) -> None:
    write_labelled(tmp_path / "me", 5)
    write_labelled(tmp_path / "people" / "ann", 4)
    out = tmp_path / "out"
    asked = [
        "synthesize", "--source", str(tmp_path / "me"), "--database", str(tmp_path / "people"),
        "--out", str(out), "--attribute", "hair", "--size", str(SIDE), "--steps", "5",
        "--frames", "4",
    ]  # fmt: skip
    told = json.loads(_run(*asked, "--dry-run").stdout)
    assert [each["name"] for each in told["attributes"]] == ["hair_ann"] and not out.exists()

    command = [sys.executable, "-m", "trainer", *asked]
    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (out / "source_avatar" / "run" / "person.avatar").is_file():
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    first.kill()
    first.communicate(timeout=60)
    trained = (out / "source_avatar" / "run" / "person.avatar").stat().st_mtime_ns

    done = _run(*asked)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    hair = out / "hair_ann"
    kinds = ("image", "mask", "mask_object", "normal_rendering", "normal_original", "semantic")
    assert all(len(list((hair / kind).iterdir())) == 4 for kind in kinds)
    assert json.loads((hair / "skip.json").read_text()) == {}
    assert len(list((out / "source" / "image").iterdir())) == 5
    assert (out / "contact_sheet.png").is_file()

    made = {path: path.stat().st_mtime_ns for path in (hair / "image").iterdir()}
    assert _run(*asked).returncode == 0
    assert made == {path: path.stat().st_mtime_ns for path in (hair / "image").iterdir()}
    if (out / "source_avatar" / "run" / "person.avatar").stat().st_mtime_ns != trained:
        # Killed between the file and its note: it was finished again, from the same last step.
        events = (out / "source_avatar" / "run" / "events.jsonl").read_text("utf-8")
        assert len(events.splitlines()) == 5

    checked = _run(
        "train", "--dry-run", "--out", str(tmp_path / "run"), "--set", f"data.folder={out}",
        "--set", f"data.image_size={SIDE}", "--set", "points.initial=300",
        "--set", "points.maximum=400",
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert "2 subjects" in checked.stderr + checked.stdout
