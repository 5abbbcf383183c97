"""What a turntable film shall be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExportSettings:
    """One film."""

    out: Path
    """ends in .mp4, .webm, .mov or .gif; without a suffix a folder of PNG files"""
    image_size: tuple[int, int] = (512, 512)
    """(height, width) in pixels"""
    num_frames: int = 120
    fps: float = 30.0
    background: tuple[float, float, float] | None = (1.0, 1.0, 1.0)
    """None keeps it transparent"""

    @property
    def seconds(self) -> float:
        """How long the film plays."""
        return self.num_frames / self.fps
