"""Many pieces of work, one after the other or side by side; one that fails does not stop others."""

from __future__ import annotations

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
from typing import Generic, TypeVar

from pegasus_runtime.errors import InvalidInput, is_disk_full, one_line
from pegasus_runtime.memory import is_out_of_memory

Result = TypeVar("Result")
StepReport = Callable[[str, float], None]
"""called with the name of a step and the share of the piece's work that is done"""
Report = Callable[[Path, str, float], None]
_Message = tuple[Path, str, float]
AGAIN = "start the same command again: it goes on from there"
_messages: Queue[_Message | None] | None = None
"""of a process that works for another one"""


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of one piece of work: a summary, or why there is none."""

    place: Path
    summary: Result | None = None
    failure: str = ""


@dataclass(frozen=True)
class Piece(Generic[Result]):
    """One piece of work."""

    place: Path
    """a file or folder that it is known by, in messages too"""
    work: Callable[[StepReport], Result]
    """does it; side by side it is sent to another process"""
    out: Path
    """what is written, for messages of a full disk"""
    advice: str = "use fewer --jobs"
    """where the memory runs out"""


def run_pieces(
    pieces: Sequence[Piece[Result]], jobs: int, report: Report
) -> Iterator[Outcome[Result]]:
    """Do all, in the order in which they are finished.

    Args:
        pieces: what is to be done.
        jobs: how many at a time, each in a process of its own; one alone is done here.
        report: called with a piece's place, its step, and the share of its work that is done.
    """
    if jobs == 1 or len(pieces) <= 1:
        for piece in pieces:
            yield _try(piece, partial(report, piece.place))
        return
    yield from _side_by_side(pieces, min(jobs, len(pieces)), report)


def _side_by_side(
    pieces: Sequence[Piece[Result]], jobs: int, report: Report
) -> Iterator[Outcome[Result]]:
    context = multiprocessing.get_context("spawn")
    messages: Queue[_Message | None] = context.Queue()
    listener = threading.Thread(target=_pass_on, args=(messages, report), daemon=True)
    listener.start()
    threads = max((os.cpu_count() or 1) // jobs, 1)
    pool = ProcessPoolExecutor(
        jobs, context, initializer=_start_worker, initargs=(messages, threads)
    )
    try:
        waiting = {pool.submit(_work, piece): piece for piece in pieces}
        for future in as_completed(waiting):
            try:
                yield future.result()
            except BrokenProcessPool:
                place = waiting[future].place
                said = f"{place}: its process was ended from outside; {AGAIN}."
                yield Outcome(place, failure=said)
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
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """A pool's queues stay open in its other workers: these would wait for a killed parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(piece: Piece[Result]) -> Outcome[Result]:
    def report(step: str, share: float) -> None:
        if _messages:
            _messages.put((piece.place, step, share))

    return _try(piece, report)


def _try(piece: Piece[Result], report: StepReport) -> Outcome[Result]:
    place = piece.place
    try:
        return Outcome(place, piece.work(report))
    except (InvalidInput, FileNotFoundError) as error:
        return Outcome(place, failure=one_line(str(error), 2000))
    except OSError as error:
        where = piece.out if is_disk_full(error) else error.filename or place
        return Outcome(place, failure=f"{where}: {error.strerror or error}; mend that and {AGAIN}.")
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return Outcome(place, failure=f"{place}: the memory ran out; {piece.advice}, and {AGAIN}.")
