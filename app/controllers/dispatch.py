"""How work that ends on another thread comes back to the one that owns the document."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
Dispatch = Callable[[Callable[[], None]], None]
"""Runs a function on the thread that owns the document; may be called from any thread."""


def run_in_background(
    name: str,
    work: Callable[[], Value],
    on_done: Callable[[Value], None],
    on_failed: Callable[[BaseException], None],
    dispatch: Dispatch,
) -> threading.Thread:
    """Do something on a thread of its own and come back with its result or its error."""

    def run() -> None:
        try:
            value = work()
        except BaseException as error:
            failure = error
            dispatch(lambda: on_failed(failure))
        else:
            dispatch(lambda: on_done(value))

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
