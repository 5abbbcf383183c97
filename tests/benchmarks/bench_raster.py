"""Time the point rasteriser: ``python tests/benchmarks/bench_raster.py [--json OUT.json]``.

Prints medians in milliseconds, and at a small size the plain torch engine beside numba on the
same points.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba
import torch

from pegasus_runtime import raster

NUM_CHANNELS = 6


@dataclass(frozen=True)
class Scene:
    """A cloud on a sphere that fills most of the image, as a head does."""

    engine: str
    num_points: int
    side: int
    radius: float
    points_per_pixel: int

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (N, 3) and features (N, C)."""
        torch.manual_seed(0)
        points = torch.nn.functional.normalize(torch.randn(self.num_points, 3)) * 0.7
        points[:, 2] += 3.0
        return points, torch.rand(self.num_points, NUM_CHANNELS)


def measure(scene: Scene, repeats: int) -> dict[str, float]:
    """Median milliseconds of every step."""
    points, features = scene.tensors()
    leaves = points.clone().requires_grad_(), features.clone().requires_grad_()
    size = (scene.side, scene.side)
    upstream = torch.rand(*size, NUM_CHANNELS)

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

    image, fragments = draw(*leaves), find()
    steps: dict[str, Callable[[], object]] = {
        "render_features": lambda: draw(points, features),
        "render_points": lambda: draw(*leaves),
        "render_points backward": lambda: torch.autograd.grad(
            image, leaves, upstream, retain_graph=True
        ),
        "rasterize": find,
        "composite": lambda: raster.composite(fragments, features),
        "visible_points": lambda: raster.visible_points(fragments),
    }
    return {name: _median_ms(step, repeats) for name, step in steps.items()}


def _median_ms(step: Callable[[], object], repeats: int) -> float:
    step()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return round(statistics.median(seconds) * 1000.0, 3)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {platform.system()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--radius", type=float, default=0.005)
    parser.add_argument("--points-per-pixel", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    options = _options()
    kept = options.points_per_pixel
    scenes = [
        Scene("numba", options.points, options.size, options.radius, kept),
        Scene("numba", 1000, 64, 0.05, kept),
        Scene("torch", 1000, 64, 0.05, kept),
    ]
    print(f"{_machine()}; {numba.get_num_threads()} threads; torch {torch.__version__}")
    results = []
    for scene in scenes:
        repeats = options.repeats if scene.engine == "numba" else 5
        milliseconds = measure(scene, repeats)
        results.append({**vars(scene), "milliseconds": milliseconds})
        print(
            f"{scene.engine}: {scene.num_points} points, {scene.side}², radius {scene.radius}, "
            f"K {scene.points_per_pixel}"
        )
        for name, value in milliseconds.items():
            print(f"  {name:24s} {value:9.2f} ms")
    if options.json:
        report = {"machine": _machine(), "threads": numba.get_num_threads(), "results": results}
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
