"""Where the editor keeps its own files. $PEGASUS_HOME puts all of them into one folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import expanded, suggested_name

_NAME = "pegasus-editor"
_replaced: dict[Path, tempfile.TemporaryDirectory[str]] = {}
_problems: dict[Path, str] = {}


def config_folder() -> Path:
    """The folder of preferences and of the window's layout; made when missing.

    One that cannot be made or written is replaced by a folder that lives as long as the program,
    and `folder_problems` says so: an editor that keeps nothing is better than none.
    """
    return _made("config", lambda: platformdirs.user_config_path(_NAME, appauthor=False))


def cache_folder() -> Path:
    """The folder of what can be made again, such as thumbnails; as `config_folder`."""
    return _made("cache", lambda: platformdirs.user_cache_path(_NAME, appauthor=False))


def state_folder() -> Path:
    """The folder of journals, from which work is recovered; as `config_folder`."""
    return _made("state", lambda: platformdirs.user_state_path(_NAME, appauthor=False))


def data_folder() -> Path:
    """The folder of what was made here and cannot be made again; as `config_folder`."""
    return _made("data", lambda: platformdirs.user_data_path(_NAME, appauthor=False))


def folder_problems() -> list[str]:
    """One line for each folder that could not be used so far."""
    return list(_problems.values())


def home_folder() -> Path:
    """Where dialogs start: the user's home, or the current folder if there is none."""
    home = typed_path("~")
    return home if home.is_dir() else Path.cwd()


def typed_path(text: str) -> Path:
    """A path as typed, as it stands where its ~ means nobody: whoever uses it says that."""
    try:
        return expanded(text)
    except InvalidInput:
        return Path(text)


def free_file(folder: Path, words: str, suffix: str) -> Path:
    """A file of a folder that is named after words and is not there yet."""
    stem = suggested_name(words)
    file, number = folder / f"{stem}{suffix}", 2
    while file.exists():
        file, number = folder / f"{stem}-{number}{suffix}", number + 1
    return file


def _made(name: str, usual: Callable[[], Path]) -> Path:
    home = os.environ.get("PEGASUS_HOME")
    folder = Path(home).absolute() / name if home else usual()
    if folder in _replaced:
        return Path(_replaced[folder].name)
    try:
        if not folder.is_absolute():
            raise OSError("no home folder is known")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise OSError("it cannot be written")
        return folder
    except OSError as error:
        reason = error.strerror or error
        _problems[folder] = (
            f"{folder}: cannot be used ({reason}); what the editor keeps there is forgotten when "
            "it is closed. Set PEGASUS_HOME to a folder that can be written."
        )
        return _replacement(folder)


def _replacement(folder: Path) -> Path:
    try:
        _replaced[folder] = tempfile.TemporaryDirectory(
            prefix=f"{_NAME}-", ignore_cleanup_errors=True
        )
    except OSError:
        # Nothing can be written anywhere: whoever writes is told so.
        return folder
    return Path(_replaced[folder].name)
