"""Whole commands in processes of their own, on the demo avatar and on a reference run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"OMP_NUM_THREADS": "2", **os.environ}


def run(*arguments: object, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *map(str, arguments)],
        env=environment or ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_film_shows_what_render_draws(tmp_path: Path) -> None:
    film = tmp_path / "turn.mp4"
    assert run("turntable", "demo", "--out", film, "--size", 64, "--frames", 4)[0] == 0
    reader = imageio_ffmpeg.read_frames(str(film))
    assert next(reader)["size"] == (64, 64)
    frames = [np.frombuffer(f, np.uint8).reshape(64, 64, 3).astype(float) for f in reader]
    assert len(frames) == 4
    for index, view in enumerate(("0,0", "90,0", "180,0", "270,0")):
        picture = tmp_path / f"{index}.png"
        assert run("render", "demo", "--out", picture, "--size", 64, "--view", view)[0] == 0
        rendered = cv2.imread(str(picture))[..., ::-1].astype(float)
        errors = [np.abs(frame - rendered).mean() for frame in frames]
        assert int(np.argmin(errors)) == index and errors[index] < 5


def test_each_attribute_changes_the_picture(tmp_path: Path) -> None:
    facts = json.loads(run("info", "demo", "--json")[1])
    plain = tmp_path / "plain.png"
    run("render", "demo", "--out", plain, "--size", 64)
    assert facts["attribute_names"]
    for name in (facts["attribute_names"][0], facts["attribute_names"][-1]):
        category, _, short = name.partition("_")
        out = tmp_path / f"{name}.png"
        options = ["--size", 64, "--attribute", f"{category}={short}"]
        assert run("render", "demo", "--out", out, *options)[0] == 0
        change = np.abs(cv2.imread(str(out)).astype(float) - cv2.imread(str(plain)))
        assert change.max() > 10


def test_importing_a_reference_run(tmp_path: Path, golden: Path) -> None:
    source, out = golden / "reference_a", tmp_path / "x.avatar"
    head = source / "flame" / "generic_model.pkl"
    marks = source / "flame" / "landmark_embedding.npy"
    options = ["--head", head, "--landmarks", marks, "--meta", source / "meta.json", "--out", out]
    assert run("import-reference", source, *options)[0] == 0
    picture = tmp_path / "x.png"
    drawn = ["--size", 64, "--out", picture]
    assert run("render", out, "--head", head, *drawn)[0] == 0
    assert cv2.imread(str(picture)).std() > 1

    # Without --head the licensed head is looked for in the asset folder and never in the avatar.
    assets = tmp_path / "assets"
    environment = {**ENVIRONMENT, "PEGASUS_ASSETS": str(assets)}
    status, _, complaint = run("render", out, *drawn, environment=environment)
    assert status == 2 and "--head" in complaint and complaint.count("\n") == 1
    assets.mkdir()
    (assets / "any_name.pkl").write_bytes(head.read_bytes())
    assert run("render", out, *drawn, environment=environment)[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("name", ["turn.mp4", "frames"])
def test_ctrl_c_leaves_no_film(tmp_path: Path, name: str) -> None:
    arguments = ["turntable", "demo", "--out", str(tmp_path / name), "--frames", "5000"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), *arguments, "--size", "64"],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not any(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to ffmpeg too
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaint.count("\n") == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows reports a closed pipe in another way")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, str(ROOT / "main.py"), "info", "demo"]
    done = subprocess.run(
        command, env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE, timeout=300, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    status, _, complaint = run("render", "demo", "--out", tmp_path / "no" / "a.png", "--size", 16)
    assert status == 2 and complaint.count("\n") == 1 and "no" in complaint


def test_no_display_names_render() -> None:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    bare = {key: value for key, value in ENVIRONMENT.items() if key not in names}
    if sys.platform != "linux":
        pytest.skip("only Linux runs without a display")
    status, _, complaint = run(environment=bare)
    assert status == 2 and complaint.count("\n") == 1 and "main.py render" in complaint


def start_film(out: Path) -> subprocess.Popen[str]:
    """A film that would take long, once something of it has been written."""
    arguments = ["turntable", "demo", "--out", str(out), "--frames", "5000", "--size", "64"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), *arguments],
        env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while set(out.parent.iterdir()) <= {out} and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_cleans_up_as_ctrl_c_does(tmp_path: Path, name: str) -> None:
    process = start_film(tmp_path / "turn.mp4")
    number = getattr(signal, name)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert complaint.count("\n") == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["turn.mp4", "frames"])
def test_killed_at_any_moment_the_old_film_stays_and_the_next_run_sweeps(
    tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    assert run("turntable", "demo", "--out", out, "--frames", 2, "--size", 32)[0] == 0
    old = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for moment_s in (0.0, random.random()):
        process = start_film(out)
        time.sleep(moment_s)
        process.kill()
        process.communicate()
        assert {path: path.read_bytes() for path in old} == old
        assert len(list(tmp_path.iterdir())) == 2
    assert run("turntable", "demo", "--out", out, "--frames", 3, "--size", 32)[0] == 0
    assert list(tmp_path.iterdir()) == [out]


def test_a_console_that_lacks_a_letter(tmp_path: Path) -> None:
    for encoding, name in (("ascii", "头像.avatar"), ("cp1252", "头像.avatar"), ("utf-8", b"\xff")):
        environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        path = os.fsencode(tmp_path) + b"/" + os.fsencode(name)
        done = subprocess.run(
            [sys.executable, str(ROOT / "main.py"), "info", path],
            env=environment, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1
        assert b"no such file" in done.stderr
