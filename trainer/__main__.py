"""``python -m trainer COMMAND``."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence
from pathlib import Path

from pegasus_runtime.errors import Refused

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LATER = ("preprocess", "synthesize", "transfer", "evaluate")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 on success, 2 on a user's mistake, 130 after Ctrl+C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    try:
        return _run(options, given)
    except (Refused, FileNotFoundError) as error:
        print(f"trainer: {error}", file=sys.stderr)
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
        raise Refused(f"{options.command} is not part of this version yet; see CHANGELOG.md.")
    if options.command == "capture":
        from trainer.commands import run_capture

        return run_capture(options)
    if options.slurm:
        from trainer.commands import run_on_slurm

        return run_on_slurm(options, given)
    from trainer.commands import run_train

    return run_train(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainer", description="Make captures and train avatars from them."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    capture = commands.add_parser("capture", help="draw a made-up person as training data")
    train = commands.add_parser("train", help="train an avatar from a capture")
    for command in (capture, train):
        command.add_argument("--config", type=Path, metavar="FILE.yaml")
        command.add_argument(
            "--set", action="append", default=[], metavar="KEY.SUB=VALUE", dest="settings"
        )
        command.add_argument("--out", type=_folder, required=True, metavar="FOLDER")
    train.add_argument("--resume", default="auto", metavar="auto|PATH|none")
    train.add_argument("--head", type=Path, help="FLAME head of the capture; default the free head")
    train.add_argument(
        "--dry-run", action="store_true", help="check configuration and data, do one step, stop"
    )
    train.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="hand it to SLURM with this option of submitit, e.g. partition=gpu; may be repeated",
    )
    for name in _LATER:
        commands.add_parser(name, help="not part of this version yet").add_argument(
            "rest", nargs=argparse.REMAINDER
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
