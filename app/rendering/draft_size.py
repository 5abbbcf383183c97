"""How many points a draft is drawn with: as many as the time allows that a drag leaves."""

from __future__ import annotations

from collections.abc import Mapping

from pegasus_runtime.parameters import AttributeBlend

BUDGET_S = 0.08
"""For a picture while something is dragged: more shows more points, and the drag stutters."""
_FIRST_POINTS = 12_000
"""Before anything was timed: more makes the first drag of a slow machine stutter."""
_STEP = 2
"""Counts are the least one times powers of this, so that what is kept for one count, the evaluated
latent code above all, is found again."""
_ROOM = 0.8
"""Of the budget that a doubled draft may take: nearer to 1 it grows sooner and shrinks again more
often."""
_FAST_IN_A_ROW = 3
"""Pictures before a draft grows: fewer make its size flicker."""
_Worn = Mapping[str, AttributeBlend]


class DraftSize:
    """Fewer points after a draft that took too long, more after some that were fast.

    Drafts that need another latent code evaluated take longer than those that do not, and have a
    count of their own.
    """

    def __init__(self, num_points: int, legible_points: int) -> None:
        """
        Args:
            num_points: of the avatar.
            legible_points: with fewer a draft shows no face.
        """
        self._least, self._most = legible_points, num_points
        first = max(min(_FIRST_POINTS, num_points), legible_points)
        self._counts = {True: first, False: first}
        self._num_fast = {True: 0, False: 0}
        self._last: tuple[_Worn, int] | None = None

    def count(self, worn: _Worn) -> int:
        """Points of the next draft, which shows these attributes."""
        return self._counts[self._is_new(worn)]

    def learn(self, worn: _Worn, seconds: float) -> None:
        """A draft of these attributes, drawn with `count` points, took so long."""
        is_new, count, last = self._is_new(worn), self.count(worn), self._last
        self._last = worn, count
        if last is None or (not is_new and last[1] != count):
            # The first one of all loads and compiles; the first one with another count evaluates.
            return
        if seconds > BUDGET_S:
            self._shrink(is_new, seconds)
        elif _STEP * seconds < _ROOM * BUDGET_S:
            self._grow(is_new)
        else:
            self._num_fast[is_new] = 0

    def _is_new(self, worn: _Worn) -> bool:
        return self._last is None or self._last[0] != worn

    def _shrink(self, is_new: bool, seconds: float) -> None:
        self._num_fast[is_new] = 0
        steps = 1 if seconds < _STEP * BUDGET_S else 2
        self._counts[is_new] = max(self._counts[is_new] // _STEP**steps, self._least)

    def _grow(self, is_new: bool) -> None:
        self._num_fast[is_new] += 1
        if self._num_fast[is_new] >= _FAST_IN_A_ROW:
            self._num_fast[is_new] = 0
            self._counts[is_new] = min(self._counts[is_new] * _STEP, self._most)
