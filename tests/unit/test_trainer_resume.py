"""A run that goes on: which settings count, which are refused, and on which head."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import pegasus_runtime as pr
from pegasus_runtime.head.head_file import write_head
from tests.factories import SIDE, other_head, write_small_capture
from trainer.cli import main

pytestmark = pytest.mark.slow

SETTINGS = {
    "checkpoint_every": 1,
    "preview_every": 1000,
    "threads": 1,
    "device": "cpu",
    "data.image_size": SIDE,
    "data.held_out_every": 0,
    "points.initial": 200,
    "points.maximum": 300,
    "losses.vgg": 0,
}


def sets(**settings: object) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head that is not the free one."""
    path = tmp_path_factory.mktemp("head") / "own.head"
    write_head(other_head(), path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, head: Path) -> Path:
    """A run of two steps on its own head."""
    folder = tmp_path_factory.mktemp("run")
    capture = write_small_capture(folder / "capture", {"source": 3})
    words = sets(**{**SETTINGS, "data.folder": capture, "steps": 2, "data.source": "source"})
    assert main(["train", "--out", str(folder / "run"), "--head", str(head), *words]) == 0
    return folder / "run"


def rates(run: Path) -> list[dict[str, float]]:
    lines = (run / "events.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["learning_rates"] for line in lines]


def test_a_run_keeps_its_head_and_takes_new_settings(
    run: Path, head: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = pr.load_head(head).sha256
    config = run / "config.yaml"
    assert yaml.safe_load(config.read_text("utf-8"))["head"] == str(head)
    assert pr.load_avatar(run / "avatar.avatar", head=head).head.sha256 == own
    before = config.read_text("utf-8")
    for words, says in (
        (["--head", ""], "head = (nothing"),
        (sets(seed=5, **{"points.initial": 9}), "seed cannot change in a run: it was 0, now it is"),
    ):
        assert main(["train", "--out", str(run), *words]) == 2
        error = capsys.readouterr().err
        assert says in error and "Traceback" not in error
        assert config.read_text("utf-8") == before

    # Nothing but what is new has to be said: the run's own settings hold.
    changed = sets(**{"steps": 3, "optimiser.colour": 0.004, "optimiser.final_share": 1})
    assert main(["train", "--out", str(run), *changed]) == 0
    assert rates(run)[-1]["colour"] == pytest.approx(0.004)
    assert len(rates(run)) == 3
    avatar = pr.load_avatar(run / "avatar.avatar", head=head)
    assert avatar.head.sha256 == own and avatar.provenance["config"]["head"] == head.name

    capsys.readouterr()
    shown = tmp_path / "shown.avatar"
    assert main(["export-checkpoint", str(run), "--out", str(shown)]) == 0
    assert json.loads(capsys.readouterr().out) == {"step": 3}
    assert pr.load_avatar(shown, head=head).head.sha256 == own


def test_a_look_before_names_the_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", str(tmp_path / "run"), "--head", str(tmp_path / "none.pkl")]
    assert main(["preflight", *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert any("none.pkl" in problem["text"] for problem in report["problems"])
    assert main(["preflight", *words, *sets(steps=0, **{"points.maximum": 1})]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {problem["key"] for problem in report["problems"]} == {"steps", "points.maximum"}
