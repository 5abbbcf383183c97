"""Growth, resume, interruption: what a training must never lose, whatever it trains."""

from __future__ import annotations

import copy
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_free_head
from tests.factories import SIDE, write_small_capture
from trainer.config.training import (
    DataConfig,
    ModelConfig,
    PointConfig,
    TrainingConfig,
)
from trainer.data.dataset import Capture, load_capture
from trainer.engine.accumulate import Batch
from trainer.engine.distributed import ProcessGroup
from trainer.engine.models import new_state, saved_state
from trainer.engine.published_state import PublishedState
from trainer.engine.surfel_state import SurfelState
from trainer.engine.train import train
from trainer.engine.train_state import TrainContext, TrainState

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def capture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capture")
    return write_small_capture(folder, {"source": 6, "hair_a": 4})


def make_config(capture_folder: Path, kind: str) -> TrainingConfig:
    """A training of a model that is small enough for tests."""
    small = {"geometry_width": 16, "geometry_depth": 2, "deformer_width": 16, "shading_width": 8}
    return TrainingConfig(
        steps=40,
        checkpoint_every=20,
        preview_every=40,
        device="cpu",
        threads=1,
        data=DataConfig(folder=str(capture_folder), image_size=SIDE, held_out_every=3),
        model=ModelConfig(kind=kind, **small),
        points=PointConfig(initial=300, maximum=1000, grow_every=15, initial_radius=0.1),
    )


@pytest.fixture(scope="module", params=["surfels", "published"])
def config(capture_folder: Path, request: pytest.FixtureRequest) -> TrainingConfig:
    return make_config(capture_folder, request.param)


@pytest.fixture(scope="module")
def capture(capture_folder: Path) -> Capture:
    return load_capture(make_config(capture_folder, "surfels").data)


def _run(config: TrainingConfig, capture: Capture, folder: Path) -> pr.Avatar:
    (folder / "previews").mkdir(parents=True, exist_ok=True)
    return train(config, capture, load_free_head(), folder)


