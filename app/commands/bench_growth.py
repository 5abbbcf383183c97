"""How cost grows with points and pixels, and what whole programs cost; part of `bench`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegasus_runtime.errors import InvalidInput

if TYPE_CHECKING:
    from pegasus_runtime import Avatar

NUM_POINTS = (10_000, 25_000, 50_000, 100_000, 200_000, 400_000)
"""Each twice the one before or so, to show whether time grows as fast."""
SIDES = (256, 512, 1024, 2048)
"""Each has four times the pixels of the one before."""
_ROWS = ("latent_change", "expression_change", "camera_change", "raster")
_WHOLE = {
    "start_up": ("render", ["--out", "first.png"]),
    "still_4096": ("render", ["--out", "large.png", "--size", "4096"]),
    "turntable_120": ("turntable", ["--out", "turn.mp4", "--frames", "120", "--fps", "30"]),
}


def measure_growth(avatar: Avatar, size: int, repeats: int, device: str) -> dict[str, Any]:
    """Medians in milliseconds for growing numbers of points, and for growing pictures."""
    from app.commands.timing import with_num_points

    by_points = []
    for num_points in NUM_POINTS:
        row = _row(with_num_points(avatar, num_points), size, repeats, device)
        by_points.append({"points": num_points, **row})
    by_size = [{"size": side, **_row(avatar, side, repeats, device)} for side in SIDES]
    return {"points": by_points, "size": by_size}


def _row(avatar: Avatar, side: int, repeats: int, device: str) -> dict[str, float]:
    from app.commands.timing import measure, medians
    from pegasus_runtime import Session

    session = Session(avatar, device=device)
    return medians(measure(session, avatar.default_camera((side, side)), repeats, only=_ROWS))


def measure_programs(options: argparse.Namespace) -> dict[str, float]:
    """Seconds of whole programs, from their start to their end: start-up, still, film.

    Raises:
        InvalidInput: one of them fails.
    """
    seconds = {}
    entry = [sys.executable, "-m", "main"]
    shared = ["--device", options.device]
    if options.head:
        shared += ["--head", str(Path(options.head).resolve())]
    avatar = options.avatar if options.avatar == "demo" else str(Path(options.avatar).resolve())
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as folder:
        for name, (command, arguments) in _WHOLE.items():
            places = [str(Path(folder, a)) if "." in a else a for a in arguments]
            started = time.perf_counter()
            done = subprocess.run(
                [*entry, command, avatar, *places, *shared],
                cwd=root, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise InvalidInput(f"bench: {command} {options.avatar} failed ({last}).")
            seconds[name] = round(time.perf_counter() - started, 2)
    return seconds
