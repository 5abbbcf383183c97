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
    """SHA-256 of a file's bytes as hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=256)
def _sha256_of_version(path: Path, _size: int, _modified: int) -> str:
    return file_sha256(path)


def find_head(sha256: str, name: str, wanted_by: str) -> Path:
    """The head file with the given checksum in the asset folder.

    Raises:
        InvalidInput: it is not there; the message says where to put it.
    """
    folder = asset_folder()
    candidates = sorted(folder.rglob("*")) if folder.is_dir() else []
    for path in candidates:
        if path.suffix in HEAD_SUFFIXES and path.is_file():
            facts = path.stat()
            if _sha256_of_version(path, facts.st_size, facts.st_mtime_ns) == sha256:
                return path
    raise InvalidInput(
        f"{wanted_by}: needs the head {name!r} (sha256 {sha256[:12]}…), which is not in {folder}; "
        "copy its file there or name it with --head."
    )
