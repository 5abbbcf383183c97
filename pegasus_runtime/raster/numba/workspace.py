"""What points are binned in, kept from frame to frame."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

Entries = tuple[NDArray[np.int32], NDArray[np.uint32], NDArray[np.uint64]]


class Workspace:
    """Arrays that are taken again as long as they fit; who asks holds ``lock``."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._spans = np.empty((0, 4), np.int16)
        self._entries = self._for_entries(0)

    def spans(self, num_points: int) -> NDArray[np.int16]:
        """(N, 4), tiles of each point."""
        if len(self._spans) != num_points:
            self._spans = np.empty((num_points, 4), np.int16)
        return self._spans

    def entries(self, count: int) -> Entries:
        """Rows, keys and pairs of at least so many entries, and of no more than four times that."""
        if not count <= len(self._entries[0]) <= 4 * count:
            # With a margin, since the next frame of a drag has a few more.
            self._entries = self._for_entries(count + count // 4)
        return self._entries

    @staticmethod
    def _for_entries(count: int) -> Entries:
        return np.empty(count, np.int32), np.empty(count, np.uint32), np.empty(count, np.uint64)


workspace = Workspace()
