"""Two attributes at once: how they are drawn, that none learns from them, how they are scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_free_head
from tests.factories import SIDE, write_small_capture
from trainer.config.loading import load_config
from trainer.config.training import DataConfig, PointConfig, TrainingConfig
from trainer.data.dataset import load_capture
from trainer.data.pairs import is_pair, worn_by
from trainer.engine.train import train
from trainer.synthetic.attributes import appearance_of
from trainer.synthetic.config import PAIRS, CaptureConfig
from trainer.synthetic.person import Person, make_person
from trainer.synthetic.skull_radius_map import CENTRE

PRESET = Path(__file__).resolve().parents[2] / "resources" / "presets" / "demo_pairs.yaml"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hat_cap+hair_bob", True),
        ("hair_bob+hat_cap", True),
        ("hat_cap", False),
        ("hat_cap+hat_beanie", False),
        ("hat_cap+", False),
        ("hat+hair", False),
        ("hat_c++", False),
        ("hat_cap+hair_bob+nose_big", False),
        ("shoe_red+hat_cap", False),
    ],
)
def test_a_pair_is_two_attributes_of_different_categories(name: str, expected: bool) -> None:
    assert is_pair(name) is expected


def test_the_capture_draws_pairs_and_no_others() -> None:
    config = load_config(CaptureConfig, PRESET)
    assert len(config.subjects) == 4 and set(config.subjects) <= set(PAIRS)
    # Of the person on whom the demo avatar is judged.
    assert config.person == load_config(CaptureConfig, PRESET.with_name("demo_capture.yaml")).person
    assert config.num_frames("hat_cap+hair_bob") == 10
    for wrong in ("hat_cap+hat_beanie", "hat_cap+hair_mohawk", "source+hat_cap", "hat_cap+hat_cap"):
        with pytest.raises(InvalidInput, match=r"NAME\+NAME of two categories"):
            CaptureConfig(subjects=(wrong,))


def vertices_of(person: Person, part: str) -> np.ndarray:
    chosen = person.head.faces.numpy()[person.face_part == person.part_names.index(part)]
    return person.head.template.numpy()[np.unique(chosen)] - CENTRE


@pytest.mark.slow
@pytest.mark.parametrize("hat", ["hat_cap", "hat_beanie"])
@pytest.mark.parametrize("locks", ["hair_bob", "hair_curly"])
def test_hair_is_under_the_hat_and_falls_out_below(hat: str, locks: str) -> None:
    person = make_person(load_free_head(), 7, f"{locks}+{hat}")
    shell, hair = vertices_of(person, "hat"), vertices_of(person, "hair")

    def directions(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lengths = np.linalg.norm(points, axis=1)
        return points / lengths[:, None], lengths

    up, reach = directions(shell)
    out, radius = directions(hair)
    high = out[:, 1] > 0.75
    nearest = (out[high] @ up.T).argmax(axis=1)
    assert high.any() and (radius[high] < reach[nearest] + 0.005).all()
    alone = make_person(load_free_head(), 7, locks)
    lowest = vertices_of(alone, "hair")[:, 1].min()
    assert hair[:, 1].min() == pytest.approx(lowest, abs=0.02)
    assert len(person.rest) > len(alone.rest)


def test_both_looks_and_both_shapes_are_there() -> None:
    both = appearance_of("nose_button+mouth_full")
    nose, mouth = appearance_of("nose_button"), appearance_of("mouth_full")
    assert both["lip_colour"] == mouth["lip_colour"] != nose["lip_colour"]
    assert both["replaced"] == nose["replaced"] + mouth["replaced"]
    head = load_free_head()
    names = ("source", "nose_button", "mouth_full", "nose_button+mouth_full")
    source, first, second, pair = (make_person(head, 7, n).head.template for n in names)
    assert ((first - source) + (second - source) - (pair - source)).abs().max() < 1e-6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    subjects = {"source": 4, "hat_a": 3, "nose_b": 3, "hat_a+nose_b": 2, "hat_z+nose_b": 2}
    return write_small_capture(tmp_path_factory.mktemp("capture"), subjects)


def config_for(folder: Path, pairs: Path | str = "") -> TrainingConfig:
    return TrainingConfig(
        steps=2,
        device="cpu",
        threads=1,
        data=DataConfig(str(folder), image_size=SIDE, held_out_every=3, pairs=str(pairs)),
        points=PointConfig(initial=200, maximum=200, initial_radius=0.1),
    )


def test_no_training_learns_from_pairs(folder: Path) -> None:
    capture = load_capture(config_for(folder).data)
    assert set(capture.training) == {"source", "hat_a", "nose_b"} and not capture.pairs
    assert sum("is not learned from" in note for note in capture.notes) == 2
    evaluated = load_capture(config_for(folder, folder).data)
    assert set(evaluated.training) == set(capture.training)
    # hat_z was not learned, so that nobody can wear it.
    assert {name: len(frames) for name, frames in evaluated.pairs.items()} == {"hat_a+nose_b": 2}
    assert [worn_by(name) for name in evaluated.pairs] == [("hat_a", "nose_b")]


def test_a_folder_of_pairs_that_is_none_is_refused_before_any_step(
    folder: Path, tmp_path: Path
) -> None:
    data = config_for(folder, tmp_path / "nowhere").data
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_capture(data)
    with pytest.raises(InvalidInput, match=r"data.pairs = .* holds no folder NAME\+NAME"):
        load_capture(replace(data, pairs=str(tmp_path)))


@pytest.mark.slow
def test_a_training_ends_with_how_both_are_worn(folder: Path, tmp_path: Path) -> None:
    config = config_for(folder, folder)
    (tmp_path / "previews").mkdir()
    avatar = train(config, load_capture(config.data), load_free_head(), tmp_path)
    found = avatar.provenance["pair_scores"]["hat_a+nose_b"]
    single = avatar.provenance["scores"]
    mean = (single["hat_a"]["psnr_head"] + single["nose_b"]["psnr_head"]) / 2
    assert found["above_singles"]["psnr_head"] == pytest.approx(found["psnr_head"] - mean)
    assert "hat_a+nose_b" not in single
    summary = (tmp_path / "summary.txt").read_text()
    assert "\nhat_a+nose_b " in summary and "above its singles' mean" in summary
    assert str(folder.parent) not in str(avatar.provenance)
