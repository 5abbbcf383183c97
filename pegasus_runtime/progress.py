"""How far a command is, told to the program that started it: lines of JSON on standard error.

They are as those in a run's events: ``{"preparing": "Finding the hair", "share": 0.4,
"seconds_left": 12}``, the share of all that is done, and null while nobody knows how long.
"""

from __future__ import annotations

import json
import os

WANTS_PROGRESS = "PEGASUS_PROGRESS"
"""the variable that asks for such lines instead of those for people"""


def is_progress_wanted() -> bool:
    """Whether whoever started this command reads them."""
    return WANTS_PROGRESS in os.environ


def progress_line(words: str, share: float, seconds_left: float | None) -> str:
    """One line, without its end.

    Args:
        words: what is being done.
        share: of all work, 0..1.
        seconds_left: None while nobody knows.
    """
    return json.dumps({"preparing": words, "share": round(share, 4), "seconds_left": seconds_left})
