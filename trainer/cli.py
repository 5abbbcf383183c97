"""The command line of the trainer, ``python -m trainer COMMAND``."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from pegasus_runtime.errors import EXIT_INTERRUPTED, InvalidInput, is_disk_full, one_line
from trainer.commands import (
    capture,
    describe,
    evaluate,
    export_checkpoint,
    preflight,
    preprocess,
    synthesize,
    train,
    transfer,
)


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
    options = _parser().parse_args(given, argparse.Namespace(given=given, main=main))
    try:
        with _threads_told_once():
            return int(options.run(options))
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
        return EXIT_INTERRUPTED


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
        if is_disk_full(error):
            where, advice = f"{out}: ", "free some space"
        return (
            f"{where}{error.strerror or error}; {advice} and start the same command again: it goes "
            "on from the last checkpoint."
        )
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m trainer",
        description="Make captures and train avatars from them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (
        capture, preprocess, synthesize, train, transfer, evaluate, describe, preflight,
        export_checkpoint,
    ):  # fmt: skip
        command.add_parser(commands)
    return parser
