"""`synthesize`: the database of a person, of other people's attributes."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import Any

from pegasus_runtime.errors import EXIT_INTERRUPTED
from trainer.commands.arguments import add_slurm, folder, whole, without_slurm


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "synthesize",
        help="put other people's hair, hats, noses … onto a person: training data",
        description="Trains a small avatar of each person of the database, puts their attributes "
        "onto the source person's frames, and writes a database that train takes. What is done "
        "already is kept: the same command goes on where it was broken off.",
    )
    parser.add_argument(
        "--source", type=folder, required=True, metavar="S", help="the source person's capture"
    )
    parser.add_argument(
        "--database",
        type=folder,
        required=True,
        metavar="D",
        help="a folder with a capture of each person who lends something",
    )
    parser.add_argument("--out", type=folder, required=True, metavar="DATABASE")
    parser.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="CATEGORY",
        help="hair, hat, eyebrows, eyes, nose, mouth, ears or eyeglasses; may be repeated; without "
        "it all that are seen",
    )
    parser.add_argument(
        "--person", action="append", default=[], metavar="NAME", help="only of them; repeatable"
    )
    numbers = (
        ("frames", 0, 1_000_000, 0, "of the source person for each attribute; 0 for all"),
        ("size", 32, 2048, 256, "side of the pictures, and of those that avatars are trained with"),
        ("steps", 1, 1_000_000, 700, "of the training of each person's avatar"),
        ("jobs", 1, 256, 1, "so many people or attributes at a time"),
    )
    for name, low, high, usual, text in numbers:
        parser.add_argument(
            f"--{name}", type=partial(whole, low, high), default=usual, metavar="N", help=text
        )
    parser.add_argument("--head", default="", metavar="FILE", help="the FLAME head of all captures")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing; print as JSON who lends what, and the seconds and bytes it takes",
    )
    parser.add_argument(
        "--truth",
        type=folder,
        metavar="FOLDER",
        help="of made-up people: draw the person wearing all of it into FOLDER, and print a table "
        "of how far the composites are from that",
    )
    add_slurm(parser)
    parser.set_defaults(run=run_synthesize)


def run_synthesize(options: argparse.Namespace) -> int:
    """Make a database of attributes."""
    from trainer.database.plan import SynthesisSettings, plan_synthesis

    settings = SynthesisSettings(
        categories=tuple(dict.fromkeys(options.attribute)),
        people=tuple(dict.fromkeys(options.person)),
        frames=options.frames,
        size=options.size,
        steps=options.steps,
        head=options.head,
    )
    plan = plan_synthesis(
        options.source, options.database, options.out, settings, strict=not options.dry_run
    )
    if options.dry_run:
        json.dump(plan.as_json(), sys.stdout)
        return 0
    from trainer.database.synthesis import claim_database, run_plan

    if options.slurm:
        claim_database(plan, options.out)
        return _run_on_slurm(options, [person.name for person in plan.people])
    from rich.console import Console

    from trainer.engine.stop_requests import Interrupted
    from trainer.preprocess.progress_lines import ProgressLines

    failed = 0
    with ProgressLines(Console(stderr=True)) as lines:
        for problem in plan.problems:
            lines.say(problem)
        try:
            for outcome in run_plan(plan, options.out, options.jobs, lines.report):
                if outcome.summary is None:
                    failed += 1
                    lines.say(f"trainer: {outcome.failure}")
                for note in outcome.summary or ():
                    lines.say(note)
        except Interrupted as stopped:
            lines.say(str(stopped))
            return EXIT_INTERRUPTED
        if failed:
            lines.say(f"{failed} could not be made; the same command goes on in {options.out}")
    if options.truth:
        from trainer.database.truth import compare_with_truth, table

        print(table(compare_with_truth(plan, options.out, options.truth)))
    return 2 if failed else 0


def _run_on_slurm(options: argparse.Namespace, people: list[str]) -> int:
    """Let SLURM do each person, as an array of jobs; all wait for the source person's avatar."""
    from rich.console import Console

    from trainer.slurm import submit_array

    kept, words = [], iter(without_slurm(options.given))
    for word in words:
        if word == "--person":
            next(words, None)
        elif not word.startswith("--person="):
            kept.append(word)
    calls = [[*kept, "--person", person] for person in people]
    numbers = submit_array(options.main, calls, options.out.absolute(), options.slurm)
    said = f"jobs {', '.join(numbers)}; their logs are in {options.out / 'slurm'}"
    Console(stderr=True).print(said, markup=False, soft_wrap=True)
    return 0
