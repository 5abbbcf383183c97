"""Training surfels: growth, pruning, attributes, and going on exactly."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import pegasus_runtime as pr
from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.parts import with_guessed_parts
from pegasus_runtime.surfels.surfels import NUM_STATES, new_surfels
from tests.factories import SIDE, write_small_capture
from trainer.config.training import DataConfig, LossConfig, PointConfig, TrainingConfig
from trainer.data.dataset import Capture, load_capture
from trainer.engine.densification import SurfelStatistics, grown, kept
from trainer.engine.distributed import ProcessGroup
from trainer.engine.surfel_cloud import SurfelSet
from trainer.engine.surfel_state import SurfelState
from trainer.engine.train import train
from trainer.engine.train_state import TrainContext
from trainer.init.covered_parts import may_be_bared

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def head() -> Head:
    return pr.load_free_head()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    folder = write_small_capture(
        tmp_path_factory.mktemp("capture"), {"source": 6, "nose_a": 4, "hat_b": 4}
    )
    return TrainingConfig(
        steps=8,
        checkpoint_every=4,
        preview_every=8,
        device="cpu",
        threads=1,
        data=DataConfig(folder=str(folder), image_size=SIDE, held_out_every=3),
        points=PointConfig(initial=600, maximum=900, grow_every=3, growth=0.2, grow_until=1.0),
        losses=LossConfig(vgg=0, normals_every=2),
    )


@pytest.fixture(scope="module")
def capture(config: TrainingConfig) -> Capture:
    return load_capture(config.data)


@pytest.fixture(scope="module")
def context(config: TrainingConfig, capture: Capture, head: Head) -> TrainContext:
    return TrainContext(config, capture, head, CPU)


@pytest.fixture(scope="module")
def snapshot(context: TrainContext) -> dict[str, Any]:
    """The start, which takes seconds to make."""
    return SurfelState.begin(context).snapshot()


@pytest.fixture
def state(context: TrainContext, snapshot: dict[str, Any]) -> SurfelState:
    return SurfelState.of(context, _copied(snapshot))


def _copied(snapshot: dict[str, Any]) -> dict[str, Any]:
    import copy

    return copy.deepcopy(snapshot)


def take_step(state: SurfelState, capture: Capture, subject: str, step: int) -> float:
    frame = capture.training[subject][step % len(capture.training[subject])]
    state.optimiser.zero_grad(set_to_none=True)
    losses, seen = state.losses(frame, torch.Generator(), step)
    total = state.weigh(losses, 0.0)
    total.backward()
    state.note(seen, 1)
    state.set_rates(step, 0.0)
    assert state.optimizer_step()
    return float(total.detach())


def test_steps_make_the_picture_better(state: SurfelState, capture: Capture) -> None:
    first = take_step(state, capture, "source", 0)
    for step in range(1, 12):
        # The same frame again, at the rates of a training's end.
        last = take_step(state, capture, "source", 12 * step)
    assert last < 0.97 * first


def test_an_attribute_learns_on_its_own_frames_only(state: SurfelState, capture: Capture) -> None:
    cloud = state.module
    nose, hat = cloud.find("nose_a"), cloud.find("hat_b")
    assert nose is not None and hat is not None
    take_step(state, capture, "source", 0)
    for attribute in (nose, hat):
        assert all(p.grad is None for p in attribute.parameters())
    before = {name: value.detach().clone() for name, value in hat.difference.items()}
    take_step(state, capture, "nose_a", 1)
    assert all(p.grad is None for p in hat.parameters())
    assert all(torch.equal(before[name], value) for name, value in hat.difference.items())
    assert nose.difference["colour"].grad is not None


def test_normals_are_learned_in_some_steps_only(state: SurfelState, capture: Capture) -> None:
    frame = capture.training["source"][0]
    assert "normal" in state.losses(frame, torch.Generator(), 0)[0]
    assert "normal" not in state.losses(frame, torch.Generator(), 1)[0]


def test_probes_say_where_errors_lie_and_change_no_gradient(
    state: SurfelState, capture: Capture
) -> None:
    frame = capture.training["source"][0]
    gradients = []
    for with_probe in (True, False):
        state.optimiser.zero_grad(set_to_none=True)
        losses, seen = state.losses(frame, torch.Generator(), 1)
        if not with_probe:
            losses["probe"] = torch.zeros(())
        state.weigh(losses, 0.0).backward()
        gradients.append(state.module.source.learned["offset"].grad.clone())
        if with_probe:
            found = seen.values.grad
    assert torch.allclose(gradients[0], gradients[1], atol=1e-9)
    error, weight = found.unbind(dim=1)
    assert (weight >= 0).all() and weight.sum() > 100
    assert (error <= weight + 1e-4).all() and error.sum() > 0


def test_growth_keeps_survivors_and_their_moments(
    state: SurfelState, capture: Capture, head: Head
) -> None:
    for step in range(3):
        take_step(state, capture, ("source", "nose_a", "hat_b")[step], step)
    cloud = state.module
    old, moments = cloud.source.learned["offset"], {}
    for name, parameter in cloud.source.learned.items():
        moments[name] = state.optimiser.state[parameter]["exp_avg"].clone()
    triangle = cloud.source.triangle.clone()
    state.share(ProcessGroup(CPU))
    statistics = state.statistics[cloud.source]
    survivors = kept(cloud.source, statistics, True, may_be_bared(head))
    nose = cloud.find("nose_a")
    in_region = torch.zeros(len(triangle), dtype=torch.bool)
    in_region[nose.region] = True
    state.change_points(3)
    cloud = state.module
    now, count = cloud.source, len(survivors)
    assert len(now) > count
    assert torch.equal(now.triangle[:count], triangle[survivors])
    assert torch.equal(now.learned["offset"][:count], old[survivors])
    for name, parameter in now.learned.items():
        moment = state.optimiser.state[parameter]["exp_avg"]
        assert torch.equal(moment[:count], moments[name][survivors])
        assert (moment[count:] == 0).all()
    nose = cloud.find("nose_a")
    assert torch.equal(nose.region[nose.region < count], in_region[survivors].nonzero()[:, 0])
    assert len(nose.difference["colour"]) == len(nose.region)
    take_step(state, capture, "nose_a", 4)


def test_children_lie_within_their_parents(head: Head) -> None:
    corners = head.template[head.faces]
    count = 400
    triangle = torch.arange(count) * 7
    middle = torch.full((count, 3), 1 / 3)
    flat = new_surfels(triangle, middle, torch.zeros(count, 3), torch.zeros(count, 3), 0.004)
    each = SurfelSet(flat)
    index = torch.cat([torch.arange(count), torch.arange(count)])
    each.rearrange(index, count, corners, torch.Generator().manual_seed(0))
    surfels = each.surfels()
    from pegasus_runtime.surfels.pose import pose_surfels

    posed = pose_surfels(surfels, head.template, head.faces, torch.zeros(NUM_STATES))
    apart = (posed.points[count:] - posed.points[:count]).norm(dim=1)
    assert apart.max() < 0.02 and apart.mean() > 0.001
    assert (surfels.log_radius < flat.log_radius[0, 0]).all()
    assert (surfels.barycentric.sum(dim=1) - 1).abs().max() < 1e-4
    assert (surfels.barycentric >= 0).all()


def test_faint_and_hidden_surfels_go_and_wrong_ones_are_split() -> None:
    count = 10
    none = torch.zeros(count, 3)
    each = SurfelSet(new_surfels(torch.zeros(count).long(), none, none, none, 0.01))
    each.learned["opacity"].data[2] = -9.0
    statistics = SurfelStatistics.none(count, CPU)
    values = torch.ones(count, 2) * 5
    values[4, 1] = 0.0
    values[7, 0] = 50.0
    statistics.add(values, torch.ones(count, dtype=torch.bool))
    statistics.share(ProcessGroup(CPU))
    nowhere, everywhere = torch.zeros(1).bool(), torch.ones(1).bool()
    survivors = kept(each, statistics, True, nowhere)
    assert survivors.tolist() == [0, 1, 3, 5, 6, 7, 8, 9]
    assert len(kept(each, statistics, False, nowhere)) == count
    behind_lips = kept(each, statistics, True, everywhere)
    assert behind_lips.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert grown([statistics], [survivors], 15, 0.13)[0].tolist() == [7]
    assert len(grown([statistics], [survivors], 8, 1.0)[0]) == 0, "there is no room"
    rarely = SurfelStatistics.none(2, CPU)
    rarely.add(torch.tensor([[20.0, 30.0], [1.0, 30.0]]), torch.ones(2, dtype=torch.bool))
    rarely.share(ProcessGroup(CPU))
    statistics.add(values, torch.ones(count, dtype=torch.bool))
    statistics.share(ProcessGroup(CPU))
    split = grown([statistics, rarely], [survivors, torch.arange(2)], 12, 0.2)
    assert [part.tolist() for part in split] == [[7], [0]], "by the error of a frame"
    unseen = SurfelStatistics.none(count, CPU)
    assert len(kept(each, unseen, True, nowhere)) == count


def _run(config: TrainingConfig, capture: Capture, head: Head, folder: Path) -> SurfelAvatar:
    avatar = train(config, capture, head, folder, say=lambda _: None)
    assert isinstance(avatar, SurfelAvatar)
    return avatar


def _tensors(avatar: SurfelAvatar) -> dict[str, Tensor]:
    from pegasus_runtime.surfels.file import tensors_of

    return tensors_of(avatar.wardrobe, avatar.states, avatar.light)


@pytest.fixture(scope="module")
def whole(
    config: TrainingConfig, capture: Capture, head: Head, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, SurfelAvatar]:
    """The folder of a whole training, not to be changed, and its avatar."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, _run(config, capture, head, folder)


