"""What has been found, one JSON object a line, so that a killed evaluation goes on.

Each process appends to a file of its own; a line is whole or it does not count, pictures and all.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pegasus_runtime.errors import InvalidInput, is_disk_full
from pegasus_runtime.files import append_line

FOLDER = "progress"
"""of a report's folder"""
_NAME = re.compile(r"results-\d{3,6}\.jsonl")
_MAX_LINE_BYTES = 8 << 20
"""Far above what is written: more lets a damaged line take more memory."""
Record = dict[str, Any]


class Results:
    """The lines of all processes; this one's are added."""

    def __init__(self, out: Path, rank: int) -> None:
        """Of a report's folder, which is there."""
        self._out, self._folder = out, out / FOLDER
        self._path = self._folder / f"results-{rank:03d}.jsonl"

    def read(self, wanted: Iterable[tuple[str, str]]) -> dict[str, Record]:
        """What is known of the wanted keys with these digests."""
        digests, found = dict(wanted), {}
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else []:
            if not _NAME.fullmatch(path.name) or not path.is_file():
                continue
            with path.open("rb") as lines:
                while line := lines.readline(_MAX_LINE_BYTES):
                    record = _parse(line)
                    key = record.get("key") if record else None
                    if record and isinstance(key, str) and digests.get(key) == record.get("digest"):
                        found[key] = record
        return found

    def add(self, record: Record) -> None:
        """Append a record; it is on the disk when this returns.

        Raises:
            InvalidInput: it cannot be written; what was there stays.
        """
        line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            append_line(self._path, line)
        except OSError as error:
            self._refuse(error)

    def begin(self) -> None:
        """Take what a killed process has left half-written off the end of this one's file."""
        try:
            self._folder.mkdir(exist_ok=True)
            if not self._path.exists():
                return
            with self._path.open("r+b") as stream:
                content = stream.read()
                whole = content.rfind(b"\n") + 1
                if whole < len(content):
                    stream.truncate(whole)
        except OSError as error:
            self._refuse(error)

    def _refuse(self, error: OSError) -> None:
        advice = "free some space" if is_disk_full(error) else "correct that"
        reason = error.strerror or os.fspath(self._path)
        raise InvalidInput(
            f"{self._out}: cannot be written ({reason}); {advice} and start the same command "
            "again: it goes on from here."
        ) from None


def _parse(line: bytes) -> Record | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
