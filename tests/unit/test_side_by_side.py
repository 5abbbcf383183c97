"""Pieces of work in processes of their own end with the process that started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from trainer.preprocess.side_by_side import Piece, StepReport, run_pieces

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 120


def _wait_long(note: Path, _: StepReport) -> None:
    note.write_text(str(os.getpid()), "utf-8")
    time.sleep(WAIT_S)


def _start_two(folder: Path) -> None:
    pieces = [
        Piece(folder / name, partial(_wait_long, folder / f"{name}.pid"), folder)
        for name in ("first", "second")
    ]
    list(run_pieces(pieces, 2, lambda place, step, share: None))


@pytest.mark.slow
def test_workers_end_when_what_started_them_is_killed(tmp_path: Path) -> None:
    notes = [tmp_path / "first.pid", tmp_path / "second.pid"]
    running = subprocess.Popen(
        [sys.executable, __file__, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        while not all(note.is_file() and note.read_text("utf-8") for note in notes):
            assert running.poll() is None
            time.sleep(0.05)
        workers = [psutil.Process(int(note.read_text("utf-8"))) for note in notes]
    finally:
        running.kill()
        running.wait()
    _, alive = psutil.wait_procs(workers, timeout=WAIT_S / 2)
    assert not alive


if __name__ == "__main__":
    _start_two(Path(sys.argv[1]))
