"""`transfer`: attributes of an avatar put onto another person's."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "transfer",
        help="put attributes of an avatar onto another person's, without training",
        description="Writes the target's avatar with attributes of another one in its gallery. It "
        "takes seconds and trains nothing: what is worn is carried over, what it replaces is "
        "hidden, and what changes a face changes that face.",
    )
    parser.add_argument(
        "--avatar", required=True, metavar="A.avatar", help="that has the attributes, or demo"
    )
    parser.add_argument(
        "--target", required=True, metavar="T.avatar", help="of the person who gets them, or demo"
    )
    parser.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="CATEGORY_NAME",
        dest="attributes",
        help="which; may be repeated, once for each category",
    )
    parser.add_argument("--out", metavar="NEW.avatar", help="the file that is written")
    parser.add_argument("--name", help="of the new avatar, by default the target's")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="put them in the place of attributes of the same names, and of a file that is there",
    )
    parser.add_argument("--head", metavar="FILE", help="head of --avatar, where it is not found")
    parser.add_argument(
        "--target-head", metavar="FILE", help="head of --target, where it is not found"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing; print as JSON what speaks against it (problems), notes, the avatar's "
        "attributes, and about how many seconds it takes; exit code 0, problems or not",
    )
    parser.set_defaults(run=run_transfer)


def run_transfer(options: argparse.Namespace) -> int:
    """Write the target's avatar with the attributes, or say what that would do."""
    from dataclasses import asdict

    from trainer.transfer.request import Request, answer

    request = Request(
        options.avatar, options.target, tuple(dict.fromkeys(options.attributes)), options.out,
        options.replace, options.head, options.target_head,
    )  # fmt: skip
    if options.dry_run:
        json.dump(asdict(answer(request)), sys.stdout)
        return 0
    return _write(request, options.name)


def _write(request: Any, name: str | None) -> int:
    from dataclasses import replace

    from rich.console import Console

    from pegasus_runtime.errors import InvalidInput
    from pegasus_runtime.names import check_name
    from pegasus_runtime.progress import is_progress_wanted, progress_line
    from trainer.transfer.request import check, read_both
    from trainer.transfer.transfer import transfer

    if not request.attributes:
        raise InvalidInput("--attribute: name at least one; --dry-run lists those there are.")
    if request.out is None:
        raise InvalidInput("--out: name the file that is to be written.")
    if name is not None:
        check_name("avatar", name)
    personal, target = read_both(request)
    check(request, personal, target)
    console = Console(stderr=True)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    def tell(words: str, share: float) -> None:
        if is_progress_wanted():
            print(progress_line(words, share, None), file=sys.stderr, flush=True)

    with console.status("carrying over"):
        made = transfer(personal, target, request.attributes, say, tell)
    if name is not None:
        made = replace(made, name=name)
    made.save(request.out)
    say(f"avatar in {request.out}")
    return 0
