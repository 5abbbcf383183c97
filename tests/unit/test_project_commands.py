"""A project in the place of an avatar: what it has chosen is the default, what is given wins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pegasus_runtime as pr
from app.commands.command_line import run
from app.state.display import Display
from app.state.document import Snapshot
from app.state.face import Face
from app.state.project import save_project
from app.state.view import View
from pegasus_runtime.assets import file_sha256
from pegasus_runtime.export.backdrop import Backdrop
from pegasus_runtime.export.display import to_picture
from pegasus_runtime.parameters import AttributeBlend
from tests.factories import published_avatar


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> tuple[Path, pr.Avatar, Snapshot]:
    folder = tmp_path_factory.mktemp("project")
    published_avatar(("hair_curly", "hat_cap"), every=23).save(folder / "small.avatar")
    avatar = pr.load_avatar(folder / "small.avatar")
    face = Face.of(avatar.neutral()).with_pose({6: 0.3}).with_expression({0: 1.5})
    face = face.wearing("hair", AttributeBlend("hair_curly", 0.7))
    view = replace(View.framing(avatar), yaw_deg=30.0, reach=0.2)
    kept = Snapshot(face, view, Display("normal", "colour", (1.0, 0.0, 0.0)))
    path = folder / "a.pegasus.yaml"
    save_project(path, avatar, kept, {}, file_sha256(folder / "small.avatar"))
    return path, avatar, kept


def picture(path: Path) -> np.ndarray:
    import cv2

    return cv2.imread(str(path))[..., ::-1]


def render(source: Path, out: Path, *more: str) -> np.ndarray:
    arguments = ["render", str(source), "--out", str(out), "--size", "48", "--device", "cpu"]
    assert run([*arguments, *more]) == 0
    return picture(out)


def test_render_shows_the_project_and_options_win(project, tmp_path, capsys):
    path, avatar, kept = project
    shown = render(path, tmp_path / "a.png")
    session = pr.Session(avatar, "cpu")
    frame = session.render(
        kept.face.parameters(), kept.view.camera((48, 48)), ("normal", "alpha"), None
    )
    assert np.array_equal(shown, to_picture(frame, "normal", Backdrop.plain((1.0, 0.0, 0.0))))
    plain = ["--attribute", "hair=curly:0", "--expression", "0=0", "--pose", "jaw=0,0,0"]
    seen_from = ["--view", "0,0", "--pass", "rgb", "--background", "#ffffff"]
    everything = render(path, tmp_path / "b.png", *plain, *seen_from)
    neutral = session.render(
        avatar.neutral(), replace(kept.view, yaw_deg=0.0).camera((48, 48)), ("rgb", "alpha"), None
    )
    assert np.abs(everything.astype(int) - to_picture(neutral, "rgb")).max() <= 1
    assert capsys.readouterr().err == ""


def test_turntable_info_and_bench_take_a_project(project, tmp_path, capsys):
    path, _, _ = project
    film = [str(tmp_path / "frames"), "--frames", "2", "--size", "48", "--device", "cpu"]
    assert run(["turntable", str(path), "--out", *film]) == 0
    first = picture(sorted((tmp_path / "frames").glob("*.png"))[0])
    assert np.array_equal(first, render(path, tmp_path / "a.png"))
    capsys.readouterr()
    assert run(["info", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["name"] == "small"
    assert facts["project"]["attributes"]["hair"] == {"name": "hair_curly", "strength": 0.7}
    assert run(["info", str(path)]) == 0
    assert "hair_curly 0.7" in " ".join(capsys.readouterr().out.split())
    timed = ["--json", str(tmp_path / "bench.json"), "--size", "32", "--repeats", "1"]
    assert run(["bench", str(path), *timed, "--device", "cpu"]) == 0


def test_another_avatar_is_said_and_none_is_refused_in_one_line(project, tmp_path, capsys):
    path, avatar, _ = project
    lonely = tmp_path / "lonely.pegasus.yaml"
    text = path.read_text().replace("sha256: ", "sha256: 0")
    lonely.write_text(text.replace(str(path.parent), str(tmp_path / "none")))
    assert run(["render", str(lonely), "--out", str(tmp_path / "o.png")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "its avatar 'small' is not at" in line
    published_avatar().save(tmp_path / "small.avatar")
    render(lonely, tmp_path / "o.png")
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 2 and "is not the avatar that lonely.pegasus.yaml was made" in notes[0]
    assert "has no attribute hair_curly; left out" in notes[1]


def test_a_transparent_background_goes_where_it_can(project, tmp_path, capsys):
    path, _, _ = project
    checker = path.with_name("checker.pegasus.yaml")
    checker.write_text(path.read_text().replace("background: colour", "background: checker"))
    import cv2

    render(checker, tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED).shape[2] == 4
    render(checker, tmp_path / "a.jpg")
