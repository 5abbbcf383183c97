"""The command line of the trainer, ``python -m trainer COMMAND``."""

from __future__ import annotations

import argparse
import errno
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pegasus_runtime.errors import InvalidInput, one_line

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LATER = ("synthesize", "transfer", "evaluate")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is what --help is for."""

    def __init__(self, **options: Any) -> None:
        # A shortened option would be passed on to SLURM unseen.
        super().__init__(**{**options, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"trainer: {one_line(message)}; see {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 on success, 2 on a user's mistake, 130 after Ctrl+C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    try:
        with _threads_told_once():
            return _run(options, given)
    except (InvalidInput, FileNotFoundError) as error:
        print(f"trainer: {one_line(str(error), 2000)}", file=sys.stderr)
        return 2
    except Exception as error:
        said = _explain(error, getattr(options, "out", ""))
        if not said:
            raise
        print(f"trainer: {said}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("trainer: interrupted", file=sys.stderr)
        return 130


@contextmanager
def _threads_told_once() -> Iterator[None]:
    """A disk that fails a thread is told where the thread is asked for its work, and only there.

    TensorBoard writes on one of its own, and raises again at the next event.
    """
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, OSError):
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def _explain(error: Exception, out: object) -> str:
    """What a fault of the machine's means and what to do; empty for a fault of ours."""
    from pegasus_runtime.memory import is_out_of_memory

    if is_out_of_memory(error):
        return (
            f"{out}: the memory ran out; lower points.maximum, data.image_size, batch_size or "
            "model.geometry_width. What was saved is kept, and the same command goes on from there."
        )
    if isinstance(error, OSError):
        where = f"{out}: " if error.filename is None else f"{error.filename}: "
        advice = "correct that"
        if error.errno in _NO_ROOM:
            where, advice = f"{out}: ", "free some space"
        return (
            f"{where}{error.strerror or error}; {advice} and start the same command again: it goes "
            "on from the last checkpoint."
        )
    return ""


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; name a folder")
    return Path(text)


def _run(options: argparse.Namespace, given: Sequence[str]) -> int:
    if options.command in _LATER:
        raise InvalidInput(f"{options.command} is not part of this version yet; see CHANGELOG.md.")
    if options.command == "describe":
        # Without torch, so that a form is there at once.
        from trainer.config.presets import describe_training

        json.dump(describe_training(), sys.stdout)
        return 0
    from trainer import commands

    if options.command == "train" and options.slurm:
        return commands.run_on_slurm(options, given, main)
    if options.command == "preprocess" and options.slurm:
        return commands.run_preprocess_on_slurm(options, given, main)
    run = {
        "preprocess": commands.run_preprocess,
        "capture": commands.run_capture,
        "train": commands.run_train,
        "preflight": commands.run_preflight,
        "export-checkpoint": commands.run_export_checkpoint,
    }
    return run[options.command](options)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m trainer",
        description="Make captures and train avatars from them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    capture = commands.add_parser("capture", help="draw a made-up person as training data")
    _add_preprocess(
        commands.add_parser(
            "preprocess",
            help="make training data of videos of a person",
            description="Finds the face in each video, fits the head to it, cuts it out, and "
            "writes a capture with a folder for each video. What is done already is kept: the same "
            "command goes on where it was broken off.",
        )
    )
    train = commands.add_parser("train", help="train an avatar from a capture")
    commands.add_parser(
        "describe",
        help="print all settings and presets of a training as JSON",
        description="Prints the settings (type, limits, unit, help) and presets as JSON, of which "
        "forms are made.",
    )
    preflight = commands.add_parser(
        "preflight",
        help="look whether a training would run, print it as JSON",
        description="Looks at settings, data, head, device, memory and disk without training. "
        "Prints JSON: problems, notes, facts, bad frames, subjects. Exit code 0, problems or not.",
    )
    export = commands.add_parser(
        "export-checkpoint",
        help="write an avatar of a run's newest checkpoint",
        description="Writes an avatar of a run's newest checkpoint, also while it is training, and "
        "prints its step as JSON.",
    )
    for command in (capture, train, preflight):
        _add_settings(command)
    for command in (train, preflight):
        command.add_argument("--resume", default="auto", metavar="auto|PATH|none")
    _add_train_options(train)
    export.add_argument("run", type=Path, metavar="RUN", help="the folder of the run")
    export.add_argument("--out", type=Path, required=True, metavar="OUT.avatar")
    for command in (train, preflight, export):
        command.add_argument(
            "--head",
            metavar="FILE",
            help="sets head: the FLAME head of the capture, '' for the free one",
        )
    for name in _LATER:
        commands.add_parser(name, help="not part of this version yet").add_argument(
            "rest", nargs=argparse.REMAINDER
        )
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
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
    command.add_argument("--out", type=_folder, required=True, metavar="FOLDER")


def _add_train_options(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "--dry-run", action="store_true", help="check configuration and data, do one step, stop"
    )
    _add_slurm(train)


def _add_slurm(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="hand it to SLURM with this option of submitit, e.g. partition=gpu; may be repeated",
    )


def _add_preprocess(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "videos",
        type=_folder,
        nargs="+",
        metavar="VIDEO",
        help="a video, or a folder of PNG or JPEG pictures",
    )
    command.add_argument("--out", type=_folder, required=True, metavar="CAPTURE")
    numbers = (
        ("limit", 1, 1_000_000, 0, "look at so many frames of each video at most"),
        ("every", 1, 1_000, 1, "use one frame in so many"),
        ("jobs", 1, 256, 1, "so many videos at a time"),
        (
            "take",
            1,
            10_000,
            0,
            "which take, from 1; the usual one shows a face longest and largest",
        ),
        ("face", 1, 100, 0, "whose face, from 1 at the left; the usual one is the largest"),
        ("size", 128, 2048, 512, "side of the pictures that are made"),
    )
    for name, low, high, usual, text in numbers:
        command.add_argument(
            f"--{name}", type=partial(_whole, low, high), default=usual, metavar="N", help=text
        )
    command.add_argument(
        "--focal",
        type=_focal,
        default=1.5,
        metavar="F",
        help="focal length over the longer side of the frame (1.5; a phone's usual camera has 0.7)",
    )
    _add_slurm(command)


def _whole(low: int, high: int, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text[:20]) <= high:
        raise argparse.ArgumentTypeError(
            f"{one_line(repr(text), 40)}: use a whole number from {low} to {high}"
        )
    return int(text)


def _focal(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.3 <= number <= 20:
        raise argparse.ArgumentTypeError(f"{one_line(repr(text), 40)}: use a number from 0.3 to 20")
    return number
