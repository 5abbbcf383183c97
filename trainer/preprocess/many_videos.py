"""Many videos, one after the other or side by side; one that fails does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import output_folder
from trainer.preprocess.side_by_side import Outcome, Piece, Report, StepReport, run_pieces
from trainer.preprocess.steps import Options
from trainer.preprocess.video import Summary, preprocess_video, subject_name


def preprocess_videos(
    videos: Sequence[Path], out: Path, options: Options, jobs: int, report: Report
) -> Iterator[Outcome[Summary]]:
    """Make a subject of each video, in the order in which they are finished.

    Args:
        videos: files or folders of pictures.
        out: the capture folder.
        options: the same for all.
        jobs: how many at a time, each in a process of its own.
        report: called with the video, its step, and the share of its work that is done.

    Raises:
        InvalidInput: two videos would have one folder, or ``out`` cannot be written.
    """
    check_names(videos)
    _make_folder(out)
    pieces = [
        Piece(video, partial(_preprocess, video, out, options), out, "use fewer --jobs or --limit")
        for video in videos
    ]
    yield from run_pieces(pieces, jobs, report)


def _preprocess(video: Path, out: Path, options: Options, report: StepReport) -> Summary:
    return preprocess_video(video, out, options, report)


def check_names(videos: Sequence[Path]) -> None:
    """Raises InvalidInput where two videos would have one folder."""
    seen: dict[str, Path] = {}
    for video in videos:
        # Some systems take capitals and small letters for the same.
        name = subject_name(video)
        other = seen.setdefault(name.casefold(), video)
        if other is not video:
            raise InvalidInput(f"{video} and {other}: both would be {name}; rename one of them.")


def _make_folder(out: Path) -> None:
    if not out.is_dir():
        output_folder(out, ())
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"{out}: cannot be made ({error.strerror}).") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise InvalidInput(f"{out}: cannot be written; choose another folder.")
