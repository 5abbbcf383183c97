"""Videos to choose from, and whom they show."""

from __future__ import annotations

from pathlib import Path

from pegasus_runtime.files import suggested_name
from pegasus_runtime.video_names import VIDEO_ENDINGS

VIDEO_FILTER = f"Videos ({' '.join(f'*.{ending}' for ending in VIDEO_ENDINGS)});;All files (*)"


def person_name(text: str) -> str:
    """What the avatar of a video is called unless the user says so."""
    return suggested_name(Path(text).stem) if Path(text).stem else "person"
