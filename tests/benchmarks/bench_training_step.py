"""Time a training step: ``python tests/benchmarks/bench_training_step.py [--json OUT.json]``.

Beside the trainer's step stands the step as the method is written down: every point is evaluated
with gradients, its Jacobian by automatic differentiation. Both see the same frame of a drawn
capture, in turn, each in a process of its own, and the median of the paired ratios is printed.

What a GPU would have to hold can be measured without one: ``--points 174000 --width 512 --depth 9
--as-on-cuda --only trainer`` takes the operations that a step on CUDA takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime import devices
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.deform.as_written import evaluate_as_written
from pegasus_runtime.deform.canonical_head import make_canonical_head
from pegasus_runtime.deform.nearest import nearest_vertices
from pegasus_runtime.deform.surface import CanonicalSurface, evaluate_surface
from pegasus_runtime.drawing import point_colours
from pegasus_runtime.head import load_free_head
from pegasus_runtime.memory import keep_freed_memory, peak_memory_mb
from pegasus_runtime.raster import render_points
from trainer.config.schema import (
    DataConfig,
    LossConfig,
    ModelConfig,
    PointConfig,
    TrainingConfig,
)
from trainer.data.dataset import Capture, TrainingFrame, load_capture
from trainer.engine.learner import Learner
from trainer.engine.step import CHANNELS, Situation, losses_of_step, weigh
from trainer.losses.pictures import make_targets, picture_losses
from trainer.losses.points import eikonal, eikonal_samples, head_targets, supervise_deformer
from trainer.stages.blank import blank_avatar
from trainer.stages.head_samples import sample_head
from trainer.synthesis.capture import CaptureConfig, capture

PATHS = ("trainer", "as_written")


def losses_as_written(
    situation: Situation, frame: TrainingFrame, config: TrainingConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """The same losses as `losses_of_step`, with nothing left out and nothing by hand."""
    learner, canonical = situation.learner, situation.canonical
    networks, code, posed = learner.networks, situation.code(frame), situation.posed(frame)
    surface = _positions(situation, code)
    nearest = nearest_vertices(surface.points.detach(), canonical.vertices)
    placed, geometry = evaluate_as_written(
        networks, canonical, learner.points, code, posed, nearest, keep_graph=True
    )
    assert placed.normals is not None
    colours = point_colours(geometry.albedo, networks.shading(placed.normals, code))
    features = [
        colours,
        placed.normals * 0.5 + 0.5,
        torch.sigmoid(geometry.segmentation)[:, None],
        torch.ones_like(colours[:, :1]),
    ]
    camera = frame.record.camera
    picture = render_points(
        camera.project(placed.points), torch.cat(features, dim=1), image_size=camera.image_size,
        radius=situation.radius(camera), points_per_pixel=learner.avatar.points_per_pixel,
    )  # fmt: skip
    channels = dict(zip(CHANNELS, picture.split(list(CHANNELS.values()), dim=2), strict=True))
    part_names = situation.capture.part_names
    targets = make_targets(frame.pictures, part_names, LossConfig(), learner.device)
    losses = picture_losses(channels, targets)
    around = eikonal_samples(surface.offset_points.detach(), generator)
    around.requires_grad_()
    field = networks.geometry(around, code)
    (slope,) = torch.autograd.grad(field.sdf.sum(), around, create_graph=True)
    directions = networks.deformer.directions(surface.deformer.hidden)
    wanted = head_targets(situation.head, canonical, surface.points)
    losses |= {
        "sdf": geometry.sdf.square().mean(),
        "eikonal": eikonal(slope),
        "flame": supervise_deformer(
            surface.deformer.skinning, *directions, wanted, situation.variance
        ),
        "latent": code.square().mean(),
    }
    return losses


def _positions(situation: Situation, code: Tensor) -> CanonicalSurface:
    learner = situation.learner
    return evaluate_surface(
        learner.networks.at(code), situation.canonical, learner.points, appearance=False
    )


class Step:
    """One path, ready to be stepped."""

    def __init__(self, path: str, config: TrainingConfig, data: Capture) -> None:
        self._path, self._config = path, config
        learner = Learner(_avatar(config, data), config, devices.choose_device(config.device))
        self._situation = Situation.prepare(learner, data)
        self._frame = data.training[data.source][0]

    def __call__(self) -> float:
        """Losses, gradients and Adam's step; seconds."""
        began, learner = time.perf_counter(), self._situation.learner
        generator = torch.Generator().manual_seed(0)
        learner.optimiser.zero_grad(set_to_none=True)
        if self._path == "trainer":
            losses, _ = losses_of_step(self._situation, self._frame, self._config.losses, generator)
        else:
            losses = losses_as_written(self._situation, self._frame, self._config, generator)
        weigh(losses, self._config.losses, 0.0).backward()
        learner.descend()
        if learner.device.type == "cuda":
            torch.cuda.synchronize(learner.device)
        return time.perf_counter() - began


