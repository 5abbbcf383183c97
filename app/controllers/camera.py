"""Whether there is a camera, and how it is read."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

from app.runs.launch import ROOT

FIRST_CAMERA = "0"
RECORDING_S = 20.0
"""Long enough to follow all instructions; more take longer to prepare, less leaves sides unseen."""
_PATIENCE_S = 10.0
"""Some drivers never answer; with less, slow ones are taken for none."""


def camera_command(source: str, *arguments: str) -> list[str]:
    """The program that reads a camera; see `app.camera_process`."""
    return [sys.executable, "-m", "app.camera_process", source, *arguments]


def has_camera(source: str = FIRST_CAMERA, patience_s: float = _PATIENCE_S) -> bool:
    """Whether a camera, or a file in its place, gives a picture; takes seconds."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            camera_command(source),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience_s,
        )
        return done.returncode == 0
    return False
