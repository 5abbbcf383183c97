"""A transfer as a person starts it: the command, then the avatar that it made is drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.factories import surfel_avatar

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)


def test_an_attribute_is_put_on_drawn_and_told_of(tmp_path: Path) -> None:
    surfel_avatar(["hat_a", "nose_b"]).save(tmp_path / "p.avatar")
    surfel_avatar([]).save(tmp_path / "t.avatar")
    files = ["--avatar", str(tmp_path / "p.avatar"), "--target", str(tmp_path / "t.avatar")]
    names = ["--attribute", "hat_a", "--attribute", "nose_b"]
    told = _run("-m", "trainer", "transfer", *files, *names, "--dry-run")
    assert json.loads(told.stdout)["problems"] == [] and told.returncode == 0
    out = tmp_path / "new.avatar"
    made = _run("-m", "trainer", "transfer", *files, *names, "--out", str(out))
    assert made.returncode == 0 and "hat_a" in made.stderr and "Traceback" not in made.stderr
    pictures = []
    for choice in ([], ["--attribute", "hat=a"]):
        picture = tmp_path / f"{len(choice)}.png"
        words = ["render", str(out), "--out", str(picture), "--size", "64", *choice]
        drawn = _run("main.py", *words)
        assert drawn.returncode == 0, drawn.stderr
        pictures.append(cv2.imread(str(picture)))
    assert cv2.absdiff(*pictures).max() > 20
