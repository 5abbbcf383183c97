"""A command that has said what it has to say holds no processor any more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import atexit, runpy, sys, threading

class Kept:
    def __del__(self):
        print("freed")

kept, ending = Kept(), threading.Event()

def work():
    ending.wait()
    print("worked")

threading.Thread(target=work).start()
atexit.register(print, "told")
# Joined before the end, as pools of threads are.
threading._register_atexit(ending.set)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


COMMANDS = (
    ("main", "info"),
    ("trainer", "evaluate", "--data", "d", "--out", "o", "--avatar"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_threads_and_functions_of_the_end_have_run_and_nothing_is_freed(tmp_path, words) -> None:  # type: ignore[no-untyped-def]
    command = [sys.executable, "-c", PROGRAM, *words, str(tmp_path / "gone.avatar")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stdout.split() == ["worked", "told"]
