"""Files that are videos by their names."""

from __future__ import annotations

from pathlib import Path

VIDEO_ENDINGS = (
    "mp4", "mov", "m4v", "mkv", "webm", "avi", "mpg", "mpeg", "mts", "m2ts", "wmv", "flv", "3gp",
    "ogv", "gif",
)  # fmt: skip


def is_video_name(path: Path) -> bool:
    """Whether it is called like a video."""
    return path.suffix.lower().removeprefix(".") in VIDEO_ENDINGS
