"""`evaluate`: what can be asked of a finished avatar."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from trainer.commands.arguments import folder, whole
from trainer.report.request import (
    DEFAULT_SIDE,
    MAX_FRAMES,
    MAX_SIDE,
    MIN_SIDE,
    SECTIONS,
    EvaluationRequest,
)


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "evaluate",
        help="compare an avatar with frames, and show what it can do, as one page",
        description="Compares an avatar with the frames of a capture and shows views, motion and "
        "codes for which there is no truth. Writes index.html, report.json, frames.csv and "
        "summary.csv. What is found is kept: the same command goes on where it was broken off.",
    )
    parser.add_argument(
        "--avatar", type=folder, required=True, metavar="A", help="an .avatar file, or demo"
    )
    parser.add_argument("--data", type=folder, required=True, metavar="FOLDER", help="a capture")
    parser.add_argument("--out", type=folder, required=True, metavar="REPORT")
    parser.add_argument(
        "--limit",
        type=partial(whole, 1, MAX_FRAMES),
        default=0,
        metavar="N",
        help="frames of each subject at most, evenly spread",
    )
    parser.add_argument(
        "--size",
        type=partial(whole, MIN_SIDE, MAX_SIDE),
        default=DEFAULT_SIDE,
        metavar="N",
        help=f"side of the pictures that are compared ({DEFAULT_SIDE})",
    )
    parser.add_argument(
        "--frames",
        choices=("held-out", "all"),
        default="held-out",
        help="those that the training left out (the usual ones), or all",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=tuple(SECTIONS),
        default=list(SECTIONS),
        metavar="SECTION",
        help=f"of {', '.join(SECTIONS)}",
    )
    parser.add_argument(
        "--reenact",
        type=Path,
        metavar="FILE",
        help="flame_params.json of somebody else, whose motion the avatar follows",
    )
    parser.add_argument("--head", type=Path, metavar="FILE", help="the avatar's FLAME head")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    parser.set_defaults(run=run_evaluate)


def run_evaluate(options: argparse.Namespace) -> int:
    """Evaluate an avatar and write the report."""
    from rich.console import Console

    from trainer.engine.distributed import init_process_group
    from trainer.preprocess.progress_lines import ProgressLines
    from trainer.report.evaluate import evaluate_avatar
    from trainer.report.said import describe

    request = EvaluationRequest(
        avatar=options.avatar,
        data=options.data,
        out=options.out,
        size=options.size,
        limit=options.limit,
        sections=tuple(name for name in SECTIONS if name in options.only),
        all_frames=options.frames == "all",
        reenact=options.reenact,
        head=options.head,
        device=options.device,
    )
    with (
        init_process_group(request.device) as group,
        ProgressLines(Console(stderr=True, quiet=not group.is_first)) as lines,
    ):
        report = evaluate_avatar(request, group, partial(lines.report, request.out))
        if report is not None:
            for line in describe(report, request.out):
                lines.say(line)
    return 0
