"""Pieces of work side by side on a CPU, each on one core.

Small tensor operations that all cores share spend much of their time waiting: for the slowest
core at the end of each, and for the threads of another library that still spin on a core. Pieces
that need nothing of each other and run on one core each wait for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

from pegasus_runtime.errors import Interrupted

Item = TypeVar("Item")


def work_through(
    items: list[Item], work: Callable[[Item], None], interrupted: Callable[[], bool] | None = None
) -> None:
    """Do the work of all items, from the last to the first, without gradients.

    Args:
        items: emptied; what could not be done is left or put back.
        work: of one item; on several threads at once, with torch's operations on one core each.
        interrupted: asked before each item; True stops.

    Raises:
        Interrupted: ``interrupted`` said so; call again to go on.
    """
    pool, num_workers = _workers()
    running: dict[Future[None], Item] = {}
    try:
        while items:
            if interrupted is not None and interrupted():
                raise Interrupted
            if len(running) == num_workers:
                _collect(running, items, FIRST_COMPLETED)
                continue
            item = items.pop()
            running[pool.submit(_without_gradients, work, item)] = item
    finally:
        _collect(running, items, "ALL_COMPLETED")


def num_workers() -> int:
    """How many pieces are worked on at once."""
    return _workers()[1]


def _collect(running: dict[Future[None], Item], items: list[Item], until: str) -> None:
    """Take finished work off the list; a piece that failed goes back to those that wait."""
    done, _ = wait(running, return_when=until)
    failures = []
    for future in done:
        item = running.pop(future)
        if (failure := future.exception()) is not None:
            items.append(item)
            failures.append(failure)
    if failures:
        raise failures[0]


def _without_gradients(work: Callable[[Item], None], item: Item) -> None:
    with torch.no_grad():
        work(item)


@cache
def _workers() -> tuple[ThreadPoolExecutor, int]:
    """As many threads as torch uses, each of which gives torch one core."""
    count = torch.get_num_threads()
    started = Barrier(count)

    def settle() -> None:
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="slices")
    for future in [pool.submit(settle) for _ in range(count)]:
        future.result()
    # The number is a thread's own, but it is also what threads begun later start with.
    torch.set_num_threads(count)
    return pool, count
