"""Many videos, one after the other or side by side; one that fails does not stop the others."""

from __future__ import annotations

import errno
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path

from pegasus_runtime.errors import InvalidInput, one_line
from pegasus_runtime.files import output_folder
from pegasus_runtime.memory import is_out_of_memory
from trainer.preprocess.steps import Options
from trainer.preprocess.video import Summary, preprocess_video, subject_name

Report = Callable[[Path, str, float], None]
_Message = tuple[Path, str, float]
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_AGAIN = "start the same command again: it goes on from there"
_messages: Queue[_Message | None] | None = None
"""of a process that works for another one"""


@dataclass(frozen=True)
class Outcome:
    """What became of one video: a summary, or why there is none."""

    video: Path
    summary: Summary | None = None
    failure: str = ""


def preprocess_videos(
    videos: Sequence[Path], out: Path, options: Options, jobs: int, report: Report
) -> Iterator[Outcome]:
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
    _check_names(videos)
    _make_folder(out)
    if jobs == 1 or len(videos) == 1:
        for video in videos:
            yield _try(video, out, options, partial(report, video))
        return
    yield from _side_by_side(videos, out, options, min(jobs, len(videos)), report)


def _check_names(videos: Sequence[Path]) -> None:
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


def _side_by_side(
    videos: Sequence[Path], out: Path, options: Options, jobs: int, report: Report
) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    messages: Queue[_Message | None] = context.Queue()
    listener = threading.Thread(target=_pass_on, args=(messages, report), daemon=True)
    listener.start()
    threads = max((os.cpu_count() or 1) // jobs, 1)
    pool = ProcessPoolExecutor(
        jobs, context, initializer=_start_worker, initargs=(messages, threads)
    )
    try:
        waiting = {pool.submit(_work, video, out, options): video for video in videos}
        for future in as_completed(waiting):
            try:
                yield future.result()
            except BrokenProcessPool:
                said = f"{waiting[future]}: its process was ended from outside; {_AGAIN}."
                yield Outcome(waiting[future], failure=said)
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        messages.put(None)
        listener.join()


def _pass_on(messages: Queue[_Message | None], report: Report) -> None:
    while (message := messages.get()) is not None:
        report(*message)


def _start_worker(messages: Queue[_Message | None], threads: int) -> None:
    import cv2
    import torch

    global _messages
    _messages = messages
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)


def _work(video: Path, out: Path, options: Options) -> Outcome:
    def report(step: str, share: float) -> None:
        if _messages:
            _messages.put((video, step, share))

    return _try(video, out, options, report)


def _try(video: Path, out: Path, options: Options, report: Callable[[str, float], None]) -> Outcome:
    try:
        return Outcome(video, preprocess_video(video, out, options, report))
    except (InvalidInput, FileNotFoundError) as error:
        return Outcome(video, failure=one_line(str(error), 2000))
    except OSError as error:
        where = out if error.errno in _NO_ROOM else error.filename or video
        return Outcome(
            video, failure=f"{where}: {error.strerror or error}; mend that and {_AGAIN}."
        )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        failure = f"{video}: the memory ran out; use fewer --jobs or --limit, and {_AGAIN}."
        return Outcome(video, failure=failure)
