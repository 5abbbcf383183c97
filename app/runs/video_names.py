"""Files that are videos by their names, and whom they show."""

from __future__ import annotations

from pathlib import Path

from pegasus_runtime.files import suggested_name

_ENDINGS = (
    "mp4", "mov", "m4v", "mkv", "webm", "avi", "mpg", "mpeg", "mts", "m2ts", "wmv", "flv", "3gp",
    "ogv", "gif",
)  # fmt: skip
VIDEO_FILTER = f"Videos ({' '.join(f'*.{ending}' for ending in _ENDINGS)});;All files (*)"


def is_video_name(path: Path) -> bool:
    """Whether it is called like a video."""
    return path.suffix.lower().removeprefix(".") in _ENDINGS


def person_name(text: str) -> str:
    """What the avatar of a video is called unless the user says so."""
    return suggested_name(Path(text).stem) if Path(text).stem else "person"
