"""Growth, resume, interruption: what a training must never lose."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pegasus_runtime.errors import Refused
from pegasus_runtime.head import load_free_head
from tests.fake_capture import SIDE, write_fake_capture
from trainer.config.schema import (
    DataConfig,
    ModelConfig,
    PointConfig,
    TrainingConfig,
)
from trainer.data.dataset import Capture, load_capture
from trainer.engine import tangent_precision
from trainer.engine.batch import Batch
from trainer.engine.learner import Learner
from trainer.engine.loop import train
from trainer.engine.ranks import Ranks
from trainer.engine.step import Situation, losses_of_step
from trainer.stages.blank import blank_avatar
from trainer.stages.start import start_avatar


@pytest.fixture(scope="module")
def capture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capture")
    return write_fake_capture(folder, {"source": 6, "hair_a": 4})


@pytest.fixture(scope="module")
def config(capture_folder: Path) -> TrainingConfig:
    return TrainingConfig(
        steps=40,
        warm_start_steps=3,
        checkpoint_every=20,
        preview_every=40,
        device="cpu",
        threads=1,
        data=DataConfig(folder=str(capture_folder), image_size=SIDE, held_out_every=3),
        model=ModelConfig(geometry_width=16, geometry_depth=2, deformer_width=16, shading_width=8),
        points=PointConfig(initial=300, maximum=1000, grow_every=15, initial_radius=0.1),
    )


@pytest.fixture(scope="module")
def capture(config: TrainingConfig) -> Capture:
    return load_capture(config.data)


def _run(config: TrainingConfig, capture: Capture, folder: Path) -> None:
    (folder / "previews").mkdir(parents=True, exist_ok=True)
    train(config, capture, load_free_head(), folder)


def _losses(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "events.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["losses"] for line in lines]


def test_twenty_steps_and_resume_are_forty_steps(
    config: TrainingConfig, capture: Capture, tmp_path: Path
) -> None:
    _run(config, capture, tmp_path / "whole")
    run = tmp_path / "parts"
    saved = tmp_path / "parts" / "checkpoints" / "step-00000020"
    _run(config, capture, run)
    # Back to the checkpoint of step 20, as after a crash at step 40.
    for path in (run / "checkpoints").iterdir():
        if path != saved:
            for file in path.iterdir():
                file.unlink()
    _run(config, capture, run)
    assert _losses(run) == _losses(tmp_path / "whole")
    assert len(_losses(run)) == 40


def test_losses_fall(config: TrainingConfig, capture: Capture, tmp_path: Path) -> None:
    longer = replace(
        config, steps=200, warm_start_steps=0, points=replace(config.points, grow_every=1000)
    )
    _run(longer, capture, tmp_path)
    losses = [loss["rgb"] for loss in _losses(tmp_path)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_growth_keeps_the_moments_of_survivors(config: TrainingConfig, capture: Capture) -> None:
    avatar, _ = start_avatar(config, capture, load_free_head())
    learner = Learner(avatar, config, torch.device("cpu"))
    learner.points.square().sum().backward()
    assert learner.descend()
    before = learner.optimiser.state[learner.points]["exp_avg"].clone()
    old = learner.points.detach().clone()
    learner.seen[:] = True
    learner.seen[10:20] = False
    assert learner.prune() == 10
    kept = torch.cat([torch.arange(10), torch.arange(20, len(old))])
    moments = learner.optimiser.state[learner.points]["exp_avg"]
    assert torch.equal(moments, before[kept])
    radius = learner.radius
    assert learner.grow(torch.Generator().manual_seed(0)) == 2 * len(kept)
    moments = learner.optimiser.state[learner.points]["exp_avg"]
    assert torch.equal(moments[: len(kept)], before[kept])
    assert not moments[len(kept) :].any()
    assert torch.equal(learner.points.detach()[: len(kept)], old[kept])
    assert learner.radius == pytest.approx(radius * config.points.radius_factor)
    moved = learner.points.detach()[len(kept) :, None] - learner.points.detach()[None, : len(kept)]
    assert float(moved.abs().amax(dim=2).amin(dim=1).max()) <= config.points.noise * radius
    learner.points.square().sum().backward()
    assert learner.descend()


def test_avatar_of_a_run_opens_and_renders(
    config: TrainingConfig, capture: Capture, tmp_path: Path
) -> None:
    import pegasus_runtime as pr

    (tmp_path / "previews").mkdir()
    short = replace(config, steps=2)
    avatar = train(short, capture, load_free_head(), tmp_path)
    avatar.save(tmp_path / "a.avatar")
    opened = pr.load_avatar(tmp_path / "a.avatar")
    assert opened.attribute_names == ("hair_a",)
    assert opened.points_per_pixel == config.model.drawn_per_pixel > config.model.points_per_pixel
    frame = pr.Session(opened, "cpu").render(opened.neutral(), opened.default_camera((48, 48)))
    assert frame["rgb"].shape == (48, 48, 3)
    assert frame["rgb"].min() < 0.9


def test_numbers_that_are_none_lead_back_to_the_last_checkpoint(
    config: TrainingConfig,
    capture: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from trainer.engine import batch

    plain, broken_once = batch.weigh, []

    def weigh(losses, weights, epoch):
        total = plain(losses, weights, epoch)
        if epoch * capture.num_training == 25 and not broken_once:
            broken_once.append(True)
            return total * float("nan")
        return total

    monkeypatch.setattr(batch, "weigh", weigh)
    _run(replace(config, steps=30), capture, tmp_path)
    assert "step 26" in capsys.readouterr().out
    steps = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in steps] == list(range(1, 31))
    before, after = (steps[at]["learning_rates"]["geometry"] for at in (19, 20))
    assert after == pytest.approx(before / 2, rel=0.2)


def test_numbers_that_stay_none_end_the_training(
    config: TrainingConfig, capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.engine import batch

    plain = batch.weigh
    monkeypatch.setattr(batch, "weigh", lambda *a: plain(*a) * float("nan"))
    with pytest.raises(Refused, match="step 1: the loss total is not a number, after 3 tries"):
        _run(config, capture, tmp_path)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-00000000"]


def test_starting_anew_keeps_the_old_checkpoints(
    config: TrainingConfig, capture: Capture, tmp_path: Path
) -> None:
    (tmp_path / "previews").mkdir()
    short = replace(config, steps=2)
    train(short, capture, load_free_head(), tmp_path)
    train(short, capture, load_free_head(), tmp_path, "none")
    old = tmp_path / "checkpoints-before-1"
    assert (old / "step-00000002" / "state.pt").is_file()


def test_gradients_of_a_batch_are_the_mean_of_its_frames(
    config: TrainingConfig, capture: Capture, tmp_path: Path
) -> None:
    avatar, num_slots = start_avatar(config, capture, load_free_head())
    learner = Learner(avatar, config, torch.device("cpu"), num_slots)
    situation = Situation.prepare(learner, capture)

    def gradient(batch_size: int, step: int) -> torch.Tensor:
        batch = Batch(situation, replace(config, batch_size=batch_size), Ranks(learner.device))
        batch.gather(step, 0.0, False)
        assert learner.points.grad is not None
        return learner.points.grad.clone()

    both = (gradient(1, 4) + gradient(1, 5)) / 2
    assert torch.allclose(gradient(2, 2), both, rtol=1e-4, atol=1e-9)


def test_pictures_that_do_not_fit_are_read_as_they_are_needed(
    config: TrainingConfig, capture: Capture, tmp_path: Path
) -> None:
    short = replace(config, steps=6)
    _run(short, capture, tmp_path / "kept")
    small = replace(short, data=replace(config.data, memory_gb=1e-9))
    unkept = load_capture(small.data)
    frame = unkept.training["source"][0]
    assert frame.cache.max_frames == 2 < unkept.num_training
    _run(small, unkept, tmp_path / "read")
    assert _losses(tmp_path / "kept") == _losses(tmp_path / "read")


def test_a_picture_that_breaks_later_is_named(config: TrainingConfig, tmp_path: Path) -> None:
    folder = write_fake_capture(tmp_path, {"source": 6})
    data = replace(config.data, folder=str(folder), memory_gb=1e-9)
    frame = load_capture(data).training["source"][0]
    path = folder / "source" / "image" / f"{frame.record.name}.png"
    good = path.read_bytes()
    path.write_bytes(good[:100] + bytes(len(good) - 112) + good[-12:])
    with pytest.raises(Refused, match=r"image/.*is damaged.*; repair it or list frame"):
        _ = frame.pictures


def test_auto_takes_the_faster_precision_and_keeps_it(
    config: TrainingConfig, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {torch.float32: 1.0, torch.bfloat16: 0.95}
    monkeypatch.setattr(tangent_precision, "_seconds", lambda _, dtype: seconds[dtype])
    avatar, num_slots = start_avatar(config, capture, load_free_head())
    learner = Learner(avatar, config, torch.device("cpu"), num_slots)
    assert learner.precision == "float32", "hardly faster"
    saved = learner.snapshot()
    seconds[torch.bfloat16] = 0.5
    again = Learner(avatar, config, torch.device("cpu"), num_slots)
    assert again.precision == "bfloat16"
    assert again.networks.geometry.tangent_dtype == torch.bfloat16
    again.restore(saved)
    assert again.precision == "float32", "the losses of one run come from one precision"
    assert again.networks.geometry.tangent_dtype == torch.float32


def test_between_its_turns_the_surface_is_not_bent(
    config: TrainingConfig, capture: Capture
) -> None:
    avatar, num_slots = start_avatar(config, capture, load_free_head())
    learner = Learner(avatar, config, torch.device("cpu"), num_slots)
    situation = Situation.prepare(learner, capture)
    frame = capture.training["source"][0]

    def losses(bend: bool) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        return losses_of_step(situation, frame, config.losses, generator, bend=bend)[0]

    def pull(name: str, bend: bool) -> float:
        """How strongly a loss pulls at the network of surface and colour."""
        weight = learner.networks.geometry.layers[0].weight_v
        assert isinstance(weight, torch.Tensor)
        (gradient,) = torch.autograd.grad(losses(bend)[name], weight, allow_unused=True)
        return 0.0 if gradient is None else float(gradient.abs().sum())

    bent, still = losses(True), losses(False)
    for name, value in bent.items():
        assert torch.allclose(value, still[name], atol=1e-5), name
    assert pull("normal", True) > 0 and pull("normal", False) == 0
    assert pull("rgb", False) > 0, "colours go on being learned"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_break_changes_no_bit_with_several_threads(
    config: TrainingConfig, capture: Capture, precision: str
) -> None:
    model = replace(config.model, tangent_precision=precision, moves_points=False)
    many = replace(config, threads=2, model=model)
    points = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0)) * 0.4 - 0.2
    threads = torch.get_num_threads()

    def begin(places: torch.Tensor) -> tuple[Learner, Batch]:
        avatar = blank_avatar(many, capture, load_free_head(), places.clone())
        learner = Learner(avatar, many, torch.device("cpu"))
        return learner, Batch(Situation.prepare(learner, capture), many, Ranks(learner.device))

    def losses(break_after: int) -> list[dict[str, float]]:
        learner, batch = begin(points)
        found = []
        for step in range(4):
            if step == break_after:
                file = io.BytesIO()
                torch.save(learner.snapshot(), file)
                file.seek(0)
                saved = torch.load(file, weights_only=True)
                learner, batch = begin(saved["points"])
                learner.restore(saved)
            learner.set_rates(step, 0.0)
            found.append(batch.gather(step, 0.0, False).losses)
            assert learner.descend()
        return found

    torch.set_num_threads(2)
    try:
        assert losses(break_after=2) == losses(break_after=-1)
    finally:
        torch.set_num_threads(threads)