def test_a_training_that_was_stopped_goes_on_to_the_bit(
    config: TrainingConfig,
    capture: Capture,
    head: Head,
    whole: tuple[Path, SurfelAvatar],
    tmp_path: Path,
) -> None:
    folder, made = whole
    parts = Path(shutil.copytree(folder, tmp_path / "parts"))
    shutil.rmtree(parts / "checkpoints" / "step-00000008")
    (parts / "current_checkpoint").unlink(missing_ok=True)
    again = _run(config, capture, head, parts)
    assert (parts / "checkpoints" / "step-00000008").is_dir()
    first, second = _tensors(made), _tensors(again)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert made.attribute_names == ("hat_b", "nose_a")
    assert made.provenance["scores"].keys() == {"source", "hat_b", "nose_a"}


def test_another_training_begins_with_what_an_earlier_one_learned(
    config: TrainingConfig,
    capture: Capture,
    head: Head,
    whole: tuple[Path, SurfelAvatar],
    tmp_path: Path,
) -> None:
    _, avatar = whole
    avatar.save(tmp_path / "first.avatar")
    later = replace(config, steps=1, start_from=str(tmp_path / "first.avatar"))
    state = SurfelState.begin(TrainContext(later, capture, head, CPU))
    assert state.num_points == avatar.num_points
    assert torch.allclose(
        state.module.source.learned["colour"], avatar.wardrobe.source.colour, atol=0.02
    )


