"""What an evaluation is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SECTIONS: dict[str, str] = {
    "rendering": "Default rendering",
    "masks": "Regions of attributes",
    "pairs": "Two attributes at once, against truth",
    "views": "Novel views",
    "reenactment": "Re-enactment",
    "interpolation": "Interpolation between attributes",
    "compositions": "Compositions",
    "samples": "Random samples",
}
"""What is looked at, and how the page calls it, in its order."""
MIN_SIDE, DEFAULT_SIDE, MAX_SIDE = 32, 512, 4096
"""Smaller pictures are blind to detail, and their measures higher; larger ones take the square of
it in time."""
MAX_FRAMES = 1_000_000
"""Only keeps typing errors out."""


@dataclass(frozen=True)
class EvaluationRequest:
    """One evaluation."""

    avatar: Path
    data: Path
    out: Path
    size: int = DEFAULT_SIDE
    """side to which pictures are resized, and in which the avatar is drawn"""
    limit: int = 0
    """most frames of each subject, evenly spread; 0 for all"""
    sections: tuple[str, ...] = tuple(SECTIONS)
    all_frames: bool = False
    """also those that the avatar was trained on, where it can be told"""
    reenact: Path | None = None
    """flame_params.json of somebody else"""
    head: Path | None = None
    device: str = "auto"
