"""Timing of the kinds of change; part of `bench`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pegasus_runtime.errors import InvalidInput

if TYPE_CHECKING:
    import torch

    from pegasus_runtime import Avatar, Camera, Session


DRAFT_POINTS = 8_000
"""A draft as a slow machine draws it; with another number results cannot be compared with earlier
ones."""


_GOES = 3
"""of each step in a round; more are steadier and take longer"""


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

    from pegasus_runtime.deform.morton import morton_order
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
    points = torch.from_numpy(points[morton_order(published.points).numpy()])
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


def with_num_points(avatar: Avatar, num_points: int) -> Avatar:
    """The avatar with more or fewer points: an even subset, or copies moved a little."""
    import torch

    from pegasus_runtime.avatar.avatar import PublishedAvatar
    from pegasus_runtime.surfels.avatar import SurfelAvatar

    generator = torch.Generator().manual_seed(0)
    total = avatar.num_points
    if not total:
        raise InvalidInput(f"{avatar.name}: has no points to take {num_points} from.")
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
