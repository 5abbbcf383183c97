"""The trainer's configuration and what its command line says of mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pegasus_runtime.errors import Refused
from trainer.__main__ import main
from trainer.config.description import describe
from trainer.config.kinds import describe_kinds
from trainer.config.loading import load_config, to_yaml
from trainer.config.training import TrainingConfig

ROOT = Path(__file__).resolve().parents[2]


def test_yaml_there_and_back(tmp_path: Path) -> None:
    config = load_config(
        TrainingConfig, None, ["steps=7", "points.noise=1e-1", "losses.part_weights={eyes: 4}"]
    )
    assert (config.steps, config.points.noise) == (7, 0.1)
    assert config.losses.part_weights == {"eyes": 4.0}
    path = tmp_path / "c.yaml"
    path.write_text(to_yaml(config), "utf-8")
    assert load_config(TrainingConfig, path) == config


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["stepz=3"], "did you mean steps"),
        (["points.maximun=3"], "did you mean points.maximum"),
        (["steps=many"], "expected int"),
        (["steps=0"], "1 or more"),
        (["points=3"], "expected a section"),
        (["steps"], "key=value"),
        (["points.initial=9", "points.maximum=8"], "points.maximum"),
        (["name=a/b"], "file name"),
        (["model.drawn_per_pixel=0"], "1 to 150"),
    ],
)
def test_mistakes_are_named(settings: list[str], says: str) -> None:
    with pytest.raises(Refused, match=says) as refusal:
        load_config(TrainingConfig, None, settings)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("path", sorted((ROOT / "resources" / "presets").glob("demo_[!c]*.yaml")))
def test_presets_are_valid(path: Path) -> None:
    assert load_config(TrainingConfig, path).steps > 0
    assert yaml.safe_load(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--out", "OUT"], "data.folder"),
        (["train", "--out", "OUT", "--set", "data.folder=nowhere"], "nowhere"),
        (["train", "--out", "OUT", "--config", "missing.yaml"], "missing.yaml"),
        (["train", "--out", "OUT", "--set", "lr=1"], "unknown key lr"),
        (["evaluate", "x"], "not part of this version"),
    ],
)
def test_commands_end_with_one_line_and_two(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [str(tmp_path / "run") if a == "OUT" else a for a in arguments]
    assert main(filled) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_help_is_quick_and_complete() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "trainer", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for name in ("capture", "preprocess", "synthesize", "train", "transfer", "evaluate"):
        assert name in done.stdout
    assert "| torch\n" not in done.stderr


def test_kinds_bring_the_values_of_their_presets() -> None:
    kinds = {kind["name"]: kind for kind in describe_kinds(describe())}
    assert list(kinds) == ["personal_avatar", "single_person", "database_avatar", "transfer_target"]
    assert kinds["transfer_target"]["values"] == kinds["single_person"]["values"]
    for kind in kinds.values():
        preset = load_config(TrainingConfig, ROOT / "resources" / "presets" / kind["preset"])
        assert kind["values"]["steps"] == preset.steps
        assert kind["values"]["points.maximum"] == preset.points.maximum
        assert {"steps", "points.maximum", "model.geometry_width"} <= set(kind["sizes"])
        assert "model.moves_points" not in kind["sizes"] and "name" not in kind["sizes"]
