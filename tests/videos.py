"""Small videos for tests, made by ffmpeg of drawn pictures."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np

RATE = 10


def write_video(
    path: Path, pictures: Sequence[np.ndarray], *options: str, rate: int = RATE
) -> Path:
    """Encode (H, W, 3) RGB bytes; options go before the output's name."""
    height, width = pictures[0].shape[:2]
    source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {rate} -i pipe:0".split()
    chosen = options or ("-c:v", "ffv1")
    run_ffmpeg(*source, *chosen, f"file:{path}", given=b"".join(p.tobytes() for p in pictures))
    return path


def run_ffmpeg(*arguments: str, given: bytes = b"") -> None:
    """Run the program, which has to succeed."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-hide_banner", "-loglevel", "error", "-y", *arguments]
    subprocess.run(command, input=given, check=True, timeout=60)


def grey_levels(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Pictures that tell their own number: picture k is grey of 10 k, with a red corner."""
    pictures = [np.full((height, width, 3), 10 * k, np.uint8) for k in range(count)]
    for picture in pictures:
        picture[: height // 4, : width // 4] = (250, 0, 0)
    return pictures
