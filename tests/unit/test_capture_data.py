"""Reading captures: cameras, bad frames, splits, balanced sampling."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.factories import DISTANCE, FOCAL, SIDE, write_small_capture
from trainer.config.training import DataConfig
from trainer.data.dataset import load_capture
from trainer.data.flame_parameters import convert_camera
from trainer.data.frame_sampler import choose_frame


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_capture(tmp_path_factory.mktemp("c"), {"source": 12, "hair_a": 6})


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "capture"))


@pytest.fixture
def config(folder: Path) -> DataConfig:
    return DataConfig(folder=str(folder), image_size=SIDE, held_out_every=4)


def _edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def test_cameras_are_converted_as_documented() -> None:
    world = np.array([[-1, 0, 0, 0.1], [0, 1, 0, 0.2], [0, 0, 1, -DISTANCE]], np.float32)
    camera = convert_camera(world, np.array([FOCAL / 2, FOCAL / 2, 0.4, 0.5]), SIDE)
    assert np.allclose(camera.rotation, np.diag([-1.0, 1.0, -1.0]))
    assert np.allclose(camera.translation, [0.1, 0.2, DISTANCE])
    assert camera.intrinsics[0, 0] == pytest.approx(FOCAL)
    assert camera.intrinsics[0, 2] == pytest.approx(0.2)


def test_a_negative_focal_length_flips_the_first_row() -> None:
    world = np.array([[1, 0, 0, 0.1], [0, 1, 0, 0], [0, 0, 1, -3]], np.float32)
    plain = convert_camera(world, np.array([1.0, 1.0, 0.5, 0.5]), SIDE)
    flipped = convert_camera(world, np.array([-1.0, 1.0, 0.5, 0.5]), SIDE)
    assert flipped.intrinsics[0, 0] == plain.intrinsics[0, 0] == 2
    assert np.allclose(flipped.rotation[0], -plain.rotation[0])
    assert flipped.translation[0] == pytest.approx(-plain.translation[0])


def test_split_and_statistics(config: DataConfig) -> None:
    capture = load_capture(config)
    assert {name: len(frames) for name, frames in capture.training.items()} == {
        "hair_a": 5,
        "source": 9,
    }
    assert {name: len(frames) for name, frames in capture.held_out.items()} == {
        "hair_a": 1,
        "source": 3,
    }
    assert capture.attribute_names == ("hair_a",)
    learned = [f.record.expression for frames in capture.training.values() for f in frames]
    assert np.allclose(capture.mean_expression, np.mean(learned, axis=0), atol=1e-6)
    assert np.allclose(capture.variance_expression, np.var(learned, axis=0), atol=1e-6)


def test_one_bad_frame_is_counted_and_many_are_refused(config: DataConfig) -> None:
    source = Path(config.folder) / "source"
    (source / "image" / "3.png").write_bytes(b"not a picture")
    capture = load_capture(config)
    assert capture.num_bad == 1
    (source / "mask" / "5.png").unlink()
    _edit(source / "flame_params.json", lambda c: c["frames"][7].update(pose=[float("nan")] * 15))
    with pytest.raises(InvalidInput, match="3 of 12 frames are bad"):
        load_capture(config)
    (source / "skip.json").write_text('{"3": "blurred", "5": "no mask", "8": "lost"}')
    capture = load_capture(config)
    assert (capture.num_bad, capture.num_skipped) == (0, 3)


def test_pictures_are_reduced_and_must_be_square(config: DataConfig) -> None:
    import cv2

    small = load_capture(replace(config, image_size=32))
    assert small.training["source"][0].pictures.image.shape == (32, 32, 3)
    assert small.training["source"][0].record.camera.image_size == (32, 32)
    for path in (Path(config.folder) / "source" / "image").iterdir():
        cv2.imwrite(str(path), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(InvalidInput, match="not square"):
        load_capture(config)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: shutil.rmtree(f / "source"), "no subject 'source'"),
        (lambda f: (f / "hair_a").rename(f / "beard"), "CATEGORY_NAME"),
        (lambda f: (f / "source" / "flame_params.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "source" / "flame_params.json").write_text("{}"), "intrinsics"),
        (lambda f: [shutil.rmtree(p) for p in f.iterdir()], "holds no subject"),
    ],
)
def test_damage_is_named(config: DataConfig, damage: Any, says: str) -> None:
    damage(Path(config.folder))
    with pytest.raises(InvalidInput, match=says) as refusal:
        load_capture(config)
    assert "\n" not in str(refusal.value)


def test_frames_are_chosen_by_seed_and_step_alone(config: DataConfig) -> None:
    capture = load_capture(config)
    first = [choose_frame(capture, config, 1, step).record.name for step in range(50)]
    again = [choose_frame(capture, config, 1, step).record.name for step in range(50)]
    assert first == again
    other = [choose_frame(capture, config, 2, step).record.name for step in range(50)]
    assert first != other
    subjects = [choose_frame(capture, config, 0, step).record.subject for step in range(1000)]
    assert subjects.count("source") / 1000 == pytest.approx(config.source_share, abs=0.05)


def test_a_person_alone_is_read_out_of_a_database(config: DataConfig) -> None:
    alone = load_capture(replace(config, source_share=1.0))
    assert list(alone.training) == [config.source] and alone.attribute_names == ()
