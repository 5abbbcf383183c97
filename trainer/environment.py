"""Which program made something: revision and versions."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("torch", "numpy", "numba", "pegasus-avatar-editor")
_GIT_TIMEOUT_S = 10
"""Less leaves the commit out of a record on slow disks, more holds the start up."""


def made_with() -> dict[str, str]:
    """Versions by name, and the git revision where the program runs from a checkout."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    revision = git_revision()
    return {**found, "revision": revision} if revision else found


def git_revision() -> str:
    """The checkout's commit, with ``+`` where files differ from it; nothing outside a checkout."""
    root = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
