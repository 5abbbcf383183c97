"""The look at a video before a training: what is shown, left out and refused."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.talking_demo import filmed_demo, put_beside
from tests.videos import grey_levels, write_video
from trainer.cli import main
from trainer.preprocess.frame_filter import NO_FACE
from trainer.preprocess.look import NUM_SHOWN

COUNT = 14


def look(video: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    words = ["preflight", "--set", f"data.video={video}", "--out", str(out), "--resume", "none"]
    capsys.readouterr()
    assert main(words) == 0
    report: dict[str, object] = json.loads(capsys.readouterr().out)
    assert not out.exists()
    return report


@pytest.mark.slow
def test_frames_are_shown_with_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = list(filmed_demo(COUNT))
    frames[3:6] = [np.full_like(frames[0], 90)] * 3
    report = look(write_video(tmp_path / "x.mkv", frames, rate=25), tmp_path / "run", capsys)
    assert report["problems"] == []
    shown = report["frames"]
    assert isinstance(shown, list) and len(shown) == NUM_SHOWN
    reasons = [frame["reason"] for frame in shown]
    assert reasons.count(NO_FACE) == 2 and reasons.count("") >= NUM_SHOWN - 3
    sizes = set()
    for frame in shown:
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(frame["picture"]), np.uint8), 1)
        sizes.add(pixels.shape)
    assert len(sizes) == 1
    assert "3 of 14: no face was found" in str(report["notes"])
    times = report["seconds_by_preset"]
    assert isinstance(times, dict)
    assert 0 < times["video_quick"] < times["video_good"] < times["video_best"]


def test_of_two_people_it_says_who_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = put_beside(filmed_demo(COUNT)[:4], 0.8)
    report = look(write_video(tmp_path / "x.mkv", frames), tmp_path / "run", capsys)
    assert "2 faces: number 1 from the left is used, the largest." in str(report["notes"])
    assert report["problems"] == []


def test_a_disk_without_room_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    video = write_video(tmp_path / "x.mkv", filmed_demo(COUNT)[:4])
    problems = look(video, tmp_path / "run", capsys)["problems"]
    assert isinstance(problems, list)
    assert any("frames of the video need" in problem["text"] for problem in problems)
    assert all("are free" in problem["text"] for problem in problems)


def _text(path: Path) -> Path:
    path.write_text("no video", "utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_text, "no video"),
        (lambda path: write_video(path, grey_levels(6)), "no face was found"),
        (lambda path: write_video(path, filmed_demo(COUNT)[:1]), "1 of 1 frames can be used"),
        (lambda path: path, "no such file"),
        (lambda path: path.mkdir() or path, "holds no PNG or JPEG picture"),
    ],
    ids=["text", "grey", "one", "missing", "folder"],
)
def test_what_cannot_be_used_is_one_problem(
    make: object, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(make)
    problems = look(make(tmp_path / "x.mkv"), tmp_path / "run", capsys)["problems"]
    assert isinstance(problems, list) and len(problems) == 1
    assert says in problems[0]["text"] and "x.mkv" in problems[0]["text"]
