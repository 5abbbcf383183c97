"""A training that begins with other people: what is looked at before, and what a run keeps."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.onnx_file import write_pixel_network
from tests.talking_demo import filmed_demo
from tests.unit.test_database_people import write_person
from tests.videos import write_video
from trainer.config.data import DataConfig
from trainer.config.presets import PRESETS
from trainer.config.training import TrainingConfig
from trainer.data.machine_check import run_bytes
from trainer.data.preflight import preflight
from trainer.data.preflight_report import Report
from trainer.database.people import SOURCE
from trainer.engine.event_log import EVENTS_FILE
from trainer.engine.people_database import (
    as_asked,
    make_database,
    person_of,
    synthesis_settings,
    videos_in,
    with_database,
)
from trainer.engine.preparation import part_of, preparing
from trainer.engine.video_capture import captures_beside
from trainer.preprocess.manifest import Manifest
from trainer.preprocess.onnx_networks import PARSING_CLASSES
from trainer.preprocess.steps import Options, digests_of
from trainer.preprocess.video import share_to_do, usual_steps


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    write_person(folder / "me" / "source", {"nose": 3})
    write_person(folder / "D" / "ann", {"hair": 9, "nose": 3})
    write_person(folder / "D" / "ben", {"hat": 9, "nose": 3})
    return folder


def config_of(folders: Path, **changes: object) -> TrainingConfig:
    data = DataConfig(folder=str(folders / "me"), people=str(folders / "D"), people_frames=3)
    return TrainingConfig(data=replace(data, **changes))


def test_the_look_is_a_table_with_costs(folders: Path, tmp_path: Path) -> None:
    report = preflight(config_of(folders), tmp_path / "run")
    assert not report.problems and not (tmp_path / "run").exists()
    offered = {a["name"]: a for a in report.attributes if not a["reason"]}
    assert set(offered) == {"hair_ann", "nose_ann", "hat_ben", "nose_ben"}
    for each in offered.values():
        assert base64.b64decode(each["picture"]).startswith(b"\xff\xd8")
    missing = {a["name"]: a["reason"] for a in report.attributes if a["reason"]}
    assert "frames" in missing["hat_ann"] and "know no" in missing["eyeglasses_ann"]
    assert report.facts["Attributes"] == "4 of 2 people" and report.seconds > 60
    costs = report.costs_by_preset
    assert set(costs) == {"people_quick", "people_good", "people_best"}
    assert 0 < costs["people_quick"]["seconds"] < costs["people_best"]["seconds"]
    assert all(each["bytes_per_attribute"] > 0 for each in costs.values())
    # The training's own checkpoints are told as well.
    presets = {p.name: p.config() for p in PRESETS if p.is_of_people}
    assert all(costs[name]["bytes"] > run_bytes(preset) for name, preset in presets.items())
    few = preflight(config_of(folders, attributes=("hat_ben",)), tmp_path / "run")
    assert few.facts["Attributes"] == "1 of 1 people" and few.seconds < report.seconds
    assert len(few.attributes) == len(report.attributes)


@pytest.mark.slow
def test_hats_in_videos_are_found_by_a_network(folders, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path / "assets"))
    (tmp_path / "assets").mkdir()
    people = tmp_path / "people"
    people.mkdir()
    write_video(people / "ann.mkv", filmed_demo(14)[:8], rate=25)
    config = config_of(folders, people=str(people))
    reasons = _reasons(preflight(config, tmp_path / "run"))
    assert "needs bisenet.onnx" in reasons["hat"] and "asset folder" in reasons["eyeglasses"]
    assert not any(reasons[c] for c in ("hair", "nose", "ears", "mouth"))
    # It takes what is greenish for background, and all of the person for a hat.
    weights = np.zeros((len(PARSING_CLASSES), 3))
    weights[PARSING_CLASSES.index("background")] = (-1, 1.5, 0)
    weights[PARSING_CLASSES.index("hat")] = (1, -1.5, 0)
    write_pixel_network(tmp_path / "assets" / "bisenet.onnx", weights)
    report = preflight(config, tmp_path / "run")
    reasons = _reasons(report)
    assert not reasons["hat"] and reasons["hair"] == "is under a hat"
    assert "0%" in reasons["eyeglasses"]
    shown = [a["picture"] for a in report.attributes if not a["reason"]]
    assert all(shown) and len(set(shown)) > len(shown) // 2


@pytest.mark.slow
def test_what_was_made_of_a_video_before_takes_no_time(folders, tmp_path) -> None:
    people, runs = tmp_path / "people", tmp_path / "runs"
    people.mkdir()
    ann = write_video(people / "ann.mkv", filmed_demo(14)[:8], rate=25)
    me = write_video(tmp_path / "me.mkv", filmed_demo(14)[:9], rate=25)
    config = config_of(folders, folder="", video=str(me), people=str(people), video_frames=4)

    def costs() -> dict[str, float]:
        return preflight(config, runs / "new").costs_by_preset["people_quick"]

    slow = costs()
    write_done(runs / "one" / "capture" / "me", me, Options(every=1, limit=200))
    write_done(runs / "two" / "people" / "ann", ann, Options(every=1, limit=200))
    quick = costs()
    # Looks take now more, now less, and what follows is as long as before.
    assert quick["bytes"] == slow["bytes"]
    for video, folder in ((me, "me"), (ann, "ann")):
        beside = captures_beside(runs / "new")
        for limit, low, high in ((200, 0.0, 0.0), (400, 0.3, 0.9)):
            options = Options(every=1, limit=limit)
            left = share_to_do(video, tmp_path / folder, options, beside, 8)
            assert low <= left <= high, (video, limit)
    other = Options(every=1, limit=200, size=1024)
    assert share_to_do(me, tmp_path, other, captures_beside(runs / "new"), 8) > 0.6
    me.write_bytes(me.read_bytes() + b"x")
    assert share_to_do(me, tmp_path, Options(), captures_beside(runs / "new"), 8) == 1.0


def write_done(subject: Path, video: Path, options: Options) -> None:
    """The note of a capture that is whole."""
    facts = video.stat()
    source = {"path": str(video), "bytes": facts.st_size, "changed_ns": facts.st_mtime_ns}
    manifest = Manifest(subject / "preprocess" / "manifest.json", {**source, "digest": "abc"})
    steps = usual_steps()
    for name, digest in digests_of(steps, options, manifest).items():
        step = next(each for each in steps if each.name == name)
        manifest.steps[name] = {
            "digest": digest, "done": True, "settings": step.settings(options), "source": "abc",
            "version": step.version,
        }  # fmt: skip
    manifest.path.parent.mkdir(parents=True)
    manifest.save()


def _reasons(report: Report) -> dict[str, str]:
    return {a["category"]: a["reason"] for a in report.attributes}


def _mixed(folders: Path, tmp_path: Path) -> dict[str, object]:
    write_person(tmp_path / "mixed" / "ann", {"nose": 3}, 2)
    (tmp_path / "mixed" / "ben.mp4").touch()
    return {"people": str(tmp_path / "mixed")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (lambda f, t: {"people": str(t / "none")}, "no such folder"),
        (lambda f, t: {"people": str(t)}, "holds no captures"),
        (lambda f, t: {"folder": ""}, "No person is chosen"),
        (lambda f, t: {"folder": str(t / "none")}, "there is no such folder"),
        (lambda f, t: {"attributes": ("hair_zoe",)}, "nobody in it has"),
        (_mixed, "videos beside captures"),
    ],
    ids=["nowhere", "empty", "nobody", "no person", "unknown", "mixed"],
)
def test_what_cannot_be_used_is_one_line(folders, tmp_path, changes, said) -> None:
    report = preflight(config_of(folders, **changes(folders, tmp_path)), tmp_path / "run")
    assert said in report.problems[0]["text"] and "\n" not in report.problems[0]["text"]
    assert report.problems[0]["fix"]


def test_a_run_keeps_what_it_was_asked(folders: Path, tmp_path: Path) -> None:
    asked = config_of(folders, source="source", folder=str(folders / "me"))
    assert person_of(asked) == folders / "me" / "source"
    assert person_of(config_of(folders, source="x")) == folders / "me"
    trained = with_database(asked, tmp_path)
    assert trained.data.source == SOURCE and trained.data.folder == str(tmp_path / "database")
    (tmp_path / "database").mkdir()
    note = {"source": str(folders / "me" / "source")}
    (tmp_path / "database" / "synthesis.json").write_text(json.dumps(note), "utf-8")
    assert as_asked(trained, tmp_path) == asked and as_asked(asked, tmp_path) == asked
    filmed = config_of(folders, folder="", video="me.mp4")
    note = {"source": str(tmp_path / "capture" / "me")}
    (tmp_path / "database" / "synthesis.json").write_text(json.dumps(note), "utf-8")
    assert as_asked(with_database(filmed, tmp_path), tmp_path) == filmed


def test_a_database_is_made_once(folders: Path, tmp_path: Path) -> None:
    config, said = config_of(folders), []
    chosen = synthesis_settings(config)
    made = {
        "people": config.data.people, "attributes": [], "frames": 3, "size": chosen.size,
        "steps": chosen.steps, "head": "",
    }  # fmt: skip
    (tmp_path / "database.json").write_text(json.dumps(made), "utf-8")
    make_database(config, tmp_path, said.append, lambda words, share: None)
    assert "put on already" in said[0] and not (tmp_path / "database").exists()


def test_people_who_lend_nothing_are_told_in_the_runs_events(folders, tmp_path) -> None:
    config = config_of(folders, attributes=("hair_zoe",))
    with pytest.raises(InvalidInput, match="nobody in it can lend"):
        make_database(config, tmp_path, print, lambda words, share: None)
    assert "nobody" in json.loads((tmp_path / EVENTS_FILE).read_text("utf-8"))["failed"]


def test_parts_tell_their_share_of_the_whole(tmp_path: Path) -> None:
    with preparing(tmp_path, "it is made") as tell:
        part_of(tell, 0.2, 0.6, "ann: ")("Reading", 0.5)
    told = json.loads((tmp_path / EVENTS_FILE).read_text("utf-8"))
    assert told == {"preparing": "ann: Reading", "share": 0.4, "seconds_left": None}


def test_videos_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("b.MP4", "a.mov", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in videos_in(tmp_path)] == ["a.mov", "b.MP4"]
    with pytest.raises(InvalidInput, match="is a file"):
        videos_in(tmp_path / "notes.txt")
