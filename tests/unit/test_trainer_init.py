"""Hand-over from stage to stage, the optional feature loss, the dry run."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.avatar.avatar import PublishedAvatar
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_free_head
from pegasus_runtime.surfels.avatar import SurfelAvatar
from tests.factories import SIDE, write_small_capture
from trainer.cli import main
from trainer.config.loading import load_config, to_yaml
from trainer.config.training import DataConfig, ModelConfig, PointConfig, TrainingConfig
from trainer.data.dataset import load_capture
from trainer.engine.dry_run import Estimate, total_seconds
from trainer.engine.models import new_state
from trainer.engine.train import train
from trainer.engine.train_state import TrainContext
from trainer.losses.perceptual import FeatureLoss, find_feature_loss

pytestmark = pytest.mark.slow

PRESETS = Path(__file__).resolve().parents[2] / "resources" / "presets"


def config_for(folder: Path) -> TrainingConfig:
    return TrainingConfig(
        steps=3,
        device="cpu",
        threads=1,
        data=DataConfig(folder=str(folder), image_size=SIDE, held_out_every=3),
        points=PointConfig(initial=200, maximum=200, initial_radius=0.1),
    )


def published(config: TrainingConfig) -> TrainingConfig:
    """The same with the published model."""
    small = {"geometry_width": 16, "geometry_depth": 2, "deformer_width": 16, "shading_width": 8}
    return replace(config, model=ModelConfig(kind="published", **small))


def begun(config: TrainingConfig) -> pr.Avatar:
    """What a training starts with."""
    cpu = torch.device("cpu")
    return new_state(TrainContext(config, load_capture(config.data), load_free_head(), cpu)).avatar(
        {}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person with two attributes."""
    root = tmp_path_factory.mktemp("capture")
    return write_small_capture(root, {"source": 4, "hat_a": 3, "nose_b": 3})


