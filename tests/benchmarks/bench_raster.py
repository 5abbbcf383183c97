"""Time the point rasteriser: ``python tests/benchmarks/bench_raster.py [--json OUT.json]``.

Prints medians in milliseconds, and at a small size the plain torch engine beside the one asked for
on the same points. Discs and surfels take turns, so that their ratio holds on a busy machine too.
``--growth`` goes from 10,000 to 400,000 points. On a GPU: ``--engine triton --device cuda``.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba
import torch

from pegasus_runtime import raster

NUM_CHANNELS = 3
GROWTH = (10_000, 25_000, 50_000, 100_000, 200_000, 400_000)


@dataclass(frozen=True)
class Scene:
    """A cloud on a sphere that fills most of the image, as a head does."""

    engine: str
    device: str
    num_points: int
    side: int
    radius: float
    points_per_pixel: int

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (N, 3) and features (N, C)."""
        torch.manual_seed(0)
        points = torch.nn.functional.normalize(torch.randn(self.num_points, 3)) * 0.7
        points[:, 2] += 3.0
        features = torch.rand(self.num_points, NUM_CHANNELS)
        return points.to(self.device), features.to(self.device)

    def surfels(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Conics (N, 3) and opacities (N,): ellipses that overlap on the sphere."""
        torch.manual_seed(1)
        normals = torch.nn.functional.normalize(self.tensors()[0].cpu() - torch.tensor([0, 0, 3.0]))
        across = torch.linalg.cross(normals, torch.randn(self.num_points, 3))
        across = torch.nn.functional.normalize(across)
        tangents = torch.stack([across, torch.linalg.cross(normals, across)], dim=2)[:, :2]
        spacing = 0.7 * 0.5 * self.side * (4.0 * math.pi / self.num_points) ** 0.5
        radii = 0.75 * spacing * torch.exp(0.5 * torch.randn(self.num_points, 1, 2))
        shape = tangents * radii
        inverse = torch.linalg.inv(shape @ shape.mT + 0.1 * torch.eye(2)).reshape(-1, 4)
        opacities = torch.sigmoid(1.5 * torch.randn(self.num_points) + 1.5)
        return inverse[:, [0, 1, 3]].contiguous().to(self.device), opacities.to(self.device)


def measure(scene: Scene, repeats: int) -> dict[str, float]:
    """Median milliseconds of every step."""
    points, features = scene.tensors()
    leaves = points.clone().requires_grad_(), features.clone().requires_grad_()
    size = (scene.side, scene.side)
    upstream = torch.rand(*size, NUM_CHANNELS, device=scene.device)

    def draw(cloud: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
        return raster.render_points(
            cloud,
            colours,
            image_size=size,
            radius=scene.radius,
            points_per_pixel=scene.points_per_pixel,
            engine=scene.engine,
        )

    def find() -> raster.Fragments:
        return raster.rasterize(points, size, scene.radius, scene.points_per_pixel, scene.engine)

    surfels = [tensor.clone().requires_grad_() for tensor in scene.surfels()]

    def blend(conics: torch.Tensor, opacities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return raster.blend(
            *leaves, conics=conics, opacities=opacities, image_size=size, engine=scene.engine
        )

    image, fragments, blended = draw(*leaves), find(), blend(*surfels)
    steps: dict[str, Callable[[], object]] = {
        "render_features": lambda: draw(points, features),
        "render_points": lambda: draw(*leaves),
        "render_points backward": lambda: torch.autograd.grad(
            image, leaves, upstream, retain_graph=True
        ),
        "rasterize": find,
        "composite": lambda: raster.composite(fragments, features),
        "visible_points": lambda: raster.visible_points(fragments),
        "blend": lambda: blend(*surfels),
        "blend backward": lambda: torch.autograd.grad(
            blended, (*leaves, *surfels), (upstream, upstream[..., 0]), retain_graph=True
        ),
        "largest_weights": lambda: raster.largest_weights(
            points,
            conics=surfels[0],
            opacities=surfels[1],
            image_size=size,
            engine=scene.engine,
        ),
    }
    wait = torch.cuda.synchronize if image.is_cuda else _no_wait
    return _median_ms(steps, repeats, wait)


def _no_wait() -> None:
    pass


def _median_ms(
    steps: dict[str, Callable[[], object]], repeats: int, wait: Callable[[], None]
) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            wait()
            # The first turn compiles.
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: round(statistics.median(taken) * 1000.0, 3) for name, taken in seconds.items()}


def _machine(device: str) -> str:
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, {platform.system()}"
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {platform.system()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=raster.available_engines(), default="numba")
    parser.add_argument("--device", default="cpu", help="of the points: cpu, cuda, cuda:1")
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--growth", action="store_true", help="10,000 to 400,000 points")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--radius", type=float, default=0.005)
    parser.add_argument("--points-per-pixel", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    options = _options()
    kept, device = options.points_per_pixel, options.device
    counts = GROWTH if options.growth else (options.points,)
    scenes = [
        *(Scene(options.engine, device, n, options.size, options.radius, kept) for n in counts),
        Scene(options.engine, device, 1000, 64, 0.05, kept),
        Scene("torch", device, 1000, 64, 0.05, kept),
    ]
    machine = _machine(device)
    print(f"{machine}; {numba.get_num_threads()} threads; torch {torch.__version__}")
    results = []
    for scene in scenes:
        repeats = 5 if scene.engine == "torch" else options.repeats
        milliseconds = measure(scene, repeats)
        results.append({**vars(scene), "milliseconds": milliseconds})
        print(
            f"{scene.engine} on {device}: {scene.num_points} points, {scene.side}², "
            f"radius {scene.radius}, K {scene.points_per_pixel}"
        )
        for name, value in milliseconds.items():
            print(f"  {name:24s} {value:9.2f} ms")
    if options.json:
        report = {"machine": machine, "threads": numba.get_num_threads(), "results": results}
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
