"""Checksums of large files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pegasus_runtime.assets import file_sha256


def test_a_version_of_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "generic.head", []
    digest = hashlib.file_digest

    def counted(stream, kind):  # type: ignore[no-untyped-def]
        read.append(stream.name)
        return digest(stream, kind)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    for number, content in enumerate((b"one", b"another"), start=1):
        path.write_bytes(content)
        truth = hashlib.sha256(content).hexdigest()
        assert file_sha256(path) == file_sha256(path) == truth
        assert len(read) == number
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file_sha256(path)