@pytest.fixture(scope="module", params=["surfels", "published"])
def earlier(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """An avatar of the person with one of them."""
    root = write_small_capture(tmp_path_factory.mktemp("first"), {"source": 4, "hat_a": 3})
    config = replace(config_for(root), steps=1)
    config = published(config) if request.param == "published" else config
    (root / "previews").mkdir()
    avatar = train(config, load_capture(config.data), load_free_head(), root)
    avatar.save(root / "a.avatar")
    return root / "a.avatar"


def test_what_was_learned_is_handed_over_by_name(folder: Path, earlier: Path) -> None:
    before = pr.load_avatar(earlier)
    config = replace(config_for(folder), start_from=str(earlier))
    if isinstance(before, SurfelAvatar):
        avatar = begun(config)
        assert isinstance(avatar, SurfelAvatar)
        ours, theirs = avatar.wardrobe, before.wardrobe
        assert [a.name for a in ours.attributes] == ["hat_a", "nose_b"]
        assert len(ours.source) == len(theirs.source)
        assert len(ours.attributes[0].region) == len(theirs.attributes[0].region)
        # A tongue is coloured anew from lips that the file has rounded.
        torch.testing.assert_close(
            *(each.source.colour.sort(dim=0).values for each in (ours, theirs)),
            atol=4e-3, rtol=0,
        )  # fmt: skip
        with pytest.raises(InvalidInput, match="of surfels; start from one of the published"):
            begun(published(config))
        return
    assert isinstance(before, PublishedAvatar)
    avatar = begun(published(config))
    assert isinstance(avatar, PublishedAvatar)
    assert avatar.attribute_names == ("hat_a", "nose_b")
    assert torch.equal(avatar.codes.attributes[0], before.codes.attributes[0])
    assert torch.equal(avatar.codes.source, before.codes.source)
    assert torch.equal(avatar.points, before.points) and avatar.radius == before.radius
    networks = avatar.networks.state_dict(), before.networks.state_dict()
    assert all(torch.equal(value, networks[1][name]) for name, value in networks[0].items())
    with pytest.raises(InvalidInput, match="of the published model; start from one of surfels"):
        begun(config)
    wider = replace(published(config), model=ModelConfig(kind="published", geometry_width=24))
    with pytest.raises(
        InvalidInput, match="trained with .*geometry_width 16.*; configure the same"
    ):
        begun(wider)


def test_an_avatar_does_not_say_where_its_maker_keeps_files(folder: Path, earlier: Path) -> None:
    config = replace(config_for(folder), start_from=str(earlier), steps=1)
    if not isinstance(pr.load_avatar(earlier), SurfelAvatar):
        config = published(config)
    run = earlier.parent / "next"
    (run / "previews").mkdir(parents=True)
    made = train(config, load_capture(config.data), load_free_head(), run)
    assert made.provenance["config"]["start_from"] == "a.avatar"
    assert str(folder.parent) not in str(made.provenance)


@pytest.mark.parametrize("model", ["surfels", "published"])
def test_an_earlier_avatar_that_is_not_there_is_named(folder: Path, model: str) -> None:
    config = replace(config_for(folder), start_from="no.avatar")
    with pytest.raises(FileNotFoundError, match=r"no\.avatar"):
        begun(published(config) if model == "published" else config)


def test_the_published_model_begins_on_a_sphere(folder: Path) -> None:
    avatar = begun(published(config_for(folder)))
    assert isinstance(avatar, PublishedAvatar) and len(avatar.points) == 200
    assert torch.allclose(avatar.points.norm(dim=1), torch.tensor(0.5), atol=1e-5)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random ones, in the layout of the trained ones."""
    generator = torch.Generator().manual_seed(0)
    channels = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256)}
    channels |= dict.fromkeys((12, 14, 16), (256, 256))
    channels |= {19: (256, 512)} | dict.fromkeys((21, 23, 25), (512, 512))
    made = {}
    for number, (inner, outer) in channels.items():
        weight = torch.randn(outer, inner, 3, 3, generator=generator) * (2 / (9 * inner)) ** 0.5
        made[f"features.{number}.weight"] = weight
        made[f"features.{number}.bias"] = torch.zeros(outer)
    return made


def test_the_feature_loss_sees_texture(weights: dict[str, torch.Tensor]) -> None:
    loss = FeatureLoss(weights, torch.device("cpu"))
    picture = torch.rand(16, 24, 3, requires_grad=True)
    assert float(loss(picture.detach(), picture.detach())) == 0
    other = loss(picture, torch.full((16, 24, 3), 0.5))
    other.backward()
    assert (
        float(other.detach()) > 0.01 and picture.grad is not None and picture.grad.abs().max() > 0
    )


def test_the_feature_loss_is_optional(
    weights: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path))
    cpu = torch.device("cpu")
    assert find_feature_loss(cpu) is None
    file = tmp_path / "vgg19-dcbb9e9d.pth"
    torch.save(weights, file)
    assert find_feature_loss(cpu) is not None
    torch.save({"features.0.weight": weights["features.0.weight"]}, file)
    with pytest.raises(InvalidInput, match=r"features\.0\.bias.*torchvision"):
        find_feature_loss(cpu)
    file.write_bytes(b"no weights")
    with pytest.raises(InvalidInput, match="fetch it again"):
        find_feature_loss(cpu)


def test_training_without_the_weights_says_so_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path / "assets"))
    (tmp_path / "previews").mkdir()
    config = config_for(folder)
    train(config, load_capture(config.data), load_free_head(), tmp_path)
    assert capsys.readouterr().out.count("without the feature loss") == 1


def test_a_dry_run_measures_and_leaves_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(to_yaml(config_for(folder)), "utf-8")
    out = tmp_path / "run"
    assert main(["train", "--config", str(path), "--out", str(out), "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert " points:" in said and "s a step" in said and "minutes" in said
    assert not out.exists()


def test_the_estimate_follows_the_growth() -> None:
    config = TrainingConfig(
        steps=30, points=PointConfig(initial=100, maximum=400, grow_every=10, initial_radius=0.1)
    )
    estimates = [Estimate(100, 1.0, None), Estimate(400, 4.0, None)]
    assert total_seconds(config, estimates) == pytest.approx(10 + 20 + 40)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_are_accepted(path: Path) -> None:
    from trainer.synthetic.capture import CaptureConfig

    kind = CaptureConfig if path.stem.endswith(("capture", "pairs")) else TrainingConfig
    assert load_config(kind, path)


def test_structural_similarity_knows_same_and_different() -> None:
    from trainer.engine.evaluation import structural_similarity

    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(24, 32, 3, generator=generator)
    noise = torch.rand(24, 32, 3, generator=generator)
    assert float(structural_similarity(picture, picture)) == pytest.approx(1)
    assert abs(float(structural_similarity(picture, noise))) < 0.1
    # Two even pictures differ in light alone: (2·a·b + c) / (a² + b² + c).
    even = structural_similarity(torch.full((16, 16, 1), 0.4), torch.full((16, 16, 1), 0.6))
    assert float(even) == pytest.approx((0.48 + 1e-4) / (0.52 + 1e-4), rel=1e-4)


@pytest.fixture(scope="module")
def lpips_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, in the layout of the trained ones."""
    folder = tmp_path_factory.mktemp("assets")
    generator = torch.Generator().manual_seed(0)
    layers = {
        0: (3, 64, 11),
        3: (64, 192, 5),
        6: (192, 384, 3),
        8: (384, 256, 3),
        10: (256, 256, 3),
    }
    network, weights = {}, {}
    for place, (number, (inner, outer, side)) in enumerate(layers.items()):
        shape = (outer, inner, side, side)
        network[f"features.{number}.weight"] = torch.randn(*shape, generator=generator) * 0.05
        network[f"features.{number}.bias"] = torch.zeros(outer)
        weights[f"lin{place}.model.1.weight"] = torch.ones(1, outer, 1, 1)
    torch.save(network, folder / "alexnet-owt-7be5be79.pth")
    torch.save(weights, folder / "lpips_alex.pth")
    return folder


def test_lpips(lpips_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.engine.lpips import MIN_SIDE, find_perceptual_distance

    monkeypatch.setenv("PEGASUS_ASSETS", str(lpips_files))
    distance = find_perceptual_distance()
    assert distance is not None
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, MIN_SIDE, MIN_SIDE, 3, generator=generator)
    assert distance(first, first) == 0
    assert distance(first, second) == pytest.approx(distance(second, first))
    # Squared distances of unit vectors, none of them negative anywhere: at most 2 in each layer.
    assert distance(first, (first + second) / 2) < distance(first, second) < 10


def test_lpips_is_reported_where_its_weights_are(
    folder: Path, lpips_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.engine.evaluation import evaluate
    from trainer.engine.summary import summarise

    config = config_for(folder)
    capture = load_capture(config.data)
    avatar = begun(published(config))
    assert "LPIPS" not in summarise(avatar, evaluate(avatar, capture, "cpu"))
    monkeypatch.setenv("PEGASUS_ASSETS", str(lpips_files))
    found = summarise(avatar, evaluate(avatar, capture, "cpu"))
    assert "LPIPS" in found
    (lpips_files / "lpips_alex.pth").write_bytes(b"none")
    with pytest.raises(InvalidInput, match="lpips_alex"):
        evaluate(avatar, capture, "cpu")


@pytest.mark.skipif(os.name == "nt", reason="file sizes are limited in POSIX's way")
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    import resource

    from trainer.engine.checkpoints import Checkpoints, list_checkpoints

    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, {"value": torch.ones(3)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(
            InvalidInput,
            match=r"step-00000002: cannot be written \(File too large\).* free some space",
        ):
            checkpoints.save(2, {"value": torch.ones(1 << 20)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000001"]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]
    state = checkpoints.restore("auto")
    assert state is not None and torch.equal(state["value"], torch.ones(3))
    checkpoints.save(2, {"value": torch.ones(1 << 20)})
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000002"]


def test_a_disk_that_fills_up_in_between_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("trainer.engine.event_log.EventLog.write", write)
    path, out = tmp_path / "c.yaml", tmp_path / "run"
    path.write_text(to_yaml(config_for(folder)), "utf-8")
    assert main(["train", "--config", str(path), "--out", str(out)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"trainer: {out}: ") and "free some space" in said
    assert (out / "checkpoints" / "step-00000000").is_dir() and not list(out.glob("*.avatar"))


def test_what_an_attribute_changes_elsewhere_is_measured(folder: Path) -> None:
    from trainer.engine.evaluation import evaluate
    from trainer.engine.summary import summarise

    config = config_for(folder)
    capture = load_capture(config.data)
    avatar = begun(published(config))
    scores = evaluate(avatar, capture, "cpu")
    assert scores["source"].outside is None
    assert scores["hat_a"].outside is not None and scores["hat_a"].outside > 0
    with torch.no_grad():
        codes = avatar.codes
        codes.attributes[codes.attribute_names.index("hat_a")] = codes.zero[0]  # no hat
    same = evaluate(avatar, capture, "cpu")
    assert same["hat_a"].outside == 0
    assert "outside" in summarise(avatar, same)


def test_device_use_is_measured_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.engine import utilisation

    now = {"wall": 100.0, "worked": 5.0}
    monkeypatch.setattr(utilisation.time, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(utilisation.time, "process_time", lambda: now["worked"])
    monkeypatch.setattr(utilisation.os, "cpu_count", lambda: 4)
    use = utilisation.DeviceUse(torch.device("cpu"))
    assert use.percent() is None
    now.update(wall=100.5, worked=6.0)
    assert use.percent() is None
    now.update(wall=102.0, worked=9.0)
    assert use.percent() == 50
    now.update(wall=102.1, worked=99.0)
    assert use.percent() == 50
