"""An LRU cache: what has been computed lately, bounded in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LRUCache(Generic[Value]):
    """Values of the latest keys, the least recently used dropped first.

    The newest value is always kept, however large it is.
    """

    def __init__(self, max_bytes: int, measure: Callable[[Value], int]) -> None:
        """
        Args:
            max_bytes: that all values together may hold.
            measure: bytes that a value holds.
        """
        self._max_bytes, self._measure = max_bytes, measure
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The kept value of this key, else a new one; what ``make`` raises is passed on."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = make()
        self._values[key] = value
        self._shrink()
        return value

    @property
    def num_bytes(self) -> int:
        """Held by all values together."""
        return sum(self._measure(value) for value in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def _shrink(self) -> None:
        while len(self._values) > 1 and self.num_bytes > self._max_bytes:
            self._values.popitem(last=False)
