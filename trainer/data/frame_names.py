"""What frames are called, and where their pictures are.

A name comes from a file that anybody may have written. It never becomes a path: it is looked up in
the list of what lies in the subject's folders.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pegasus_runtime.errors import quoted

PICTURE_KINDS = ("image", "mask", "mask_object", "normal_rendering", "semantic")
_ENDINGS = (".png", ".jpg", ".jpeg")
"""first come, first taken"""
_MAX_LENGTH = 200
"""Characters: with an ending it still fits every file system."""


def frame_name(path: Any) -> str:
    """The name of a frame by its ``file_path``: the last part, without the ending of a picture.

    Raises:
        ValueError: it is no name of a picture.
    """
    text = str(path) if isinstance(path, int) and not isinstance(path, bool) else path
    name = text.replace("\\", "/").rstrip("/").rpartition("/")[2] if isinstance(text, str) else ""
    name = unicodedata.normalize("NFC", _without_ending(name))
    if not name.strip(". ") or not name.isprintable() or len(name) > _MAX_LENGTH:
        raise ValueError(f"its file_path {quoted(path)} is no name of a picture")
    return name


def list_pictures(folder: Path) -> dict[str, dict[str, Path]]:
    """Of each kind the pictures by their frames' names."""
    return {kind: _list_kind(folder / kind) for kind in PICTURE_KINDS}


def pictures_of(name: str, listed: Mapping[str, Mapping[str, Path]]) -> dict[str, Path]:
    """A frame's pictures by kind."""
    return {kind: paths[name] for kind, paths in listed.items() if name in paths}


def _list_kind(folder: Path) -> dict[str, Path]:
    try:
        names = sorted(os.listdir(folder), key=_rank)
    except OSError:
        return {}
    found: dict[str, Path] = {}
    for name in names:
        stem = _without_ending(name)
        if stem != name:
            found.setdefault(unicodedata.normalize("NFC", stem), folder / name)
    return found


def _rank(name: str) -> tuple[int, str]:
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    return (_ENDINGS.index(ending) if ending in _ENDINGS else len(_ENDINGS)), name


def _without_ending(name: str) -> str:
    return next((name[: -len(e)] for e in _ENDINGS if name.lower().endswith(e)), name)
