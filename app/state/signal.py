"""A signal without Qt, so that the document and the controllers run where there is no window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec

Arguments = ParamSpec("Arguments")


class Signal(Generic[Arguments]):
    """Something that happened; listeners are called in the order they were added."""

    def __init__(self) -> None:
        self._listeners: list[Callable[Arguments, object]] = []

    def connect(self, listener: Callable[Arguments, object]) -> None:
        """Call ``listener`` each time from now on."""
        self._listeners.append(listener)

    def disconnect(self, listener: Callable[Arguments, object]) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    def emit(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        """Tell every listener."""
        for listener in tuple(self._listeners):
            listener(*args, **kwargs)
