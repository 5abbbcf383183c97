"""Memory that runs out is one line, whichever library says so."""

from __future__ import annotations

import argparse
import errno
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pegasus_runtime.memory import is_out_of_memory
from trainer import cli as trainer


def _raise(error: Exception) -> None:
    raise error


FAILURES = {
    "torch": lambda: torch.empty(1 << 50),
    "numpy": lambda: np.empty(1 << 50),
    "python": lambda: bytearray(1 << 60),
    "cuda": lambda: _raise(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate")),
    "threads": lambda: _raise(RuntimeError("can't start new thread")),
    "system": lambda: _raise(OSError(errno.ENOMEM, "Cannot allocate memory")),
}


@pytest.mark.parametrize("name", FAILURES)
def test_it_is_one_line_that_names_settings(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fail: Callable[[], object] = FAILURES[name]

    def run(options: argparse.Namespace) -> int:
        fail()
        return 0

    monkeypatch.setattr("trainer.commands.train.run_train", run)
    assert trainer.main(["train", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(f"trainer: {tmp_path}: the memory ran out")
    assert "points.maximum" in said and "what was saved is kept" in said.lower()


def test_other_faults_are_no_lack_of_memory() -> None:
    for error in (RuntimeError("shape mismatch"), ValueError("out of memory"), KeyError(1)):
        assert not is_out_of_memory(error)


@pytest.mark.parametrize("out", ["", " "])
def test_an_output_without_a_name_is_refused(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        trainer.main(["train", "--out", out])
    assert ended.value.code == 2 and "is empty; name a folder" in capsys.readouterr().err


def test_a_full_disk_is_told_once_whichever_thread_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def run(options: argparse.Namespace) -> int:
        writer = threading.Thread(target=_raise, args=(full,))
        writer.start()
        writer.join()
        raise full

    monkeypatch.setattr("trainer.commands.train.run_train", run)
    assert trainer.main(["train", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "No space left" in said and "last checkpoint" in said
