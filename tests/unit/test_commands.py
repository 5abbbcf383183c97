"""The command line: values, mistakes and exit codes, on a small untrained avatar."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import pegasus_runtime as pr
from app.commands import command_line, open_editor
from app.commands.command_line import parse, run
from app.commands.face_options import face_parameters
from app.commands.name_suggestions import find_name
from app.commands.picture_options import read_background, read_view
from pegasus_runtime import Avatar, InvalidInput
from pegasus_runtime.export.turntable import view_camera
from tests.factories import published_avatar


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return published_avatar(("hair_curly", "hair_short", "hat_cap"), every=23)


@pytest.fixture(scope="module")
def avatar_file(avatar: Avatar, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("avatar") / "small.avatar"
    avatar.save(path)
    return str(path)


def mistake(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must end with code 2 and return its one line."""
    assert run(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "Traceback" not in lines[0]
    return lines[0]


@pytest.mark.parametrize("command", list(command_line._MODULES))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert f"pegasus-editor {command}" in capsys.readouterr().out


def test_without_a_command_the_editor_opens() -> None:
    assert parse([]).avatar == "demo"
    assert parse(["x.avatar", "--screenshot", "o.png"]).run is open_editor.open_editor
    assert parse(["edit", "render"]).avatar == "render"
    assert parse(["./render"]).run is open_editor.open_editor


def test_negative_view_is_no_option() -> None:
    assert parse(["render", "a", "--out", "o.png", "--view", "-30,10"]).view == "-30,10"


def test_face_options(avatar: Avatar) -> None:
    second = avatar.head.expression_names[1]
    params = face_parameters(
        avatar,
        ["hair=curly:0.7", "hat=hat_cap"],
        [f"{second.upper()}=0.8", "7=-1"],
        ["jaw=0.2,0,-.1", "eyes=0,0.3,0"],
        avatar.neutral(),
    )
    assert params.attributes["hair"] == pr.AttributeBlend("hair_curly", 0.7)
    assert params.attributes["hat"] == pr.AttributeBlend("hat_cap", 1.0)
    np.testing.assert_allclose(params.expression[[1, 7]], [0.8, -1])
    np.testing.assert_allclose(params.pose[6:], [0.2, 0, -0.1, 0, 0.3, 0, 0, 0.3, 0])
    assert not params.pose[:6].any()


def test_a_slider_of_the_editor_is_an_expression_too(avatar: Avatar) -> None:
    names = list(avatar.head.expression_names)
    sides = [names.index("smile left"), names.index("smile right")]
    params = face_parameters(avatar, [], ["smile=0.8"], [], avatar.neutral())
    assert np.flatnonzero(params.expression).tolist() == sorted(sides)
    assert np.allclose(params.expression[sides], 0.8)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--attribute", "hair=curlyy", "hair_curly"),
        ("--attribute", "hare=curly", "hair"),
        ("--attribute", "hair", "NAME=VALUE"),
        ("--attribute", "hair=curly:much", "number"),
        ("--attribute", "hair=curly:nan", "number"),
        ("--attribute", "nose=big", "hair_curly"),
        ("--expression", "zzz=1", "nearest"),
        ("--expression", "50=1", "0 to 49"),
        ("--expression", "0=inf", "number"),
        ("--pose", "jaw=1,2", "3 numbers"),
        ("--pose", "jow=1,2,3", "jaw"),
        ("--view", "1", "2 numbers"),
        ("--view", "0,90", "-89 to 89"),
        ("--size", "0", "1 to 8192"),
        ("--expression", "0=5e9", "-100 to 100"),
        ("--pose", "jaw=50,0,0", "-6.283 to 6.283"),
        ("--size", "99999", "1 to 8192"),
        ("--size", "12.5", "whole number"),
        ("--background", "white", "#rrggbb"),
        ("--pass", "colour", "rgb"),
        ("--device", "toaster", "cpu"),
        ("--head", "missing.pkl", "missing.pkl"),
    ],
)
def test_mistakes_in_options(
    option: str,
    value: str,
    said: str,
    avatar_file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "o.png"
    line = mistake(
        ["render", avatar_file, "--out", str(out), "--size", "16", option, value], capsys
    )
    assert said in line and not out.exists()
    # Of the head it is the file that is named.
    assert line.startswith(f"pegasus-editor: {option} ") or option == "--head"


@pytest.mark.parametrize(
    "arguments",
    [
        ["render"],
        ["render", "demo"],
        ["render", "missing.avatar", "--out", "o.png"],
        ["render", "missing.avatar", "--out", "no/such/folder/o.png"],
        ["render", "missing.avatar", "--out", "o.jpg", "--background", "transparent"],
        ["turntable", "missing.avatar", "--out", "o.mp4", "--background", "transparent"],
        ["turntable", "missing.avatar", "--out", "o.avi"],
        ["turntable", "missing.avatar", "--out", "o.mp4", "--frames", "0"],
        ["turntable", "missing.avatar", "--out", "o.mp4", "--fps", "fast"],
        ["turntable", "missing.avatar", "--out", "o.mp4", "--fps", "1000"],
        ["turntable", "missing.avatar", "--out", "o.gif", "--fps", "60"],
        ["turntable", "missing.avatar", "--out", "o.mp4", "--frames", "9" * 5000],
        ["bench", "demo", "--json", "o.json", "--repeats", "many"],
        ["info", "missing.avatar"],
        ["bench", "missing.avatar", "--json", "o.json"],
        ["bench", "demo", "--json", "o.json", "--points", "-5"],
        ["import-reference", "missing", "--head", "h.pkl", "--meta", "m", "--out", "o.avatar"],
        ["import-reference", "missing", "--head", "h.pkl", "--meta", "m", "--out", "o.txt"],
        ["render", "demo", "--out", "o.png", "--colour", "red"],
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    line = mistake(arguments, capsys)
    if arguments[-1][:1].isdigit() or arguments[-1] in ("fast", "many", "-5"):
        assert line.startswith(f"pegasus-editor: {arguments[-2]} ")
    assert list(tmp_path.iterdir()) == []


def test_no_display_names_render(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert "main.py render demo --out" in mistake([], capsys)


@pytest.mark.parametrize("debug", [False, True])
def test_unexpected_errors(
    debug: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_options: object) -> int:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("app.commands.doctor.doctor", fail)
    monkeypatch.setenv("PEGASUS_DEBUG", "1" if debug else "")
    assert run(["doctor"]) == 1
    text = capsys.readouterr().err
    assert "a fault of ours" in text and ("Traceback" in text) is debug


def test_ctrl_c_inside_a_kernel_is_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def kernel(_options: object) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise SystemError("returned a result with an exception set") from interrupt

    monkeypatch.setattr("app.commands.doctor.doctor", kernel)
    assert run(["doctor"]) == 130
    assert "stopped" in capsys.readouterr().err


def test_ctrl_c_in_a_film_leaves_no_file(
    avatar_file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = 0

    def render(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pr.Session, "render", render)
    for command, name in (("turntable", "o.mp4"), ("turntable", "frames"), ("render", "o.png")):
        assert run([command, avatar_file, "--out", str(tmp_path / name), "--size", "16"]) == 130
        calls += 1
    assert calls == 3 and list(tmp_path.iterdir()) == []
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_render_writes_what_the_session_draws(
    avatar: Avatar, avatar_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.png"
    arguments = ["render", avatar_file, "--out", str(out), "--size", "32", "--view", "-20,5"]
    assert run([*arguments, "--attribute", "hair=curly", "--background", "#204060"]) == 0
    params = avatar.neutral()
    params.attributes["hair"] = "hair_curly"
    camera = view_camera(avatar, -20, 5, 32)
    frame = pr.Session(avatar, "auto").render(
        params, camera, background=(0x20 / 255, 0x40 / 255, 0x60 / 255)
    )
    shown = cv2.imread(str(out))[..., ::-1].astype(float)
    np.testing.assert_allclose(shown, frame["rgb"] * 255, atol=0.6)
    assert shown[0, 0].tolist() == [0x20, 0x40, 0x60]
    assert capsys.readouterr().out == f"wrote {out}\n"


@pytest.mark.parametrize(
    "image_pass", ["albedo", "shading", "normal", "depth", "alpha", "segmentation"]
)
def test_every_pass_is_written(image_pass: str, avatar_file: str, tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    arguments = ["render", avatar_file, "--out", str(out), "--size", "16", "--pass", image_pass]
    assert run([*arguments, "--background", "transparent"]) == 0
    assert cv2.imread(str(out), cv2.IMREAD_UNCHANGED).shape == (16, 16, 4)


def test_turntable_and_info_and_bench(
    avatar_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = str(tmp_path / "frames")
    assert run(["turntable", avatar_file, "--out", film, "--size", "16", "--frames", "3"]) == 0
    assert len(list((tmp_path / "frames").iterdir())) == 3
    capsys.readouterr()
    assert run(["info", avatar_file, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["attribute_names"] == ["hair_curly", "hair_short", "hat_cap"]
    out = tmp_path / "bench.json"
    options = ["--json", str(out), "--points", "500", "--size", "32", "--repeats", "1"]
    assert run(["bench", avatar_file, *options]) == 0
    report = json.loads(out.read_text())
    assert report["points"] == 500 and report["size"] == 32
    expected = {"latent_change", "expression_change", "camera_change", "raster"}
    assert set(report["milliseconds"]) >= expected
    assert set(report["times_faster_than_exact"]) < expected
    assert all(duration > 0 for duration in report["milliseconds"].values())


def test_info_shows_scores_and_survives_what_is_none(
    avatar: Avatar, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {
        "hair_curly": {"psnr_head": 25.04, "psnr_frame": 27.5, "ssim": 0.9, "mask_iou": None},
        "source": "very close",
    }
    seen = {"yaw_deg": [-12.0, 11.4], "unfaced_share": 0.41}
    config = {"name": "mine", "steps": 5}
    provenance = {"made_by": "trainer", "config": config, "seen": seen, "scores": scores}
    path = tmp_path / "scored.avatar"
    replace(avatar, provenance=provenance).save(path)
    capsys.readouterr()
    assert run(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert (
        "from -12° to 11°, 41% of the surfels by no camera. The back of the head was never" in text
    )
    lines = [line.split() for line in text.splitlines()]
    assert ["hair_curly", "25.0", "dB", "27.5", "dB", "0.900", "–"] in lines
    assert ["source", "–", "–", "–", "–"] in lines
    assert ["config", "mine", "(all", "of", "it", "with", "--json)"] in lines


def test_doctor_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path))
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "missing FLAME head" in text and str(tmp_path / "generic_model.pkl") in text
    (tmp_path / "generic_model.pkl").touch()
    assert run(["doctor"]) == 0
    assert "ok      FLAME head" in capsys.readouterr().out


def test_names_are_found_however_they_are_written() -> None:
    assert find_name("expression", "jaw-OPEN", ["smile", "Jaw open"]) == 1
    with pytest.raises(InvalidInput, match="smile"):
        find_name("expression", "smle", ["smile", "Jaw open"])


def test_colours_and_views() -> None:
    assert read_background("Transparent") is None
    assert read_background("#ff0080") == pytest.approx((1, 0, 128 / 255))
    assert read_view("-30,12.5") == (-30, 12.5)


def test_view_keeps_the_distance_to_the_head(avatar: Avatar) -> None:
    front, side = avatar.default_camera((32, 32)), view_camera(avatar, 90, 0, 32)
    np.testing.assert_allclose(side.translation, front.translation * [1, 1, 1], atol=1.0)
    assert side.translation[2] == pytest.approx(front.translation[2], abs=0.3)
    np.testing.assert_allclose(front.rotation[:, 2], [0, 0, -1], atol=1e-6)
    np.testing.assert_allclose(side.rotation[:, 2], [-1, 0, 0], atol=1e-6)


OUT = {"render": "a.png", "turntable": "a"}


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: no")])
@pytest.mark.parametrize("command", ["render", "turntable"])
def test_too_little_memory_names_what_to_lower(
    command: str,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import pegasus_runtime

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(pegasus_runtime, "load_avatar", fail)
    assert run([command, "demo", "--out", str(tmp_path / OUT[command])]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and "memory" in complaint and "--size" in complaint
    assert list(tmp_path.iterdir()) == []
