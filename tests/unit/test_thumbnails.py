"""Names in an avatar come from anywhere, and are no paths."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.controllers.thumbnails import thumbnail_file
from app.state.app_dirs import cache_folder
from app.state.framing import Framing

NAMES = [
    "",
    "hair_curly",
    "/tmp/mine",
    "../../mine",
    "hair_..\\mine",
    "a\0b",
    "x" * 10_000,
    "\ud800",
]


def test_names_from_a_file_never_become_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path / "home"))
    (tmp_path / "a.avatar").write_text("an avatar")
    avatar: Any = SimpleNamespace(path=tmp_path / "a.avatar")
    files = [thumbnail_file(avatar, name) for name in NAMES]
    assert len(set(files)) == len(NAMES)
    for file in files:
        assert file is not None and file.parent.parent == cache_folder() / "thumbnails"
        assert len(file.name) < 64 and file.parent.is_dir()


def test_pictures_of_another_framing_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path / "home"))
    (tmp_path / "a.avatar").write_text("an avatar")
    avatar: Any = SimpleNamespace(path=tmp_path / "a.avatar")
    framings = [Framing(), Framing(25.0), Framing(half=0.5), Framing(centre=(0.1, 0.0), half=0.5)]
    files = [thumbnail_file(avatar, name, f) for f in framings for name in ("", "eyes_green")]
    assert len(set(files)) == len(files)


def test_no_place_for_thumbnails_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file where the folder would be")
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path / "home"))
    (tmp_path / "a.avatar").write_text("an avatar")
    avatar: Any = SimpleNamespace(path=tmp_path / "a.avatar")
    found = thumbnail_file(avatar, "hair_curly")
    assert found is None or cache_folder() in found.parents
