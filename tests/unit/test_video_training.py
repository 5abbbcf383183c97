"""A training that begins with a video: its capture is made first, in the run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.run_request import STOP, ask
from tests.talking_demo import filmed_demo
from tests.videos import grey_levels, write_video
from trainer.cli import main
from trainer.config.data import DataConfig
from trainer.config.training import TrainingConfig
from trainer.engine.checkpoint_avatar import export_checkpoint
from trainer.engine.stop_requests import Interrupted
from trainer.engine.train import provenance_of
from trainer.engine.video_capture import as_asked, frame_options, make_capture, with_capture
from trainer.preprocess.frames import open_source
from trainer.preprocess.steps import OWN_FOLDER

COUNT = 6
QUICK = (
    "steps=2", "checkpoint_every=1", "preview_every=2", "points.initial=300", "points.maximum=300",
    "data.image_size=64", "data.source_share=1", "data.held_out_every=0", "device=cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    return write_video(folder / "my talk.mkv", filmed_demo(14)[:COUNT], rate=25)


def train(video: Path, out: Path) -> int:
    words = [word for text in (f"data.video={video}", *QUICK) for word in ("--set", text)]
    return main(["train", *words, "--out", str(out)])


def events(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_a_training_makes_the_capture_of_its_video_first(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(film, run) == 0
    assert (run / "capture" / "my_talk" / "flame_params.json").is_file()
    assert (run / "avatar.avatar").is_file()
    # Lines that tell of no step are gone with the training's first one.
    assert [event["step"] for event in events(run)] == [1, 2]
    kept = yaml.safe_load((run / "config.yaml").read_text("utf-8"))["data"]
    assert (kept["video"], kept["folder"], kept["source"]) == (str(film), "", "source")
    # The folder is carried about, and the video deleted.
    moved = run.rename(tmp_path / "moved")
    assert export_checkpoint(moved, tmp_path / "out.avatar") == 2
    film.rename(film.with_suffix(".gone"))
    try:
        capsys.readouterr()
        words = ["train", "--set", "steps=3", "--out", str(moved)]
        assert main(words) == 0
        assert "is not there any more" in capsys.readouterr().err
        assert [event["step"] for event in events(moved)] == [1, 2, 3]
    finally:
        film.with_suffix(".gone").rename(film)


def test_it_can_be_stopped_while_the_video_is_read_and_goes_on(film: Path, tmp_path: Path) -> None:
    config = with_capture(TrainingConfig(data=DataConfig(video=str(film))), tmp_path)
    said: list[str] = []

    def stop_at(wanted: str) -> list[str]:
        seen: list[str] = []

        def report(step: str, share: float) -> None:
            assert 0 <= share <= 1
            seen.append(step)
            if step == wanted:
                ask(tmp_path, STOP)

        with pytest.raises(Interrupted, match="stopped while the video is read"):
            make_capture(config, tmp_path, said.append, report)
        return seen

    assert set(stop_at("faces")) == {"faces"}
    found = (tmp_path / "capture" / "my_talk" / OWN_FOLDER).iterdir()
    assert {"manifest.json"} <= {path.name for path in found}
    assert stop_at("landmarks")[-1] == "landmarks" and not said
    lines = events(tmp_path)
    assert lines[0]["preparing"] == "Reading the video" and lines[-1]["share"]
    assert all("step" not in line for line in lines)


def _write_text(path: Path) -> Path:
    path.write_text("no video", "utf-8")
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_write_text, "no video"),
        (lambda path: write_video(path, grey_levels(6)), "no face was found"),
        (lambda path: path, "no such file"),
    ],
    ids=["text", "grey", "missing"],
)
def test_a_bad_video_is_one_line_and_an_event(
    make: object, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(make)
    video, run = make(tmp_path / "x.mkv"), tmp_path / "run"
    assert train(video, run) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("trainer: ") and says in line and "x.mkv" in line
    if video.is_file():
        assert says in str(events(run)[-1]["failed"])
    else:
        assert not run.exists()


def test_the_folder_and_the_person_are_those_of_the_video_unless_given(tmp_path: Path) -> None:
    asked = TrainingConfig(data=DataConfig(video="a/my talk.mp4"))
    made = with_capture(asked, tmp_path)
    assert made.data.folder == str(tmp_path / "capture") and made.data.source == "my_talk"
    assert as_asked(made, tmp_path) == asked
    given = TrainingConfig(data=DataConfig(video="a/b.mp4", folder="there", source="me"))
    assert with_capture(given, tmp_path) == given == as_asked(given, tmp_path)
    plain = TrainingConfig(data=DataConfig(folder="there"))
    assert with_capture(plain, tmp_path) == plain == as_asked(plain, tmp_path)
    with pytest.raises(InvalidInput, match="free head"):
        TrainingConfig(head="generic.pkl", data=DataConfig(video="a.mp4"))
    told = provenance_of(made, 3)["config"]["data"]
    assert (told["video"], told["folder"]) == ("my talk.mp4", "capture")


def test_of_a_long_video_evenly_spread_frames_are_used(tmp_path: Path) -> None:
    video = write_video(tmp_path / "x.mkv", [np.zeros((16, 16, 3), np.uint8)] * 90, rate=30)
    source = open_source(video)
    # Few frames are among many.
    for most, every, limit in ((0, 1, 0), (90, 1, 90), (89, 2, 89), (30, 4, 30), (11, 16, 11)):
        config = TrainingConfig(data=DataConfig(video=str(video), video_frames=most))
        options = frame_options(config, source)
        assert (options.every, options.limit, options.size) == (every, limit, 512)
