"""Checkpoints: folders that appear whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from pegasus_runtime.errors import Refused
from pegasus_runtime.files import replace_folder

_STATE_FILE = "state.pt"
_PREFIX = "step-"


def save_checkpoint(run_dir: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write a checkpoint and drop all but the newest ``keep``; its folder.

    Raises:
        Refused: it cannot be written; older checkpoints are as they were.
    """
    folder = run_dir / "checkpoints"
    folder.mkdir(exist_ok=True)
    path = folder / f"{_PREFIX}{step:08d}"
    with replace_folder(path, own=(_STATE_FILE,)) as partial:
        try:
            torch.save({"step": step, **state}, partial / _STATE_FILE)
        except RuntimeError as error:
            raise OSError(f"{error}") from error
    for old in list_checkpoints(run_dir)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def keep_old_checkpoints(run_dir: Path) -> None:
    """Put the checkpoints of an earlier training in this folder aside."""
    folder, number = run_dir / "checkpoints", 1
    if not folder.exists():
        return
    while (aside := run_dir / f"checkpoints-before-{number}").exists():
        number += 1
    try:
        folder.rename(aside)
    except OSError as error:
        raise Refused(f"{folder}: cannot be put aside ({error.strerror}).") from None


def list_checkpoints(run_dir: Path) -> list[Path]:
    """The checkpoint folders of a run, oldest first."""
    return sorted((run_dir / "checkpoints").glob(f"{_PREFIX}*"))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint folder.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        Refused: it is damaged.
    """
    file = path / _STATE_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint.")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        state["step"] = int(state["step"])
    except Exception as error:
        raise Refused(f"{file}: damaged checkpoint ({type(error).__name__}).") from None
    return dict(state)


def find_checkpoint(run_dir: Path, resume: str) -> dict[str, Any] | None:
    """The state to go on from: the newest valid one ("auto"), none ("none"), or that of a path."""
    if resume == "none":
        return None
    if resume != "auto":
        return load_checkpoint(Path(resume))
    for path in reversed(list_checkpoints(run_dir)):
        try:
            return load_checkpoint(path)
        except (Refused, FileNotFoundError):
            continue
    return None
