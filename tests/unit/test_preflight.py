"""The look before a training: what keeps it from running, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import pegasus_runtime as pr
from tests.factories import published_avatar
from trainer.config.training import ModelConfig, PointConfig, TrainingConfig
from trainer.data.machine_check import check_device
from trainer.data.preflight import check_processes, check_start
from trainer.data.preflight_report import Report


def problems(report: Report) -> str:
    return "\n".join(f"{p['text']} {p['fix']}" for p in report.problems)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar with the sizes that are usual for a processor."""
    usual = ModelConfig()
    names = ("num_frequencies", "geometry_width", "geometry_depth", "geometry_skip")
    names += ("deformer_width", "deformer_depth", "shading_width")
    sizes = pr.NetworkSizes(**{name: getattr(usual, name) for name in names})
    path = tmp_path_factory.mktemp("earlier") / "earlier.avatar"
    published_avatar(sizes=sizes).save(path)
    return path


def test_the_avatar_to_begin_with_is_opened(earlier: Path, tmp_path: Path) -> None:
    def say(path: Path, model: ModelConfig | None = None) -> str:
        report = Report()
        published = ModelConfig(kind="published")
        config = TrainingConfig(start_from=str(path), model=model or published)
        check_start(config, report)
        return problems(report)

    assert say(earlier) == ""
    assert "no such" in say(tmp_path / "none.avatar")
    broken = tmp_path / "broken.avatar"
    broken.write_bytes(b"no avatar")
    assert "not an avatar file" in say(broken) and "leave the field empty" in say(broken)
    assert "Set model.geometry_width to 128." in say(
        earlier, ModelConfig(kind="published", geometry_width=256)
    )
    assert "of the other model" in say(earlier, ModelConfig())


@pytest.mark.parametrize(
    ("batch_size", "num_gpus", "frames", "says"),
    [
        (1, 0, 0, ""),
        (3, 1, 1, ""),
        (8, 4, 9, ""),
        (1, 4, 9, "frames per step to 4"),
        (6, 4, 9, "frames per step to 8"),
        (4, 4, 3, "4 GPUs for 3 frames"),
    ],
)
def test_frames_are_shared_evenly(batch_size: int, num_gpus: int, frames: int, says: str) -> None:
    report = Report(num_gpus=num_gpus)
    check_processes(TrainingConfig(batch_size=batch_size), frames, report)
    assert says in problems(report) and bool(says) == bool(report.problems)


def test_a_chosen_card_or_the_processor_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1 << 30, 2 << 30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "card")
    for device, count in (("auto", 4), ("cuda", 4), ("cuda:1", 1), ("cpu", 0)):
        report = Report()
        check_device(TrainingConfig(device=device), report)
        assert report.num_gpus == count


def test_the_time_is_about_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = TrainingConfig(
        steps=1000,
        threads=1,
        points=PointConfig(initial=60_000, maximum=100_000),
    )
    seconds = []
    for threads in (1, 2):
        report = Report()
        check_device(replace(config, threads=threads), report)
        seconds.append(report.seconds)
    assert seconds[0] == pytest.approx(1000 * 0.56 + 40, rel=0.1)
    assert seconds[0] / seconds[1] == pytest.approx(1.7, rel=0.05)


@pytest.mark.parametrize(
    ("is_built", "why"), [(False, "this Python has no CUDA"), (True, "no NVIDIA card answers")]
)
def test_without_cuda_the_processor_trains_and_it_is_said_why(
    monkeypatch: pytest.MonkeyPatch, is_built: bool, why: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: is_built)
    report = Report()
    check_device(TrainingConfig(), report)
    assert not report.problems and why in report.notes[0] and report.seconds > 0
    check_device(TrainingConfig(device="cuda"), report)
    assert "Set the device to auto or cpu." in problems(report)
