"""`turntable`: a film of a full circle around the head."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

from app.commands.picture_options import (
    add_picture_options,
    read_picture_options,
    read_shown,
    read_size,
)
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.export.limits import MAX_FRAMES, MIN_FPS


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "turntable",
        help="film a circle around the head",
        description="Film a full, even circle around the head.",
    )
    add_picture_options(parser)
    parser.add_argument(
        "--out", required=True, metavar="OUT", help="a film, as NAME.mp4, or a folder for PNGs"
    )
    parser.add_argument("--frames", default="120", metavar="N", help="of the circle (120)")
    parser.add_argument("--fps", default="30", metavar="N", help="frames a second (30)")
    parser.set_defaults(run=turntable)


def turntable(options: argparse.Namespace) -> int:
    """Film what the options describe."""
    from rich.console import Console
    from rich.progress import Progress

    from pegasus_runtime.export.film import check_film, film_format

    num_frames, fps = _read_frames(options.frames), _read_fps(options.fps, options.out)
    size = read_size(options.size)
    shown = read_shown(options, can_be_transparent=film_format(options.out).carries_alpha)
    check_film(options.out, (size, size), num_frames, fps, with_alpha=shown.backdrop is None)
    request = read_picture_options(options, shown)
    from pegasus_runtime.export.turntable import export_turntable

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"{options.out}", total=num_frames)

        def report(done: int, _total: int, _picture: object) -> bool:
            progress.update(task, completed=done)
            return True

        export_turntable(
            request.session,
            request.params,
            request.camera,
            options.out,
            num_frames=num_frames,
            fps=fps,
            backdrop=request.backdrop,
            on_progress=report,
            image_pass=request.image_pass,
        )
    print(f"wrote {options.out}")
    return 0


def _read_frames(text: str) -> int:
    # int() of thousands of digits is refused by Python itself.
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_FRAMES:
        raise InvalidInput(f"--frames {text}: give a whole number from 1 to {MAX_FRAMES}.")
    return int(text)


def _read_fps(text: str, out: str) -> float:
    from app.commands.face_options import read_number
    from pegasus_runtime.export.film import film_format

    fps, fastest = read_number("--fps", text, text), film_format(out).max_fps
    if not MIN_FPS <= fps <= fastest:
        raise InvalidInput(
            f"--fps {text}: give a number from {MIN_FPS} to {fastest}, which {out} can have."
        )
    return fps
