"""The folder of a research program's run: where its checkpoints are, and what it says of itself."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.hocon import look_up, read_hocon

_PLACES = ("", "checkpoints", "train/checkpoints")
_MODEL, _INPUTS, _LATEST = "ModelParameters", "InputParameters", "latest"
_CONFIGURATION = "runconf.conf"
"""what the programs call the copy that they keep; others end in .conf and begin with the time"""


@dataclass(frozen=True)
class RunFolder:
    """What was found in a run folder."""

    checkpoints: Path
    model: Path
    inputs: Path | None
    """None where the run has none"""
    configuration: Path | None


def find_run(run_dir: Path) -> RunFolder:
    """The newest checkpoint of a run and its configuration.

    Raises:
        FileNotFoundError: there is no such folder.
        InvalidInput: it holds no checkpoint.
    """
    if not run_dir.is_dir():
        raise FileNotFoundError(f"{run_dir}: no such folder.")
    for place in _PLACES:
        folder = run_dir / place
        if (folder / _MODEL).is_dir():
            model = _newest(folder / _MODEL)
            inputs = folder / _INPUTS / model.name
            known = inputs if (folder / _INPUTS).is_dir() else None
            return RunFolder(folder, model, known, _find_configuration(run_dir, folder))
    raise InvalidInput(
        f"{run_dir}: has no ModelParameters/ and InputParameters/, neither itself nor in "
        "checkpoints/ or train/checkpoints/; name the folder of a run."
    )


def read_facts(meta: Any, configuration: Path | None) -> dict[str, Any]:
    """What a meta file says, and of the rest what the run's configuration says.

    Raises:
        FileNotFoundError: there is no such meta file.
        InvalidInput: one of them cannot be read, or says what makes no sense.
    """
    facts: dict[str, Any] = {}
    if configuration is not None:
        facts = _read_configuration(configuration)
    if meta is not None:
        given = meta if isinstance(meta, dict) else read_json(meta, dict)
        facts |= given
    return facts


def names_of_rows(facts: dict[str, Any], meta: Any, folder: Path) -> list[Any]:
    """The names of a run's attribute folders, in its order.

    Raises:
        InvalidInput: nothing says them.
    """
    names = facts.get("train_sub_dirs")
    if isinstance(names, list):
        return names
    if meta is not None:
        said = "meta" if isinstance(meta, dict) else str(meta)
        raise InvalidInput(
            f'{said}: needs "train_sub_dirs", the list of the run\'s attribute folders.'
        )
    raise InvalidInput(
        f"{folder}: nothing says the names of the attributes; put the run's configuration "
        f"({_CONFIGURATION}) beside checkpoints/, or give --meta with train_sub_dirs."
    )


def _newest(folder: Path) -> Path:
    """latest.pth, else that of the highest epoch."""
    latest = folder / f"{_LATEST}.pth"
    numbered = [p for p in folder.glob("*.pth") if p.stem.isascii() and p.stem.isdigit()]
    if latest.exists() or not numbered:
        return latest
    return max(numbered, key=lambda path: int(path.stem[:18]))


def _find_configuration(run_dir: Path, checkpoints: Path) -> Path | None:
    """The run's own copy; of several the one of the last start, which their names begin with."""
    beside = checkpoints.parent if checkpoints.name == "checkpoints" else checkpoints
    for folder in dict.fromkeys((beside, checkpoints, run_dir)):
        try:
            found = sorted(p for p in folder.iterdir() if p.suffix == ".conf" and p.is_file())
        except OSError:
            continue
        own = [path for path in found if path.name == _CONFIGURATION]
        if found:
            return (own or found)[-1]
    return None


def _read_configuration(path: Path) -> dict[str, Any]:
    content = read_hocon(path)
    facts: dict[str, Any] = {}
    names = look_up(content, "dataset.train.sub_dir")
    if names is not None:
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise InvalidInput(f"{path}: dataset.train.sub_dir is {quoted(names)}, not names.")
        unknown = next((name for name in names if "${" in name), None)
        if unknown is not None:
            raise InvalidInput(
                f"{path}: dataset.train.sub_dir names {quoted(unknown)}, which stands for "
                "something else; write the names themselves, or give --meta."
            )
        facts["train_sub_dirs"] = names
    jaw = look_up(content, "dataset.canonical_pose")
    if jaw is not None:
        facts["canonical_jaw_pose"] = _number(path, "dataset.canonical_pose", jaw)
    mean = look_up(content, "dataset.use_mean_expression")
    if isinstance(mean, str):
        facts["use_mean_expression"] = mean.strip().lower() in ("true", "yes", "on")
    return facts


def _number(path: str | os.PathLike[str], key: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"{path}: {key} = {quoted(value)} is not a number.")
    return number
