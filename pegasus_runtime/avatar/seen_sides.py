"""From which sides the person of an avatar was filmed; what was not is filled in, not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEY = "seen"
"""of the provenance in an avatar's header"""
BACK_NOT_FILMED = "The back of the head was never filmed; it is filled in."
_BACK_DEG = 60.0
"""From straight behind, within which a view shows the back of a head: less says of heads that were
filmed from the sides that their back was, more that it was not."""


@dataclass(frozen=True)
class SeenSides:
    """What a training has seen of a head."""

    yaw_deg: tuple[float, float]
    """the outermost sides, from the first to the second; 0 is the front, positive the person's
    left; the second may be above 180"""
    unfaced_share: float
    """share of the person's surfels that no camera faced"""

    @classmethod
    def of(cls, provenance: Mapping[str, Any]) -> SeenSides | None:
        """What an avatar's header says, which may say anything; None where that is nothing."""
        found = provenance.get(KEY)
        try:
            low, high = (float(value) for value in found["yaw_deg"])  # type: ignore[index]
            share = float(found["unfaced_share"])  # type: ignore[index]
        except (TypeError, KeyError, ValueError, OverflowError):
            return None
        is_sound = all(map(math.isfinite, (low, high, share))) and -360 <= low <= high <= 720
        return cls((low, high), share) if is_sound and 0 <= share <= 1 else None

    @property
    def has_back(self) -> bool:
        """Whether a camera stood about behind the head."""
        low, high = self.yaw_deg
        behind = ((turn + 180 - _BACK_DEG, turn + 180 + _BACK_DEG) for turn in (-360, 0, 360))
        return any(low <= end and start <= high for start, end in behind)

    @property
    def note(self) -> str:
        """One line for people, empty where there is nothing to say."""
        return "" if self.has_back else BACK_NOT_FILMED

    @property
    def facts(self) -> str:
        """The numbers in words."""
        low, high = self.yaw_deg
        return (
            f"from {low:.0f}° to {high:.0f}°, {self.unfaced_share:.0%} of the surfels by no camera"
        )

    def as_header(self) -> dict[str, Any]:
        """As it stands in a header."""
        yaw_deg = [round(value, 1) for value in self.yaw_deg]
        return {"yaw_deg": yaw_deg, "unfaced_share": round(self.unfaced_share, 3)}
