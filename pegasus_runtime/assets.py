"""The user's asset folder: licensed or large files that no avatar carries."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from pegasus_runtime.errors import InvalidInput

HEAD_SUFFIXES = (".pkl", ".head")


def asset_folder() -> Path:
    """The folder in which assets are looked up; $PEGASUS_ASSETS overrides the platform's own."""
    override = os.environ.get("PEGASUS_ASSETS")
    if override:
        return Path(override)
    from platformdirs import user_data_path

    return user_data_path("pegasus", appauthor=False) / "assets"


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes as hexadecimal digits; heads are large, so once a version of it."""
    facts = os.stat(path)
    return _digest(os.fspath(path), facts.st_ino, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: str, *_version: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find_head(sha256: str, name: str, wanted_by: str) -> Path:
    """The head file with the given checksum in the asset folder.

    Raises:
        InvalidInput: it is not there; the message says where to put it.
    """
    folder = asset_folder()
    candidates = sorted(folder.rglob("*")) if folder.is_dir() else []
    for path in candidates:
        if path.suffix in HEAD_SUFFIXES and path.is_file() and file_sha256(path) == sha256:
            return path
    raise InvalidInput(
        f"{wanted_by}: needs the head {name!r} (sha256 {sha256[:12]}…), which is not in {folder}; "
        "copy its file there or name it with --head."
    )
