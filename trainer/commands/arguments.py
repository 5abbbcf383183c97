"""Arguments that several commands take."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pegasus_runtime.errors import one_line


def folder(text: str) -> Path:
    """An argument that names a file or a folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; name a folder")
    return Path(text)


def whole(low: int, high: int, text: str) -> int:
    """An argument that is a whole number within limits."""
    if not text.isascii() or not text.isdigit() or not low <= int(text[:20]) <= high:
        raise argparse.ArgumentTypeError(
            f"{one_line(repr(text), 40)}: use a whole number from {low} to {high}"
        )
    return int(text)


def add_settings(command: argparse.ArgumentParser) -> None:
    """Where settings come from, and the folder that is written."""
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE.yaml",
        help="settings; without it those of the run in the folder, or the usual ones",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY.SUB=VALUE",
        dest="settings",
        help="one setting, over the file's; may be repeated",
    )
    command.add_argument("--out", type=folder, required=True, metavar="FOLDER")


def add_resume(command: argparse.ArgumentParser) -> None:
    """From what an earlier training has left."""
    command.add_argument("--resume", default="auto", metavar="auto|PATH|none")


def add_head(command: argparse.ArgumentParser) -> None:
    """The head of a training."""
    command.add_argument(
        "--head",
        metavar="FILE",
        help="sets head: the FLAME head of the capture, '' for the free one",
    )


def add_slurm(command: argparse.ArgumentParser) -> None:
    """Options of submitit."""
    command.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="hand it to SLURM with this option of submitit, e.g. partition=gpu; may be repeated",
    )


def without_slurm(given: Sequence[str]) -> list[str]:
    """A command line as a job of SLURM gets it."""
    kept, words = [], iter(given)
    for word in words:
        if word == "--slurm":
            next(words, None)
        elif not word.startswith("--slurm="):
            kept.append(word)
    return kept
