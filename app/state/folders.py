"""Where the editor keeps its own files. $PEGASUS_HOME puts all of them into one folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_NAME = "pegasus-editor"


def config_folder() -> Path:
    """The folder of preferences and of the window's layout; made when missing."""
    return _made("config", platformdirs.user_config_path(_NAME, appauthor=False))


def cache_folder() -> Path:
    """The folder of what can be made again, such as thumbnails; made when missing."""
    return _made("cache", platformdirs.user_cache_path(_NAME, appauthor=False))


def _made(name: str, usual: Path) -> Path:
    home = os.environ.get("PEGASUS_HOME")
    folder = Path(home) / name if home else usual
    folder.mkdir(parents=True, exist_ok=True)
    return folder
