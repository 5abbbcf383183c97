"""Where output may go, and that nothing else is ever replaced or left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import (
    append_line,
    expanded,
    output_file,
    output_folder,
    replace_file,
    replace_folder,
    suggested_name,
    sweep_leftovers,
)

ROOT = Path(__file__).resolve().parents[2]
FRAMES = ("frame_*.png",)
posix = pytest.mark.skipif(os.name == "nt", reason="needs files that only POSIX has")


def write(path: Path | str, text: str = "new") -> None:
    with replace_file(path) as partial:
        partial.write_text(text)


def write_folder(path: Path | str) -> None:
    with replace_folder(path, FRAMES) as partial:
        (partial / "frame_00000.png").write_text("new")


def everything(folder: Path) -> dict[str, str]:
    """What lies in a folder, by name: text, where a link leads, or only a type."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_text()
        else:
            found[str(path.relative_to(folder))] = oct(path.stat().st_mode)
    return found


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def make_full_folder(path: Path) -> None:
    path.mkdir()
    (path / "letter.txt").write_text("dear")


def make_link_to_full_folder(path: Path) -> None:
    make_full_folder(path.with_name("real"))
    path.symlink_to("real")


def make_link_to_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("real"))
    path.symlink_to("real")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_folder_in_frames(path: Path) -> None:
    (path / "frame_00000.png").mkdir(parents=True)


def make_link_in_frames(path: Path) -> None:
    path.mkdir()
    (path / "frame_00000.png").symlink_to("elsewhere")


ODD = [make_fifo, make_socket, make_full_folder, make_link_to_full_folder, make_link_to_fifo,
       make_loop, make_folder_in_frames, make_link_in_frames]  # fmt: skip


@posix
@pytest.mark.parametrize("writer", [write, write_folder, output_file])
@pytest.mark.parametrize("make", ODD)
def test_what_is_not_ours_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable, writer: Callable
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    make(Path("out"))
    before = everything(tmp_path)
    with pytest.raises(InvalidInput) as refusal:
        writer(Path("out"))
    assert "out" in str(refusal.value) and "\n" not in str(refusal.value)
    assert everything(tmp_path) == before


def test_what_is_missing_to_read_is_no_fault_of_what_is_written(tmp_path: Path) -> None:
    said = "short04.obj: there is no such file."
    with pytest.raises(FileNotFoundError, match=said), replace_file(tmp_path / "a.txt"):
        raise FileNotFoundError(said)
    with pytest.raises(FileNotFoundError, match=said), replace_folder(tmp_path / "a", FRAMES):
        raise FileNotFoundError(said)
    assert not list(tmp_path.iterdir())


def test_a_file_is_not_replaced_by_a_folder_nor_a_folder_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(InvalidInput, match="is a file, not a folder"):
        write_folder(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidInput, match="is a folder"):
        write(tmp_path / "folder")
    assert sorted(everything(tmp_path)) == ["file", "folder"]


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "n" * 5000, "missing/a"])
@pytest.mark.parametrize("check", [output_file, lambda name: output_folder(name, FRAMES)])
def test_names_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, check: Callable
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput) as refusal:
        check(name)
    assert "\n" not in str(refusal.value) and "\0" not in str(refusal.value)


@posix
def test_links_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real/old.txt")
    (tmp_path / "new.txt").symlink_to("real/not-yet.txt")
    (tmp_path / "frames").symlink_to("real/frames")
    write(tmp_path / "link.txt")
    write(tmp_path / "new.txt")
    write_folder(tmp_path / "frames")
    write_folder(tmp_path / "frames")
    found = everything(tmp_path)
    assert found["link.txt"] == "-> real/old.txt" and found["frames"] == "-> real/frames"
    written = ("old.txt", "not-yet.txt", "frames/frame_00000.png")
    assert [found[f"real/{name}"] for name in written] == ["new"] * 3
    assert not any(Path(name).name.startswith(".") for name in found)


@posix
def test_permissions_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o640)
    write_folder(tmp_path / "frames")
    (tmp_path / "frames").chmod(0o750)
    write(tmp_path / "a")
    write_folder(tmp_path / "frames")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "frames").stat().st_mode & 0o777 == 0o750


def test_the_current_folder_is_not_pulled_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match="name a folder in it"):
        output_folder(".", FRAMES)


def test_a_name_as_long_as_a_name_can_be(tmp_path: Path) -> None:
    write(tmp_path / ("n" * 250 + ".txt"))
    assert len(everything(tmp_path)) == 1


HOLD = """
import sys
from pegasus_runtime.files import replace_file, replace_folder
name = sys.argv[1]
with replace_file(name + "/a.txt") as file, replace_folder(name + "/frames", ()) as folder:
    file.write_text("half")
    (folder / "half").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """A process in the middle of writing a file and a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    return process


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    process = hold(tmp_path)
    foreign = tmp_path / ".pegasus-notes.txt"
    foreign.write_text("mine")
    partials = set(tmp_path.iterdir()) - {foreign}
    assert len(partials) == 2
    write(tmp_path / "b.txt")
    assert partials < set(tmp_path.iterdir())
    process.kill()
    process.communicate()
    write(tmp_path / "b.txt")
    assert set(tmp_path.iterdir()) == {foreign, tmp_path / "b.txt"}


def test_a_folder_that_was_moved_aside_comes_back(tmp_path: Path) -> None:
    process = hold(tmp_path)
    process.kill()
    process.communicate()
    left = next(path for path in tmp_path.iterdir() if path.is_dir())
    left.rename(left.with_name(f"{left.name}-old-turn"))
    sweep_leftovers(tmp_path)
    assert everything(tmp_path)["turn/half"] == "half"
    assert [path.name for path in tmp_path.iterdir()] == ["turn"]


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("Ada", "Ada"),
        ("头像 2", "头像 2"),
        ("/etc/passwd", "etc_passwd"),
        ("..\\..\\x", "x"),
        ("../..", "avatar"),
        ("a\nb\0c:d", "a_b_c_d"),
        ("", "avatar"),
        ("NUL.tar", "avatar"),
        ("x" * 3000, "x" * 80),
    ],
)
def test_suggested_names_are_names(name: str, suggested: str) -> None:
    assert suggested_name(name) == suggested


@posix
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_power_cut_leaves_the_old_or_the_new(
    is_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, forced, sync = tmp_path / "work", [], os.fsync

    def note(number: int) -> None:
        forced.append((os.fstat(number).st_ino, target.exists()))
        sync(number)

    monkeypatch.setattr(os, "fsync", note)
    if is_folder:
        with replace_folder(target, FRAMES) as partial:
            (partial / "frame_1.png").write_text("new", "utf-8")
        written = target / "frame_1.png"
    else:
        write(target)
        written = target
    # What is in it before it has its name, and the name before the call returns.
    assert (written.stat().st_ino, False) in forced
    assert forced[-1] == (tmp_path.stat().st_ino, True)
    forced.clear()
    append_line(tmp_path / "journal", b"line")
    assert [number for number, _ in forced] == [(tmp_path / "journal").stat().st_ino]


@pytest.mark.parametrize("text", ["~nosuchuser", "~nosuchuser/run"])
def test_the_home_of_nobody_is_one_line(text: str) -> None:
    with pytest.raises(InvalidInput, match=f"{text}: no home of that name"):
        expanded(text)
    assert expanded("~/x").is_absolute()
