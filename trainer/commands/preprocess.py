"""`preprocess`: training data of videos."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from pegasus_runtime.errors import one_line
from trainer.commands.arguments import add_slurm, folder, whole, without_slurm


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "preprocess",
        help="make training data of videos of a person",
        description="Finds the face in each video, fits the head to it, cuts it out, and "
        "writes a capture with a folder for each video. What is done already is kept: the same "
        "command goes on where it was broken off.",
    )
    parser.add_argument(
        "videos",
        type=folder,
        nargs="+",
        metavar="VIDEO",
        help="a video, or a folder of PNG or JPEG pictures",
    )
    parser.add_argument("--out", type=folder, required=True, metavar="CAPTURE")
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
        parser.add_argument(
            f"--{name}", type=partial(whole, low, high), default=usual, metavar="N", help=text
        )
    parser.add_argument(
        "--focal",
        type=_focal,
        default=1.5,
        metavar="F",
        help="focal length over the longer side of the frame (1.5; a phone's usual camera has 0.7)",
    )
    add_slurm(parser)
    parser.set_defaults(run=run_preprocess)


def _focal(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.3 <= number <= 20:
        raise argparse.ArgumentTypeError(f"{one_line(repr(text), 40)}: use a number from 0.3 to 20")
    return number


def run_preprocess(options: argparse.Namespace) -> int:
    """Make a capture of videos."""
    if options.slurm:
        return _run_on_slurm(options)
    from rich.console import Console

    from trainer.preprocess.many_videos import preprocess_videos
    from trainer.preprocess.progress_lines import ProgressLines
    from trainer.preprocess.steps import Options

    names = ("every", "limit", "take", "face", "size", "focal")
    chosen = Options(**{name: getattr(options, name) for name in names})
    videos, failed = list(dict.fromkeys(options.videos)), 0
    with ProgressLines(Console(stderr=True)) as lines:
        for outcome in preprocess_videos(videos, options.out, chosen, options.jobs, lines.report):
            if outcome.summary is None:
                failed += 1
                lines.say(f"trainer: {outcome.failure}")
                continue
            summary = outcome.summary
            for note in summary.notes:
                lines.say(note)
            used = summary.num_frames - summary.num_left_out
            lines.say(f"{outcome.place.name}: {used} frames in {summary.folder}")
        if failed and len(videos) > 1:
            lines.say(f"{failed} of {len(videos)} videos could not be used.")
    return 2 if failed else 0


def _run_on_slurm(options: argparse.Namespace) -> int:
    """Let SLURM do each video, as an array of jobs."""
    from rich.console import Console

    from trainer.preprocess.frames import open_source
    from trainer.preprocess.many_videos import check_names
    from trainer.slurm import submit_array

    # Nobody wants to wait in a queue to hear that.
    check_names(list(dict.fromkeys(options.videos)))
    for video in options.videos:
        open_source(video)
    kept = without_slurm(options.given)
    written = list(dict.fromkeys(str(video) for video in options.videos))
    rest = [word for word in kept[1:] if word not in (*written, "--")]
    calls = [["preprocess", *rest, "--", video] for video in written]
    numbers = submit_array(options.main, calls, options.out.absolute(), options.slurm)
    said = f"jobs {', '.join(numbers)}; their logs are in {options.out / 'slurm'}"
    Console(stderr=True).print(said, markup=False, soft_wrap=True)
    return 0
