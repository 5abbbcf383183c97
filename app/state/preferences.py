"""What the editor remembers between two starts."""

from __future__ import annotations

import base64
import binascii
import json
import math
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.state.app_dirs import config_folder
from app.state.display import BACKGROUNDS
from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file

MAX_RECENT = 8
"""Two rows of the start screen; more would push its buttons down."""
THEMES = ("dark", "light")
_MAX_BYTES = 1 << 20
"""Far more than preferences have; more lets a damaged file hold the start up."""
_MAX_PATH = 4096
"""Bytes; Linux opens no longer one."""


@dataclass
class Preferences:
    """Kept as a JSON file in the user's configuration folder."""

    theme: str = "dark"
    recent: list[str] = field(default_factory=list)
    geometry: str = ""
    """the window's place, as Qt's own bytes in base64"""
    layout: str = ""
    """docks and toolbars, likewise"""
    last_folder: str = ""
    undo_camera: bool = True
    """whether camera and display belong to undo"""
    plays_greeting: bool = True
    """whether the demo avatar moves a little when it opens at the start"""
    background: str = "studio"
    background_colour: list[float] = field(default_factory=lambda: [0.85, 0.87, 0.90])

    def __post_init__(self) -> None:
        self.problem = ""
        """what of the file could not be used, in a line; empty when all of it could"""
        self.on_problem: Callable[[str], None] = lambda _: None
        """is told of a new problem"""

    @classmethod
    def load(cls) -> Preferences:
        """Those kept, or new ones; a damaged file must never keep the editor from opening.

        What cannot be used is left out and told in `problem`; the file is copied beside itself
        with the ending .bad before it is written again.
        """
        try:
            kept = read_json(_file(), dict, max_bytes=_MAX_BYTES)
        except FileNotFoundError:
            return cls()
        except InvalidInput as error:
            return cls().with_problem(str(error))
        usable = {name: kept[name] for name, fits in _CHECKS.items() if fits(kept.get(name))}
        wrong = [name for name in _CHECKS if name in kept and name not in usable]
        if isinstance(kept.get("recent"), list):
            usable["recent"] = list(filter(_is_path, kept["recent"]))[:MAX_RECENT]
        preferences = cls(**usable)
        if wrong:
            preferences.with_problem(f"{_file()}: {', '.join(wrong)} cannot be used.")
        return preferences

    def with_problem(self, text: str) -> Preferences:
        """Tell of a fault of the file, and keep a copy of it."""
        file = _file()
        aside = file.with_name(f"{file.name}.bad")
        try:
            shutil.copyfile(file, aside)
            self.problem = f"{text} The usual settings are taken; a copy is kept in {aside.name}."
        except OSError:
            self.problem = f"{text} The usual settings are taken."
        return self

    def save(self) -> None:
        """Keep them.

        Raises:
            InvalidInput: the folder cannot be written.
        """
        kept = asdict(self)
        # Names of files need not be text that a file in UTF-8 can hold.
        kept["recent"] = list(filter(_is_path, self.recent))
        kept["last_folder"] = self.last_folder if _is_path(self.last_folder) else ""
        with replace_file(_file()) as partial:
            partial.write_text(json.dumps(kept, indent=1), encoding="utf-8")

    def keep(self) -> None:
        """Save after a change; where that fails they hold for this session, and `problem` says so.

        A folder that cannot be written is no reason to stop what the user is doing.
        """
        try:
            self.save()
        except InvalidInput as error:
            if str(error) != self.problem:
                self.problem = str(error)
                self.on_problem(self.problem)

    def add_recent(self, path: Path) -> None:
        """Put a file on top of the list of recent ones."""
        text = str(path.resolve())
        self.recent = [text, *(other for other in self.recent if other != text)][:MAX_RECENT]


def _file() -> Path:
    return config_folder() / "editor.json"


def _is_path(value: Any) -> bool:
    with suppress(UnicodeEncodeError):
        return isinstance(value, str) and len(value.encode()) <= _MAX_PATH and "\0" not in value
    return False


def _is_state(value: Any) -> bool:
    with suppress(binascii.Error, ValueError):
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    return False


def _is_colour(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(x) in (int, float) and math.isfinite(x) and 0 <= x <= 1 for x in value)
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "theme": lambda value: value in THEMES,
    "recent": lambda value: isinstance(value, list) and all(map(_is_path, value)),
    "geometry": _is_state,
    "layout": _is_state,
    "last_folder": _is_path,
    "undo_camera": lambda value: isinstance(value, bool),
    "plays_greeting": lambda value: isinstance(value, bool),
    "background": lambda value: isinstance(value, str) and value in BACKGROUNDS,
    "background_colour": _is_colour,
}
