"""A trainer that does at once what a test wants, in a process like the real one's."""

from __future__ import annotations

from pathlib import Path

import pytest

_BEGINNING = """
import json, os, sys, time
from pathlib import Path
command, words = sys.argv[1], sys.argv[2:]
def option(name):
    return words[words.index(name) + 1]
def tell(words, share, left=None):
    line = {"preparing": words, "share": share, "seconds_left": left}
    print(json.dumps(line), file=sys.stderr, flush=True)
def refuse(text):
    sys.exit(f"trainer: {text}")
def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.02)
"""


def use_fake_trainer(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Let ``python -m trainer`` run ``body``, which has ``command``, ``option`` and ``tell``."""
    package = folder / "trainer"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("", "utf-8")
    (package / "__main__.py").write_text(_BEGINNING + body, "utf-8")
    monkeypatch.setattr("app.controllers.trainer_call.ROOT", folder)
