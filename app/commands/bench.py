"""`bench`: how long each kind of change takes on this machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
from typing import TYPE_CHECKING, Any

from app.commands.avatar_source import AVATAR_HELP
from app.commands.picture_options import add_device_option, add_head_option, read_size
from app.commands.timing import measure, medians, with_num_points
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import output_file, replace_file

if TYPE_CHECKING:
    import torch


MAX_POINTS, MAX_REPEATS = 5_000_000, 10_000
"""More only measures how long one waits."""


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "bench",
        help="time this machine",
        description="Time the pieces of a render: medians in milliseconds.",
    )
    parser.add_argument("avatar", nargs="?", default="demo", metavar="AVATAR", help=AVATAR_HELP)
    parser.add_argument("--points", metavar="N", help="number of points (the avatar's own)")
    parser.add_argument("--size", default="512", metavar="N", help="side in pixels (512)")
    parser.add_argument("--repeats", default="5", metavar="N", help="of each piece (5)")
    parser.add_argument(
        "--growth", action="store_true",
        help="also tables by points and by size, and whole programs (minutes)",
    )  # fmt: skip
    parser.add_argument("--json", required=True, metavar="OUT.json", help="file to write")
    add_device_option(parser)
    add_head_option(parser)
    parser.set_defaults(run=bench)


def bench(options: argparse.Namespace) -> int:
    """Measure, print and write the medians."""
    size, points = read_size(options.size), options.points
    num_points = None if points is None else _read_whole("--points", points, MAX_POINTS)
    repeats = _read_whole("--repeats", options.repeats, MAX_REPEATS)
    output_file(options.json)
    import torch

    import pegasus_runtime as pr
    from app.commands.avatar_source import load_source, read_source
    from pegasus_runtime.memory import peak_memory_mb

    avatar, _ = load_source(options.avatar, read_source(options.avatar), options.head)
    if num_points is not None:
        avatar = with_num_points(avatar, num_points)
    session = pr.Session(avatar, device=options.device)
    rounds = measure(session, avatar.default_camera((size, size)), repeats)
    report: dict[str, Any] = {
        "machine": _machine(session.device),
        "avatar": str(options.avatar),
        "points": avatar.num_points,
        "size": size,
        "repeats": repeats,
        "milliseconds": medians(rounds),
        "times_faster_than_exact": {
            name: _paired_ratio(rounds["exact_frame"], rounds[name])
            for name in ("latent_change", "expression_change", "camera_change")
        },
        "peak_memory_mb": peak_memory_mb(torch.device("cpu")),
    }
    if options.growth:
        from app.commands.bench_growth import measure_growth, measure_programs

        report["growth"] = measure_growth(avatar, size, repeats, options.device)
        report["seconds"] = measure_programs(options)
    with replace_file(options.json) as partial:
        partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for name, duration in report["milliseconds"].items():
        ratio = report["times_faster_than_exact"].get(name)
        print(f"{name:<20} {duration:9.2f} ms" + (f"   {ratio:6.1f} ×" if ratio else ""))
    print(f"wrote {options.json}")
    return 0


def _paired_ratio(slow: list[float], fast: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 1)


def _read_whole(option: str, text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise InvalidInput(f"{option} {text}: give a whole number from 1 to {most}.")
    return int(text)


def _machine(device: torch.device) -> dict[str, Any]:
    import numba
    import torch

    on_cuda = device.type == "cuda"
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if on_cuda else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "numba_threads": int(numba.get_num_threads()),
    }
