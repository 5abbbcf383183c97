"""Compiled loops on disk, where nothing that is missing, damaged or read-only ends a command.

numba's own cache has no place in a read-only install without a home, and ends the program for good
when one of its files is cut off. Here a loop that cannot be read is compiled again, and one that
cannot be kept is compiled each time.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from numba.core import caching, config

# numba has no types of its own.
_FunctionCache: Any = caching.FunctionCache
_config: Any = config
_IndexDataCacheFile: Any = caching.IndexDataCacheFile
_DIGEST_BYTES = hashlib.sha256().digest_size
Watcher = Callable[[str, bool], None]
"""Is told the name of a loop, and whether it is compiled (True) or only begun."""
_caches: dict[str, _LoopCache] = {}
_watchers: list[Watcher] = []


def keep_compiled(loop: Any) -> None:
    """Keep what a numba dispatcher compiles, if there is any place for it."""
    try:
        loop._cache = _LoopCache(loop.py_func)
    except RuntimeError:  # numba knows no place that can be written
        folder = _private_folder()
        if folder is not None:
            _config.CACHE_DIR = str(folder)
            with suppress(RuntimeError):
                loop._cache = _LoopCache(loop.py_func)


def watch(watcher: Watcher) -> Callable[[], None]:
    """Tell of every loop that is compiled, on the thread that does it; returns how to stop."""
    _watchers.append(watcher)
    return lambda: _watchers.remove(watcher) if watcher in _watchers else None


def is_kept(name: str) -> bool:
    """Whether a loop, ``module.function``, need not be compiled."""
    return name in _caches and _caches[name].is_filled


def _tell(name: str, is_done: bool) -> None:
    for watcher in tuple(_watchers):
        watcher(name, is_done)


class _LoopCache(_FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, with files that are checked."""

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _CheckedFiles(self._cache_path, self._impl.filename_base, stamp)
        self._name = f"{loop.__module__}.{loop.__qualname__}"
        _caches[self._name] = self

    @property
    def is_filled(self) -> bool:
        """Whether something is kept that this numba can read."""
        return bool(self._cache_file._load_index())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        kept = None
        # Whole, and still not to be used: of another numba or LLVM. It is written over.
        with suppress(Exception):
            kept = super().load_overload(sig, target_context)
        if kept is None:
            _tell(self._name, False)
        return kept

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)
        _tell(self._name, True)


class _CheckedFiles(_IndexDataCacheFile):  # type: ignore[misc]
    """numba's index and data of one function, each with a checksum at its end, which it ignores."""

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BytesIO]:
        with super()._open_for_write(filepath) as stream:
            content = BytesIO()
            yield content
            stream.write(content.getvalue())
            stream.write(hashlib.sha256(content.getvalue()).digest())

    def _load_index(self) -> Any:
        return super()._load_index() if _is_whole(self._index_path) else {}

    def _load_data(self, name: str) -> Any:
        return super()._load_data(name) if _is_whole(self._data_path(name)) else None


def _is_whole(path: str) -> bool:
    try:
        content = Path(path).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-_DIGEST_BYTES]).digest() == content[-_DIGEST_BYTES:]


def _private_folder() -> Path | None:
    """A folder for temporary files that only this user can write: what is read from it is run."""
    try:
        folder = Path(tempfile.gettempdir()) / f"pegasus-loops-{_user()}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        facts = folder.lstat()
    except OSError:
        return None
    is_ours = not hasattr(os, "getuid") or (
        facts.st_uid == os.getuid() and not stat.S_IMODE(facts.st_mode) & 0o077
    )
    return folder if stat.S_ISDIR(facts.st_mode) and is_ours else None


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "own"