def _losses(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "events.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["losses"] for line in lines]


@pytest.fixture(scope="module")
def whole(
    config: TrainingConfig, capture: Capture, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, pr.Avatar]:
    """The folder of a whole training, not to be changed, and its avatar."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, _run(config, capture, folder)


@pytest.fixture
def trained(whole: tuple[Path, pr.Avatar], tmp_path: Path) -> Path:
    """The folder of a whole training of a test's own."""
    return Path(shutil.copytree(whole[0], tmp_path / "trained"))


def test_twenty_steps_and_resume_are_forty_steps(
    config: TrainingConfig, capture: Capture, trained: Path
) -> None:
    before = _losses(trained)
    # Back to the checkpoint of step 20, as after a crash at step 40.
    for path in (trained / "checkpoints").iterdir():
        if path.name != "step-00000020":
            for file in path.iterdir():
                file.unlink()
    _run(config, capture, trained)
    assert (trained / "checkpoints" / "step-00000040" / "state.pt").is_file()
    assert _losses(trained) == before
    assert len(before) == 40


def test_starting_anew_keeps_the_old_checkpoints(
    config: TrainingConfig, capture: Capture, trained: Path
) -> None:
    train(replace(config, steps=2), capture, load_free_head(), trained, "none")
    assert len(_losses(trained)) == 2
    old = trained / "checkpoints-before-1"
    assert (old / "step-00000040" / "state.pt").is_file()


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
    folder = write_small_capture(tmp_path, {"source": 6})
    data = replace(config.data, folder=str(folder), memory_gb=1e-9)
    frame = load_capture(data).training["source"][0]
    path = folder / "source" / "image" / f"{frame.record.name}.png"
    good = path.read_bytes()
    path.write_bytes(good[:100] + bytes(len(good) - 112) + good[-12:])
    with pytest.raises(InvalidInput, match=r"image/.*is damaged.*; repair it or list frame"):
        _ = frame.pictures


def test_losses_fall(config: TrainingConfig, capture: Capture, tmp_path: Path) -> None:
    longer = replace(config, steps=120, points=replace(config.points, grow_every=1000))
    _run(longer, capture, tmp_path)
    losses = [loss["rgb"] for loss in _losses(tmp_path)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_avatar_of_a_run_opens_and_renders(whole: tuple[Path, pr.Avatar], tmp_path: Path) -> None:
    _, avatar = whole
    avatar.save(tmp_path / "a.avatar")
    opened = pr.load_avatar(tmp_path / "a.avatar")
    assert opened.attribute_names == ("hair_a",) and opened.num_points == avatar.num_points
    frame = pr.Session(opened, "cpu").render(opened.neutral(), opened.default_camera((48, 48)))
    assert frame["rgb"].shape == (48, 48, 3)
    assert frame["rgb"].min() < 0.9


def _state_class(config: TrainingConfig) -> type[SurfelState] | type[PublishedState]:
    return SurfelState if config.model.kind == "surfels" else PublishedState


def test_numbers_that_are_none_lead_back_to_the_last_checkpoint(
    config: TrainingConfig,
    capture: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind, broken_once = _state_class(config), []
    plain = kind.weigh

    def weigh(state, losses, epoch):
        total = plain(state, losses, epoch)
        if round(epoch * capture.num_training) == 25 and not broken_once:
            broken_once.append(True)
            return total * float("nan")
        return total

    monkeypatch.setattr(kind, "weigh", weigh)
    _run(replace(config, steps=30), capture, tmp_path)
    assert "step 26" in capsys.readouterr().out
    steps = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in steps] == list(range(1, 31))
    before, after = (steps[at]["learning_rates"]["networks"] for at in (19, 20))
    assert after == pytest.approx(before / 2, rel=0.2)


def test_numbers_that_stay_none_end_the_training(
    config: TrainingConfig, capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = _state_class(config)
    plain = kind.weigh
    monkeypatch.setattr(kind, "weigh", lambda *given: plain(*given) * float("nan"))
    with pytest.raises(InvalidInput, match="step 1: the loss total is not a number, after 3 tries"):
        _run(config, capture, tmp_path)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-00000000"]


@pytest.fixture(scope="module")
def start(config: TrainingConfig, capture: Capture) -> dict[str, Any]:
    """Of a training, which takes seconds to make; not to be changed."""
    return new_state(TrainContext(config, capture, load_free_head(), CPU)).snapshot()


def _begun(context: TrainContext, start: dict[str, Any]) -> TrainState:
    return saved_state(context, copy.deepcopy(start))


def _after(
    config: TrainingConfig, capture: Capture, start: dict[str, Any], steps: int
) -> tuple[TrainState, Batch]:
    """What is trained after so many steps, and what goes on with it."""
    context = TrainContext(config, capture, load_free_head(), CPU)
    state = _begun(context, start)
    batch = Batch(context, state, ProcessGroup(CPU))
    for step in range(steps):
        batch.accumulate_gradients(step, 0.0, False)
        assert state.optimizer_step()
    return state, batch


def test_gradients_of_a_batch_are_the_mean_of_its_frames(
    config: TrainingConfig, capture: Capture, start: dict[str, Any]
) -> None:
    # Losses on a few points take other ones in each step.
    losses = replace(config.losses, eikonal=0.0, flame=0.0, normals_every=1)
    config = replace(config, losses=losses)
    context = TrainContext(config, capture, load_free_head(), CPU)
    state = _begun(context, start)

    def gradients(batch_size: int, step: int) -> list[torch.Tensor]:
        sized = replace(context, config=replace(config, batch_size=batch_size))
        Batch(sized, state, ProcessGroup(CPU)).accumulate_gradients(step, 0.0, False)
        parameters = state.module.parameters()
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters]

    single = zip(gradients(1, 4), gradients(1, 5), strict=True)
    for (first, second), both in zip(single, gradients(2, 2), strict=True):
        assert torch.allclose(both, (first + second) / 2, rtol=1e-3, atol=1e-6)


def _rows(state: TrainState) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Values and Adam's first moments of everything that has a row for each point, by name."""
    known, number = state.optimiser.state, state.num_points
    source = getattr(state.module, "source", None)
    number = number if source is None else len(source)
    return {
        name: (p.detach().clone().flatten(1), known[p]["exp_avg"].clone().flatten(1))
        for name, p in state.module.named_parameters()
        if p in known and p.ndim > 1 and len(p) == number
    }


def test_growth_and_pruning_keep_the_moments_of_survivors(
    config: TrainingConfig, capture: Capture, start: dict[str, Any]
) -> None:
    state, batch = _after(config, capture, start, 6)
    before = _rows(state)
    state.share(ProcessGroup(CPU))
    state.change_points(config.points.grow_every)
    after = _rows(state)
    assert before and after.keys() == before.keys()
    for name, (values, moments) in after.items():
        olds, old_moments = before[name]
        assert len(values) != len(olds)
        same = (values[:, None] == olds[None]).all(dim=2)
        # Of the points that are as they were, one for each that stayed has its moments.
        rows = (same.sum(dim=1) == 1).nonzero()[:, 0]
        found = same[rows].int().argmax(dim=1)
        carried = (moments[rows] == old_moments[found]).all(dim=1)
        assert bool((carried | (moments[rows] == 0).all(dim=1)).all()), name
        if len(rows) > 50:
            assert float(carried.float().mean()) > 0.5, name
    batch.accumulate_gradients(config.points.grow_every, 0.0, False)
    assert state.optimizer_step()


@pytest.mark.parametrize("config", ["surfels"], indirect=True)
def test_an_attribute_follows_its_surfels(
    config: TrainingConfig, capture: Capture, start: dict[str, Any]
) -> None:
    state, _ = _after(config, capture, start, 6)
    module: Any = state.module
    triangles = module.source.triangle.clone()
    (attribute,) = module.each_attribute()
    region, marks = attribute.region.clone(), attribute.difference["colour"]
    with torch.no_grad():
        marks.copy_(torch.rand(marks.shape))
    marks = marks.detach().clone()
    state.change_points(config.points.grow_every)
    now = attribute.difference["colour"].detach()
    assert len(attribute.region) == len(now) > 0
    olds = (marks[None] - now[:, None]).abs().sum(dim=2).argmin(dim=1)
    assert torch.equal(now, marks[olds])
    assert torch.equal(module.source.triangle[attribute.region], triangles[region[olds]])


def test_a_break_changes_no_bit_with_several_threads(
    config: TrainingConfig, capture: Capture
) -> None:
    many = replace(config, threads=2, points=replace(config.points, initial=900))
    context = TrainContext(many, capture, load_free_head(), CPU)
    threads = torch.get_num_threads()
    start = new_state(context).snapshot()

    def losses(break_after: int) -> list[dict[str, float]]:
        state, found = _begun(context, start), []
        batch = Batch(context, state, ProcessGroup(CPU))
        for step in range(4):
            if step == break_after:
                file = io.BytesIO()
                torch.save(state.snapshot(), file)
                file.seek(0)
                state = saved_state(context, torch.load(file, weights_only=True))
                batch = Batch(context, state, ProcessGroup(CPU))
            state.set_rates(step, 0.0)
            found.append(batch.accumulate_gradients(step, 0.0, False).losses)
            assert state.optimizer_step()
        return found

    torch.set_num_threads(2)
    try:
        assert losses(break_after=2) == losses(break_after=-1)
    finally:
        torch.set_num_threads(threads)
