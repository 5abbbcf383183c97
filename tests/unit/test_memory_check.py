"""Sizes that the memory cannot hold are refused before any of it is taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.memory import free_memory_bytes
from trainer.config.training import ModelConfig, PointConfig, TrainingConfig
from trainer.data.memory_check import refuse_too_little_memory, unused_settings

ROOT = Path(__file__).resolve().parents[2]
LARGE = ModelConfig(geometry_width=4096, geometry_depth=32)
SIZES = ["model.geometry_width", "model.geometry_depth"]


@pytest.mark.parametrize(
    ("model", "points", "named", "says"),
    [
        (ModelConfig(), PointConfig(), [], ""),
        (ModelConfig(geometry_width=16), PointConfig(), SIZES, ""),
        # Of a file of before, which a training of surfels reads over.
        (LARGE, PointConfig(), [], ""),
        (LARGE, PointConfig(), SIZES, "geometry_width = 4096, model.geometry_depth = 32: .*leave"),
        (ModelConfig("published", 6, 4096, 32), PointConfig(), [], "published: .*lower"),
        (
            ModelConfig(),
            PointConfig(initial=9_000_000, maximum=9_000_000),
            ["points.initial", "steps"],
            "points.initial = 9000000: a training of these sizes takes at least 9.4 GB of memory",
        ),
    ],
)
def test_sizes_are_judged_before(
    model: ModelConfig,
    points: PointConfig,
    named: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainer.data.memory_check.free_memory_bytes", lambda: 4 << 30)
    config = TrainingConfig(model=model, points=points)
    if not says:
        refuse_too_little_memory(config, torch.device("cpu"), named)
        return
    with pytest.raises(InvalidInput, match=says) as refusal:
        refuse_too_little_memory(config, torch.device("cpu"), named)
    assert "memory" in str(refusal.value) and "4.0 GB are free" in str(refusal.value)


def test_what_a_model_does_not_use_is_known() -> None:
    named = ["steps", "model.geometry_width", "points.growth", "optimiser.networks"]
    assert unused_settings(TrainingConfig(), named) == ["model.geometry_width"]
    published = TrainingConfig(model=ModelConfig("published"))
    assert unused_settings(published, named) == ["points.growth"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on addresses")
def test_a_limit_of_the_process_counts() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import resource\n"
         "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
         "from pegasus_runtime.memory import free_memory_bytes\n"
         "print(free_memory_bytes())"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert 0 < int(told) < 2 << 30
    assert 0 < free_memory_bytes() <= psutil.virtual_memory().total
