"""What a subject's folder holds of a video: which results, of which frames and settings."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file

MANIFEST = "manifest.json"
_VERSION = 1
"""One more makes what earlier programs have left be worked out anew."""
_MAX_MANIFEST_BYTES = 4 << 20
"""Ours have some thousand; more only lets a wrong file be read for longer."""


@dataclass
class Manifest:
    """Which results a folder holds."""

    path: Path
    source: dict[str, Any] = field(default_factory=dict)
    """path, number of bytes, time of change and digest of the video"""
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    """by name: digest and what it is made of, whether it is done, notes, seconds, files"""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """That of a folder of intermediate results; empty where there is none that can be read."""
        path = folder / MANIFEST
        with suppress(FileNotFoundError, InvalidInput):
            found = read_json(path, dict, max_bytes=_MAX_MANIFEST_BYTES)
            source, steps = found.get("source"), found.get("steps")
            is_whole = isinstance(source, dict) and isinstance(steps, dict)
            if found.get("version") == _VERSION and is_whole:
                kept = {k: v for k, v in steps.items() if isinstance(v, dict)}
                return cls(path, source, kept)
        return cls(path)

    def save(self) -> None:
        """Write it; InvalidInput where the disk is full or the folder cannot be written."""
        content = {"version": _VERSION, "source": self.source, "steps": self.steps}
        with replace_file(self.path) as partial:
            partial.write_text(json.dumps(content, indent=1) + "\n", "utf-8")

    @property
    def source_digest(self) -> str:
        """Of the video; empty before it was read."""
        return str(self.source.get("digest", ""))

    def is_done(self, step: str) -> bool:
        """Whether its result is whole, as far as is known."""
        return bool(self.steps.get(step, {}).get("done"))

    def digest_of(self, step: str) -> str:
        """Of the result that is there, whole or not; empty without."""
        return str(self.steps.get(step, {}).get("digest", ""))
