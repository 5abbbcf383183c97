"""Writing without ever leaving half a file: write beside, then rename."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pegasus_runtime.errors import Refused


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block succeeds.

    The temporary file keeps the suffix, so that writers which choose a format by it work. When the
    block raises, whatever it wrote is removed and ``path`` is as it was.

    Raises:
        Refused: the folder is missing or cannot be written, or the disk is full.
    """
    target = Path(path)
    partial = _beside(target)
    try:
        _require_folder(target)
        yield partial
        if partial.exists():
            partial.replace(target)
    except OSError as error:
        raise Refused(_unwritable(target, error)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new empty folder beside ``path`` that takes its place when the block succeeds.

    A folder that was at ``path`` is moved aside first and removed only after the rename, so at
    every moment one complete version exists on disk.

    Raises:
        Refused: the parent folder is missing or cannot be written, or the disk is full.
    """
    target = Path(path)
    partial = _beside(target)
    try:
        _require_folder(target)
        partial.mkdir()
        yield partial
        _swap_folder(partial, target)
    except OSError as error:
        raise Refused(_unwritable(target, error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _swap_folder(partial: Path, target: Path) -> None:
    old = _beside(target)
    if target.exists():
        target.rename(old)
    try:
        partial.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.stem}-{uuid.uuid4().hex[:8]}{target.suffix}")


def _require_folder(target: Path) -> None:
    if not target.parent.is_dir():
        raise Refused(f"{target}: the folder {target.parent} does not exist; create it first.")


def _unwritable(target: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{target}: cannot be written ({reason}); choose another folder or free some space."
