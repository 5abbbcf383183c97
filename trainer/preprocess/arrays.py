"""Arrays that steps leave for one another, and those of a pass that may be broken off."""

from __future__ import annotations

import time
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.documents import require_file
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file

Array = npt.NDArray[Any]
_MAX_BYTES = 4 << 30
"""Of a file that is read; more lets a wrong one take more memory."""
_SAVE_S = 5.0
"""Less loses fewer frames when it is stopped, and spends more time on writing."""


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write named arrays; InvalidInput where that cannot be done."""
    with replace_file(path) as partial, partial.open("wb") as stream:
        np.savez(stream, **dict[str, Any](arrays))


def read_arrays(path: Path) -> dict[str, Array]:
    """Named arrays without objects.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is damaged.
    """
    require_file(path, _MAX_BYTES)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidInput(f"{path}: is damaged ({error}); remove it and start again.") from None


class Rows:
    """Rows of a pass over frames, saved every few seconds, so that it can go on after a break."""

    def __init__(self, path: Path) -> None:
        """Of a file, with what an earlier pass has saved there."""
        self._path, self._saved_at = path, time.monotonic()
        self._rows: dict[str, list[Array]] = {}
        try:
            self._rows = {name: list(array) for name, array in read_arrays(path).items()}
        except (FileNotFoundError, InvalidInput):
            self._rows = {}

    def __getitem__(self, name: str) -> list[Array]:
        return self._rows.setdefault(name, [])

    def add(self, **row: Any) -> None:
        """One row of each of these columns."""
        for name, value in row.items():
            self[name].append(np.asarray(value))

    def save_now_and_then(self) -> None:
        """To be called between frames, when all rows of a frame are there."""
        if time.monotonic() - self._saved_at > _SAVE_S:
            write_arrays(self._path, self.arrays())
            self._saved_at = time.monotonic()

    def arrays(self) -> dict[str, Array]:
        """Each column's rows as one array."""
        return {name: np.array(rows) for name, rows in self._rows.items() if rows}

    def discard(self) -> None:
        """Remove the file: the pass is over."""
        self._path.unlink(missing_ok=True)
