"""What the editor remembers between two starts."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from app.state.folders import config_folder
from pegasus_runtime.files import replace_file

MAX_RECENT = 8


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
    precision: dict[str, Any] = field(default_factory=dict)
    """by device, what `app.state.precision` keeps"""
    background: str = "studio"
    background_colour: list[float] = field(default_factory=lambda: [0.85, 0.87, 0.90])

    @classmethod
    def load(cls) -> Preferences:
        """Those kept, or new ones; a damaged file must never keep the editor from opening."""
        with suppress(OSError, ValueError):
            kept = json.loads(_file().read_text(encoding="utf-8"))
            return cls(**_valid(kept))
        return cls()

    def save(self) -> None:
        """Keep them.

        Raises:
            Refused: the folder cannot be written.
        """
        with replace_file(_file()) as partial:
            partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    def add_recent(self, path: Path) -> None:
        """Put a file on top of the list of recent ones."""
        text = str(path.resolve())
        self.recent = [text, *(other for other in self.recent if other != text)][:MAX_RECENT]


def _file() -> Path:
    return config_folder() / "editor.json"


def _valid(kept: Any) -> dict[str, Any]:
    usual = asdict(Preferences())
    if not isinstance(kept, dict):
        raise ValueError("not an object")
    names = [entry.name for entry in fields(Preferences)]
    return {n: kept[n] for n in names if n in kept and type(kept[n]) is type(usual[n])}