def _avatar(config: TrainingConfig, data: Capture) -> Avatar:
    head = load_free_head()
    canonical = make_canonical_head(head, data.mean_expression)
    generator = torch.Generator().manual_seed(0)
    points, _ = sample_head(head, canonical, config.points.initial, generator)
    return blank_avatar(config, data, head, points)


def _config(options: argparse.Namespace, num_points: int) -> TrainingConfig:
    # About as large as the start cloud of a training is for so many points.
    radius = 0.0128 * (60_000 / num_points) ** 0.5
    return TrainingConfig(
        device=options.device,
        data=DataConfig(folder=str(options.data), image_size=options.size, held_out_every=0),
        model=ModelConfig(geometry_width=options.width, geometry_depth=options.depth),
        points=PointConfig(initial=num_points, maximum=num_points, initial_radius=radius),
    )


class Stepper:
    """A path in a process of its own, so that neither disturbs the other's memory."""

    def __init__(self, path: str, config: TrainingConfig, as_on_cuda: bool) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        given = other, path, config, as_on_cuda
        self._process = context.Process(target=_step_when_asked, args=given)
        self._process.start()
        # With it open here too, an answer of a process that has ended would be waited for for ever.
        other.close()
        self.step()  # compiles what is compiled on first use

    def step(self) -> float:
        """Seconds of one more step."""
        self._pipe.send(True)
        return float(self._pipe.recv())

    def stop(self) -> int | None:
        """End the process; its peak memory in MB."""
        self._pipe.send(False)
        peak: int | None = self._pipe.recv()
        self._process.join()
        return peak


def _step_when_asked(pipe: Any, path: str, config: TrainingConfig, as_on_cuda: bool) -> None:
    keep_freed_memory()
    if as_on_cuda:
        devices.has_loops = lambda _device: False
    step = Step(path, config, load_capture(config.data))
    while pipe.recv():
        pipe.send(step())
    pipe.send(peak_memory_mb(devices.choose_device(config.device)))


def compare(options: argparse.Namespace, num_points: int) -> dict[str, Any]:
    """Median seconds of both paths and of their paired ratios; memory of each."""
    config = _config(options, num_points)
    steppers = {path: Stepper(path, config, options.as_on_cuda) for path in options.only}
    pairs = [
        {path: stepper.step() for path, stepper in steppers.items()}
        for _ in range(options.repeats)
    ]  # fmt: skip
    row: dict[str, Any] = {
        "points": num_points,
        "seconds": {p: round(statistics.median(x[p] for x in pairs), 3) for p in steppers},
        "memory_mb": {path: stepper.stop() for path, stepper in steppers.items()},
    }
    if set(PATHS) <= set(steppers):
        ratios = [pair["as_written"] / pair["trainer"] for pair in pairs]
        row["ratio"] = round(statistics.median(ratios), 1)
        row["ratio_range"] = [round(min(ratios), 1), round(max(ratios), 1)]
    return row


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 40_000, 100_000])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--width", type=int, default=128, help="of the geometry network")
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", nargs="+", choices=PATHS, default=PATHS, help="paths")
    parser.add_argument("--as-on-cuda", action="store_true", help="without compiled loops")
    parser.add_argument("--data", type=Path, help="a capture; without it one is drawn")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        if options.data is None:
            options.data = Path(folder)
            drawn = CaptureConfig(
                subjects=("source",), image_size=options.size, num_source_frames=2
            )
            capture(drawn, options.data, lambda _done, _total: None)
        results = []
        for num_points in options.points:
            row = compare(options, num_points)
            results.append(row)
            print(json.dumps(row), flush=True)
    if options.json:
        machine = {
            "device": str(devices.choose_device(options.device)),
            "threads": torch.get_num_threads(),
        }
        options.json.write_text(json.dumps({**machine, "results": results}, indent=1))


if __name__ == "__main__":
    main()
