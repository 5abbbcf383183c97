"""What the editor remembers, from files that others have written and into folders that refuse."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.state import app_dirs
from app.state.preferences import Preferences


@pytest.fixture()
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where preferences are kept."""
    monkeypatch.setenv("PEGASUS_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / "editor.json"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe nothing",
        b'{"theme": "light"',
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"theme": {"a": []}, "recent": {"b": 1}, "background": 7}',
        b'{"theme": ["dark"], "recent": [[[1]]], "geometry": 5, "layout": "\xc3\xa9"}',
        b'{"recent": [1, null, "a\\u0000b"], "last_folder": [], "geometry": "not base64!"}',
        b'{"background_colour": ["a", 1, 2]}',
        b'{"background_colour": [1e999, 0, 0]}',
        b'{"background_colour": [true, 0, 0], "background": ["studio"]}',
        b'{"layout": {"cpu": [1]}}',
        b'{"geometry": "' + b"A" * 2_000_000 + b'"}',
        "{}".encode("utf-16"),
        '{"theme": "blau\u00e4"}'.encode("latin-1"),
    ],
)
def test_garbage_is_set_aside_and_the_usual_taken(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    found = Preferences.load()
    usual = Preferences()
    assert found == usual
    if content != "{}".encode("utf-16"):
        assert "\n" not in found.problem and "editor.json" in found.problem
        assert file.with_name("editor.json.bad").read_bytes() == content
    found.save()
    assert Preferences.load() == usual and not Preferences.load().problem


def test_the_good_part_of_a_file_is_taken(file: Path) -> None:
    kept = {"theme": "light", "recent": [3, "/a.avatar"], "background": "checker", "new": {"x": 1}}
    file.write_text("\ufeff" + json.dumps(kept), encoding="utf-8")
    found = Preferences.load()
    assert (found.theme, found.recent, found.background) == ("light", ["/a.avatar"], "checker")
    assert "recent cannot be used" in found.problem


def test_names_of_files_that_are_no_text_do_not_spoil_the_file(file: Path) -> None:
    preferences = Preferences(recent=["/tmp/\udcff.avatar", "/good"], last_folder="/\udcff")
    preferences.save()
    found = Preferences.load()
    assert found.recent == ["/good"] and found.last_folder == "" and not found.problem


def _home_is_a_file(place: Path) -> dict[str, str]:
    (place / "home").write_text("")
    return {"HOME": str(place / "home")}


def _home_is_missing(place: Path) -> dict[str, str]:
    return {"HOME": "/proc/nobody"}


def _folder_is_a_file(place: Path) -> dict[str, str]:
    (place / "config").write_text("")
    return {"PEGASUS_HOME": str(place)}


def _settings_are_in_the_way(place: Path) -> dict[str, str]:
    (place / "config" / "editor.json").mkdir(parents=True)
    return {"PEGASUS_HOME": str(place)}


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for the home folder in another way")
@pytest.mark.parametrize(
    "prepare", [_home_is_a_file, _home_is_missing, _folder_is_a_file, _settings_are_in_the_way]
)
def test_where_nothing_can_be_kept_the_editor_works_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], dict[str, str]]
) -> None:
    for name in ("PEGASUS_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in prepare(tmp_path).items():
        monkeypatch.setenv(name, value)
    preferences = Preferences.load()
    told: list[str] = []
    preferences.on_problem = told.append
    for theme in ("light", "dark", "light"):
        preferences.theme = theme
        preferences.keep()
    problems = [*app_dirs.folder_problems(), *told]
    assert any(str(tmp_path) in text or "/proc/nobody" in text for text in problems)
    assert len(told) <= 1 and all("\n" not in text for text in problems)
    assert app_dirs.cache_folder().is_dir() and app_dirs.home_folder().is_dir()
    assert app_dirs.typed_path("~nobody-of-this-name/x").name == "x"
