"""`bench`: how long each kind of change takes on this machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.commands.avatar_source import AVATAR_HELP
from app.commands.picture_options import add_device_option, add_head_option, read_size
from pegasus_runtime.errors import Refused
from pegasus_runtime.files import output_file, replace_file

if TYPE_CHECKING:
    import torch

    from pegasus_runtime import Avatar, Camera, Session

MAX_POINTS = 5_000_000


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
    parser.add_argument("--repeats", default=5, type=int, metavar="N", help="of each piece (5)")
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
    size, num_points = read_size(options.size), _read_points(options.points)
    if options.repeats < 1:
        raise Refused(f"--repeats {options.repeats}: give 1 or more.")
    output_file(options.json)
    import torch

    import pegasus_runtime as pr
    from app.commands.avatar_source import load_source, read_source
    from pegasus_runtime.memory import peak_memory_mb

    avatar, _ = load_source(options.avatar, read_source(options.avatar), options.head)
    if num_points is not None:
        avatar = with_num_points(avatar, num_points)
    session = pr.Session(avatar, device=options.device)
    rounds = measure(session, avatar.default_camera((size, size)), options.repeats)
    report: dict[str, Any] = {
        "machine": _machine(session.device),
        "avatar": str(options.avatar),
        "points": avatar.num_points,
        "size": size,
        "repeats": options.repeats,
        "milliseconds": medians(rounds),
        "times_faster_than_exact": {
            name: _paired_ratio(rounds["exact_frame"], rounds[name])
            for name in ("latent_change", "expression_change", "camera_change")
        },
        "peak_memory_mb": peak_memory_mb(torch.device("cpu")),
    }
    if options.growth:
        from app.commands.bench_growth import measure_growth, measure_programs

        report["growth"] = measure_growth(avatar, size, options.repeats, options.device)
        report["seconds"] = measure_programs(options)
    with replace_file(options.json) as partial:
        partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for name, duration in report["milliseconds"].items():
        ratio = report["times_faster_than_exact"].get(name)
        print(f"{name:<20} {duration:9.2f} ms" + (f"   {ratio:6.1f} ×" if ratio else ""))
    print(f"wrote {options.json}")
    return 0


DRAFT_POINTS = 8_000
_GOES = 3
"""of each step in a round"""


def measure(
    session: Session, camera: Camera, repeats: int, only: tuple[str, ...] = ()
) -> dict[str, list[float]]:
    """Milliseconds of a render after each kind of change, and of the rasteriser alone, by round.

    ``exact_frame`` keeps, bakes and fuses nothing: what the others are compared with, round by
    round, for a machine is not equally fast all the time.
    """
    import numpy as np

    from pegasus_runtime import Session
    from pegasus_runtime.export.turntable import avatar_centre, turned

    params = session.avatar.neutral()
    latent = session.avatar.codes.compose({}).detach().cpu().numpy().astype(np.float32)
    params.latent = latent
    pivot = avatar_centre(session.avatar)
    frame = session.render(params, camera)  # compiles what is compiled on first use

    def change_latent(step: int) -> None:
        params.latent = latent * (1 + 0.001 * step)
        session.render(params, camera)

    def change_expression(step: int) -> None:
        params.expression[0] = 0.01 * step
        session.render(params, camera)

    def change_camera(step: int) -> None:
        session.render(params, turned(camera, pivot, 0.01 * step))

    def draft_latent(step: int) -> None:
        params.latent = latent * (1 + 0.001 * step)
        session.render(params, camera, max_points=DRAFT_POINTS)

    def draw_exactly(step: int) -> None:
        params.latent = latent * (1 - 0.001 * step)
        exact.render(params, camera)

    exact = Session(session.avatar, str(session.device), exact=True)
    draw, draw_back = _raster(session, camera, frame.points)
    steps: dict[str, Callable[[int], None]] = {
        "latent_change": change_latent,
        "expression_change": change_expression,
        "camera_change": change_camera,
        "raster": draw,
        "raster_backward": draw_back,
        "latent_draft": draft_latent,
        "exact_frame": draw_exactly,
    }
    steps = {name: step for name, step in steps.items() if name in only or not only}
    return _time_rounds(steps, repeats, session.device)


def _raster(
    session: Session, camera: Camera, points: Any
) -> tuple[Callable[[int], None], Callable[[int], None]]:
    """Drawing four channels, and the gradients of that."""
    import torch

    draw, given = _drawing(session, camera, points)
    features = torch.full((len(given[0]), 4), 0.5, device=session.device)
    leaves = [value.clone().requires_grad_() for value in (features, *given)]
    image = draw(*leaves)
    upstream = torch.ones_like(image)

    def back(_step: int) -> None:
        torch.autograd.grad(image, leaves, upstream, retain_graph=True)

    def forward(_step: int) -> None:
        draw(features, *given)

    return forward, back


def _drawing(
    session: Session, camera: Camera, points: Any
) -> tuple[Callable[..., torch.Tensor], tuple[torch.Tensor, ...]]:
    """What draws features at something, and that something."""
    import torch

    from pegasus_runtime.deform.near_order import near_order
    from pegasus_runtime.raster import blend, render_points
    from pegasus_runtime.surfels.renderer import SurfelRenderer

    avatar, size = session.avatar, camera.image_size
    if isinstance(session.renderer, SurfelRenderer):

        def draw_surfels(features: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
            points, conics, opacities = given
            return blend(points, features, conics=conics, opacities=opacities, image_size=size)[0]

        return draw_surfels, session.renderer.ellipses(avatar.neutral(), camera)
    published = session.renderer.avatar
    radius = published.radius_in(camera)

    def draw_points(features: torch.Tensor, projected: torch.Tensor) -> torch.Tensor:
        return render_points(
            projected,
            features,
            image_size=size,
            radius=radius,
            points_per_pixel=published.points_per_pixel,
        )

    # Neighbours in a row, as a session draws them.
    points = torch.from_numpy(points[near_order(published.points).numpy()])
    return draw_points, (camera.project(points.to(session.device)),)


def _time_rounds(
    steps: dict[str, Callable[[int], None]], repeats: int, device: torch.device
) -> dict[str, list[float]]:
    """Milliseconds of every step in each round: the median of some goes, but one of what is slow.

    The first round warms caches up and is left out.
    """
    import torch

    milliseconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(repeats + 1):
        for name, change in steps.items():
            goes = []
            for go in range(1 if name == "exact_frame" else _GOES):
                started = time.perf_counter()
                change(number * _GOES + go + 1)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                goes.append((time.perf_counter() - started) * 1000)
            milliseconds[name].append(statistics.median(goes))
    return {name: values[1:] for name, values in milliseconds.items()}


def medians(rounds: dict[str, list[float]]) -> dict[str, float]:
    """Of every step over its rounds."""
    return {name: round(statistics.median(values), 3) for name, values in rounds.items()}


def _paired_ratio(slow: list[float], fast: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 1)


def with_num_points(avatar: Avatar, num_points: int) -> Avatar:
    """The avatar with more or fewer points: an even subset, or copies moved a little."""
    import torch

    from pegasus_runtime.avatar.avatar import PublishedAvatar
    from pegasus_runtime.surfels.avatar import SurfelAvatar

    generator = torch.Generator().manual_seed(0)
    total = avatar.num_points
    if not total:
        raise Refused(f"{avatar.name}: has no points to take {num_points} from.")
    if isinstance(avatar, SurfelAvatar):
        return replace(avatar, wardrobe=avatar.wardrobe.resized(num_points))
    assert isinstance(avatar, PublishedAvatar)
    rounds = -(-num_points // total)
    order = torch.cat([torch.randperm(total, generator=generator) for _ in range(rounds)])
    points = avatar.points[order[:num_points]].clone()
    moved = points[total:]
    moved += (torch.rand(moved.shape, generator=generator) - 0.5) * avatar.radius
    radius = avatar.radius * min(1.0, (total / num_points) ** 0.5)
    return replace(avatar, points=points, radius=radius)


def _read_points(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or not 1 <= int(text) <= MAX_POINTS:
        raise Refused(f"--points {text}: give a whole number from 1 to {MAX_POINTS}.")
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
