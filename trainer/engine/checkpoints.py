"""Checkpoints: folders that appear whole or not at all.

1. `save` writes a folder and then names it as the current one, in a file of the run folder.
2. "auto" goes on from the current one, or from the one before where it is damaged.
3. Going back to an older one abandons those after it. They stay until the run has passed them
   (`to_drop`), so that going back can be taken back.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import torch

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file, replace_folder
from pegasus_runtime.run_lock import find_owner

CURRENT_FILE = "current_checkpoint"
_STATE_FILE = "state.pt"
_PREFIX = "step-"
_POLL_S = 0.3
"""Less notices sooner that another process is done, for more reads of a file."""
_NAME = re.compile(rf"{_PREFIX}(\d{{1,12}})")


class Checkpoints:
    """Those of one run folder."""

    def __init__(self, run_dir: Path, keep: int, say: Callable[[str], None] = print) -> None:
        """
        Args:
            run_dir: a run folder.
            keep: how many of the steps done are kept.
            say: tells people which ones could not be read.
        """
        self._run_dir, self._keep, self._say = run_dir, keep, say
        self._abandoned: set[int] = set()

    def restore(self, resume: str) -> dict[str, Any] | None:
        """The state to go on from: "auto", "none" or that of a path; None to begin anew.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            InvalidInput: it is damaged; with "auto", all are.
        """
        if resume == "none":
            return None
        state = self._newest() if resume == "auto" else load_checkpoint(Path(resume))
        if state is not None:
            self._abandoned = {step for step in self._steps() if step > state["step"]}
        return state

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write a checkpoint and drop those that are not kept any more; its folder.

        Raises:
            InvalidInput: it cannot be written; older checkpoints are as they were.
        """
        path = _path(self._run_dir, step)
        with suppress(FileExistsError):
            path.parent.mkdir()
        with replace_folder(path, own=(_STATE_FILE,)) as partial:
            _write({"step": step, **state}, partial / _STATE_FILE)
        with replace_file(self._run_dir / CURRENT_FILE) as partial:
            partial.write_text(path.name + "\n", "utf-8")
        self._abandoned.discard(step)
        for old in to_drop(self._steps(), self._abandoned, step, self._keep):
            shutil.rmtree(_path(self._run_dir, old), ignore_errors=True)
        return path

    def put_aside(self) -> None:
        """Move the checkpoints of an earlier training in this folder out of the way."""
        folder, number = self._run_dir / "checkpoints", 1
        if not folder.exists():
            return
        while (aside := self._run_dir / f"checkpoints-before-{number}").exists():
            number += 1
        try:
            folder.rename(aside)
        except OSError as error:
            raise InvalidInput(f"{folder}: cannot be put aside ({error.strerror}).") from None

    def _newest(self) -> dict[str, Any] | None:
        paths = list_checkpoints(self._run_dir)
        damage = ""
        for path in reversed(paths):
            try:
                state = load_checkpoint(path)
            except (InvalidInput, FileNotFoundError) as error:
                damage = damage or str(error)
                continue
            if damage:
                self._say(f"{damage} Going on from {path.name}.")
            return state
        if paths:
            raise InvalidInput(
                f"{paths[0].parent}: none of the {len(paths)} checkpoints can be read; put a copy "
                "back, or start over with --resume none, which keeps them."
            )
        return None

    def _steps(self) -> list[int]:
        return [_step(path) for path in list_checkpoints(self._run_dir)]


def read_newest(run_dir: Path, patience_s: float = 60.0) -> dict[str, Any] | None:
    """The newest state of a run that may be going on; None while it has saved nothing.

    Its trainer may just be writing the first checkpoint, or be dropping the one that is read; as
    long as it is there, it is waited for.

    Raises:
        InvalidInput: no checkpoint can be read.
    """
    end = time.monotonic() + patience_s
    while True:
        is_last = time.monotonic() > end or find_owner(run_dir) is None
        try:
            state = Checkpoints(run_dir, 1, lambda _: None).restore("auto")
            if state is not None or is_last:
                return state
        except InvalidInput:
            if is_last:
                raise
        time.sleep(_POLL_S)


def to_drop(steps: Iterable[int], abandoned: Collection[int], done: int, keep: int) -> set[int]:
    """Which checkpoints go when one has been saved.

    Args:
        steps: of all that are there.
        abandoned: steps of those that a training went back from.
        done: the step that was saved.
        keep: how many of the training's own are kept.
    """
    passed = {step for step in steps if step <= done}
    own = sorted(passed.difference(abandoned))
    return passed.intersection(abandoned) | set(own[:-keep])


def list_checkpoints(run_dir: Path) -> list[Path]:
    """The checkpoint folders of a run: abandoned ones, then the others, each oldest first."""
    found = [path for path in (run_dir / "checkpoints").glob("*") if _NAME.fullmatch(path.name)]
    current = _current(run_dir)
    return sorted(found, key=lambda path: (_step(path) <= current, _step(path)))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint folder.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        InvalidInput: it is damaged.
    """
    file = path / _STATE_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint.")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        state["step"] = int(state["step"])
    except Exception as error:
        raise InvalidInput(f"{file}: damaged checkpoint ({type(error).__name__}).") from None
    return dict(state)


def _current(run_dir: Path) -> int | float:
    """Which step the run is at; without a note of it, the last there is."""
    with suppress(OSError, ValueError):
        found = _NAME.fullmatch((run_dir / CURRENT_FILE).read_text("utf-8").strip())
        if found and _path(run_dir, int(found[1])).is_dir():
            return int(found[1])
    return float("inf")


def _path(run_dir: Path, step: int) -> Path:
    return run_dir / "checkpoints" / f"{_PREFIX}{step:08d}"


def _step(path: Path) -> int:
    return int(path.name.removeprefix(_PREFIX))


class _Stream:
    """A file that remembers why it could not be written, which torch's message does not say."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _write(state: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        stream = _Stream(file)
        try:
            torch.save(state, cast("IO[bytes]", stream))
        except (RuntimeError, OSError):
            if stream.error is None:
                raise
            raise stream.error from None
        file.flush()
        # Some systems find out only now that there was no room, or that a server has gone.
        os.fsync(file.fileno())