def test_a_checkpoint_of_the_other_model_is_refused(
    config: TrainingConfig,
    capture: Capture,
    head: Head,
    whole: tuple[Path, SurfelAvatar],
    tmp_path: Path,
) -> None:
    run = Path(shutil.copytree(whole[0], tmp_path / "run"))
    other = replace(config, steps=9, model=replace(config.model, kind="published"))
    with pytest.raises(pr.InvalidInput, match=r"model.kind|Model"):
        _run(other, capture, head, run)  # type: ignore[arg-type]


def test_frames_tracked_beside_the_truth_are_moved_back(
    config: TrainingConfig, capture: Capture, head: Head, snapshot: dict[str, Any]
) -> None:
    learned = replace(config, optimiser=replace(config.optimiser, tracking=0.01))
    context = TrainContext(learned, capture, head, CPU)
    state = SurfelState.begin(context)
    frame = capture.training[capture.source][0]
    for _ in range(3):
        take_step(state, capture, capture.source, 0)
    moved = state.snapshot()
    offsets = moved["cloud"]["tracking.offsets"]
    assert len(offsets) == capture.num_training
    row = [each for frames in capture.training.values() for each in frames].index(frame)
    assert (offsets != 0).any(dim=1).nonzero().tolist() == [[row]], "the frame that was looked at"
    again = SurfelState.of(context, moved)
    assert torch.equal(again.snapshot()["cloud"]["tracking.offsets"], offsets)
    held_out = capture.held_out[capture.source][0]
    assert "tracking.offsets" not in snapshot["cloud"]
    for shown in (frame, held_out):
        assert torch.isfinite(state.picture(shown)[0]).all()


def test_for_a_look_no_frame_tells_what_surfels_show(
    tmp_path: Path, config: TrainingConfig, head: Head, snapshot: dict[str, Any]
) -> None:
    """All part pictures say that everything is clothes."""
    counts = {"source": 6, "nose_a": 4, "hat_b": 4}
    folder = write_small_capture(tmp_path, counts)
    names = json.dumps(["clothes"])
    for subject, count in counts.items():
        parts = folder / subject / "semantic"
        parts.mkdir()
        (folder / subject / "semantic_names.json").write_text(names, "utf-8")
        for number in range(1, count + 1):
            cv2.imwrite(str(parts / f"{number}.png"), np.zeros((SIDE, SIDE), np.uint8))
    data = replace(config.data, folder=str(folder))
    context = TrainContext(replace(config, data=data), load_capture(data), head, CPU)
    state = SurfelState.of(context, _copied(snapshot))
    clothes = PART_NAMES.index("clothes")
    quick, final = (state.avatar({}, is_final=final).wardrobe for final in (False, True))
    guess = with_guessed_parts(quick, head)
    assert torch.equal(quick.everything.part, guess.everything.part)
    assert (final.source.part == clothes).float().mean() > 0.5
