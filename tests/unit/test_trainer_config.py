"""The trainer's configuration and what its command line says of mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from pegasus_runtime.constraints import Constraint
from pegasus_runtime.errors import InvalidInput
from trainer.cli import main
from trainer.config.loading import load_config, to_yaml, with_absolute_paths
from trainer.config.presets import describe_training
from trainer.config.settings import refuse_changes, values_of
from trainer.config.training import DataConfig, TrainingConfig
from trainer.synthetic.config import CaptureConfig

ROOT = Path(__file__).resolve().parents[2]


def read(*settings: str) -> TrainingConfig:
    return load_config(TrainingConfig, None, settings)


def test_yaml_there_and_back(tmp_path: Path) -> None:
    config = read(
        "steps=1e3",
        "points.noise=1e-1",
        "losses.part_weights={eyes: 4}",
        "losses.flame_halvings=[1, 2]",
        "name=no",
        "data.source=074",
    )
    assert (config.steps, config.points.noise, config.name) == (1000, 0.1, "no")
    assert config.losses.part_weights == {"eyes": 4.0} and config.losses.flame_halvings == (1, 2)
    path = tmp_path / "c.yaml"
    path.write_text(to_yaml(config), "utf-8")
    assert load_config(TrainingConfig, path) == config
    assert yaml.safe_load(path.read_text("utf-8"))["data"]["source"] == "074"


@pytest.mark.parametrize(
    "text",
    ["074", "1e3", "no", "null", "~", "2024-05-01", "12:30", "0x10", "a: b", "# a", "[a", "é"],
)
def test_text_settings_take_text(text: str, tmp_path: Path) -> None:
    assert read(f"data.source={text}").data.source == text
    assert read(f"data.source='{text}'").data.source == text
    path = tmp_path / "c.yaml"
    path.write_text(f"data: {{source: '{text}'}}\n", "utf-8")
    assert load_config(TrainingConfig, path).data.source == text
    if text[0] not in "#[" and ": " not in text:
        path.write_text(f"data:\n  source: {text}\n", "utf-8")
        assert load_config(TrainingConfig, path).data.source == text


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["stepz=3"], r"stepz is unknown; did you mean steps\?$"),
        (["points.maximun=3"], "did you mean points.maximum"),
        (["steps=many"], "steps = many: use a whole number from 1 to"),
        (["steps=0"], "from 1 to 100,000,000"),
        (["steps=1.5"], "a whole number"),
        (["steps=true"], "a whole number"),
        (["steps="], r"steps = \(nothing\)"),
        (["steps=[1]"], "a whole number"),
        (["steps={a: 1}"], "a whole number"),
        (["steps=" + "9" * 400], "a whole number"),
        (["steps=" + "9" * 5000], "a whole number"),
        (["seed=-1"], "from 0 to 4,294,967,295"),
        (["optimiser.points=nan"], "optimiser.points = nan: use a number from 0 to 10"),
        (["optimiser.points=.inf"], "optimiser.points"),
        (["optimiser.networks=-1e-3"], "optimiser.networks = -1e-3"),
        (["losses.rgb=1e999"], "losses.rgb"),
        (["data.source_share=0"], "above 0, up to 1"),
        (["points.prune=2"], "true or false"),
        (["losses.flame_halvings=3"], "a list of whole numbers"),
        (["losses.part_weights={eyes: x}"], "names with numbers"),
        (["model.kind=gaussians"], "surfels or published"),
        (["device=tpu"], "cuda or cuda:N"),
        (["points=3"], "expected a section"),
        (["steps"], "key=value"),
        (["=1"], "key=value"),
        (["points.initial=9", "points.maximum=8"], "points.maximum = 8: use at least"),
        (["points.minimum_radius=0.5"], "points.minimum_radius"),
        (["model.geometry_skip=5"], "model.geometry_skip = 5: use less than model.geometry_depth"),
        (["data.held_out_every=1"], "data.held_out_every"),
        (["name=a/b"], "file name"),
        (["name="], "file name"),
        (["name=nul"], "file name"),
        (["name=a\0b"], "file name"),
        (["data.folder=a\nb"], "text on one line"),
        (["model.drawn_per_pixel=0"], "1 to 150"),
        (["steps=0", "batch_size=no", "points.maximun=1"], "batch_size.*steps|steps.*batch_size"),
    ],
)
def test_mistakes_are_named(settings: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=says) as refusal:
        read(*settings)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 700


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: [", "not valid YAML"),
        ("- 1\n- 2\n", "keys and values"),
        ("steps", "keys and values"),
        ("steps: 1\nsteps: 2\n", "twice"),
        ("a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{n}: &{n} [{', '.join([f'*{m}'] * 9)}]\n" for m, n in pairwise("abcdefghi")
        ), "values"),
        ("steps: " + "[" * 500 + "]" * 500, "deep"),
        ("? [1, 2]\n: 3\n", "c.yaml"),
        ("steps: !!python/object/apply:os.getcwd []\n", "c.yaml"),
    ],
)  # fmt: skip
def test_files_that_are_no_configuration(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=says) as refusal:
        load_config(TrainingConfig, path)
    assert "\n" not in str(refusal.value)


def test_an_empty_file_has_the_usual_values(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("# nothing yet\npoints:\n", "utf-8")
    assert load_config(TrainingConfig, path) == TrainingConfig()


def test_python_is_held_to_the_same() -> None:
    with pytest.raises(InvalidInput, match="image_size"):
        DataConfig(image_size=True)
    with pytest.raises(InvalidInput, match="steps"):
        replace(TrainingConfig(), steps=10**400)
    assert TrainingConfig(seed=0).points.noise == 0.5
    assert isinstance(DataConfig(memory_gb=1).memory_gb, float)


@pytest.mark.parametrize("path", sorted((ROOT / "resources" / "presets").glob("*.yaml")))
def test_presets_are_valid(path: Path) -> None:
    kind = CaptureConfig if path.stem.endswith(("capture", "pairs")) else TrainingConfig
    assert load_config(kind, path)


def test_what_cannot_change_in_a_run_is_named() -> None:
    before = values_of(read("steps=10", "seed=3", "model.geometry_width=16"))
    refuse_changes(
        before, read("steps=20", "optimiser.points=1", "seed=3", "model.geometry_width=16")
    )
    refuse_changes({}, read("seed=3"))
    with pytest.raises(InvalidInput) as refusal:
        refuse_changes(before, read("seed=4", "model.geometry_width=32", "steps=11"))
    text = str(refusal.value)
    assert "seed cannot change in a run: it was 3, now it is 4" in text
    assert "model.geometry_width" in text and "steps" not in text and "\n" not in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--out", "OUT"], "data.folder"),
        (["train", "--out", "OUT", "--set", "data.folder=nowhere"], "nowhere"),
        (["train", "--out", "OUT", "--config", "missing.yaml"], "missing.yaml"),
        (["train", "--out", "OUT", "--set", "lr=1"], "lr is unknown"),
        (["train", "--out", "OUT", "--set", "steps=0"], "steps = 0"),
        (["preflight", "--out", "OUT", "--config", "missing.yaml"], "missing.yaml"),
        (["preflight", "--out", "OUT", "--set", "steps"], "key=value"),
        (["export-checkpoint", "nowhere", "--out", "OUT"], "nowhere"),
        (["capture", "--out", "OUT", "--set", "seed=x"], "seed = x"),
        (["synthesize", "--source", "no", "--database", "no", "--out", "OUT"], "--source wants"),
        (["synthesize", "--source", "no", "--out", "OUT", "--size", "9"], "--size"),
        (["evaluate", "--data", "x", "--out", "OUT"], "--avatar"),
        (["evaluate", "--avatar", "nowhere", "--data", "x", "--out", "OUT"], "nowhere"),
        (["evaluate", "--avatar", "demo", "--data", "nowhere", "--out", "OUT"], "nowhere"),
        (["trian"], "trian"),
        (["train"], "--out"),
        (["train", "--ou", "x"], "--out"),
        ([], "COMMAND"),
    ],
)
def test_commands_end_with_one_line_and_two(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [str(tmp_path / "run") if a == "OUT" else a for a in arguments]
    try:
        code = main(filled)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
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
    words = "capture preprocess synthesize train transfer evaluate describe preflight"
    for name in (*words.split(), "export-checkpoint"):
        assert name in done.stdout
    assert "| torch\n" not in done.stderr


def test_everything_is_described() -> None:
    described = json.loads(json.dumps(describe_training()))
    entries = {entry["key"]: entry for entry in described["settings"]}
    assert list(entries) == list(values_of(TrainingConfig()))
    for key, entry in entries.items():
        constraint = Constraint(
            **{**entry["constraint"], "choices": tuple(entry["constraint"]["choices"])}
        )
        assert constraint.convert(entry["default"]) == values_of(TrainingConfig())[key]
        assert entry["help"] and entry["label"] and constraint.allowed
        if constraint.kind in ("int", "float"):
            assert constraint.minimum is not None and constraint.maximum is not None, key
    presets = {preset["name"]: preset for preset in described["presets"]}
    assert list(presets) == [
        "personal_avatar", "single_person", "database_avatar", "transfer_target", "published",
        "video_quick", "video_good", "video_best", "people_quick", "people_good", "people_best",
    ]  # fmt: skip
    assert presets["transfer_target"]["values"] == presets["single_person"]["values"]
    for preset in presets.values():
        read_from = load_config(TrainingConfig, ROOT / "resources" / "presets" / preset["file"])
        values = values_of(TrainingConfig()) | preset["values"]
        assert values == values_of(read_from)
    for key in ("steps", "points.maximum", "model.geometry_width"):
        assert entries[key]["asks_for_gpu"]
    assert not entries["model.moves_points"]["asks_for_gpu"] and not entries["name"]["asks_for_gpu"]


def test_settings_of_earlier_versions_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("steps: 7\nwarm_start_steps: 600\nmodel: {tangent_precision: auto}\n", "utf-8")
    config = load_config(TrainingConfig, path, ["points.fill_gaps=true"])
    assert config == TrainingConfig(steps=7)


def test_paths_below_the_home_of_nobody_are_named() -> None:
    said = "head = ~nosuchuser2: no home.*data.folder = ~nosuchuser/x: no home"
    with pytest.raises(InvalidInput, match=said):
        with_absolute_paths(read("data.folder=~nosuchuser/x", "head=~nosuchuser2"))
