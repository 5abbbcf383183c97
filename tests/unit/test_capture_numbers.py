"""What trackers write into a parameters file: taken, or told with its frame and what is wanted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.errors import InvalidInput
from tests.factories import DISTANCE, SIDE, write_plain_subject
from trainer.config.training import DataConfig
from trainer.data.dataset import Capture, load_capture

Content = dict[str, Any]
NUM_FRAMES = 12


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain_subject(tmp_path_factory.mktemp("n") / "c" / "source", NUM_FRAMES)


@pytest.fixture
def read(pristine: Path) -> Any:
    """Reads the capture with changed parameters."""
    path = pristine / "flame_params.json"
    before = path.read_bytes()

    def read(change: Callable[[Content], object]) -> Capture:
        content = json.loads(before)
        change(content)
        path.write_text(json.dumps(content), "utf-8")
        config = DataConfig(folder=str(pristine.parent), image_size=SIDE, held_out_every=0)
        return load_capture(config)

    yield read
    path.write_bytes(before)


def every(**values: Any) -> Callable[[Content], None]:
    return lambda content: [frame.update(values) for frame in content["frames"]] and None


def one(**values: Any) -> Callable[[Content], None]:
    return lambda content: content["frames"][4].update(values)


def top(**values: Any) -> Callable[[Content], None]:
    return lambda content: content.update(values)


def camera(change: Callable[[Any], Any]) -> Callable[[Content], None]:
    def apply(content: Content) -> None:
        for frame in content["frames"]:
            frame["world_mat"] = change(np.array(frame["world_mat"])).tolist()

    return apply


def scaled(factors: Any) -> Callable[[Content], None]:
    return camera(lambda matrix: matrix * np.array(factors))


def negative_focal(content: Content) -> None:
    content["intrinsics"][0] *= -1
    scaled([[-1], [1], [1]])(content)


LAST_ROW = [[0, 0, 0, 1]]
ROTATIONS = np.tile(np.eye(3), (5, 1, 1)).tolist()
TAKEN: dict[str, Callable[[Content], object]] = {
    "100 expressions": every(expression=[0.1] * 100),
    "300 shapes": top(shape_params=[0.1] * 300),
    "batches of one": every(expression=[[0.1] * 50], pose=[[[0.0] * 15]]),
    "flat matrices": camera(np.ravel),
    "4x4 matrices": camera(lambda m: np.vstack([m, LAST_ROW])),
    "4x4 flat": camera(lambda m: np.vstack([m, LAST_ROW]).ravel()),
    "rotation matrices": every(pose=ROTATIONS),
    "a matrix of intrinsics": top(intrinsics=[[1.2, 0, 0.5], [0, 1.2, 0.5], [0, 0, 1]]),
    "negative fx": negative_focal,
    "true and integers": every(pose=[0] * 15),
}
REFUSED: dict[str, tuple[Callable[[Content], object], str]] = {
    "6 poses": (every(pose=[0.0] * 6), "frame 1: pose has 6 numbers .*wanted are 15"),
    "52 expressions": (every(expression=[0.0] * 52), "expression has 52 numbers, wanted are 50"),
    "10 shapes": (top(shape_params=[0.0] * 10), "shape_params has 10 numbers, wanted are 100"),
    "transposed": (
        camera(lambda m: np.vstack([m, LAST_ROW]).T),
        "last row is not 0, 0, 0, 1; it is transposed",
    ),
    "4x3": (camera(np.transpose), "world_mat has 4×3 numbers, wanted are 3×4"),
    "one focal length": (top(intrinsics=[1.2]), "intrinsics have 1 numbers, wanted are 4"),
    "a number": (top(intrinsics=1.2), "intrinsics have 1 numbers, wanted are 4"),
    "pixels": (top(intrinsics=[614.4, 614.4, 256, 256]), "seem to be in pixels"),
    "far centre": (top(intrinsics=[1.2, 1.2, 7, 0.5]), "centre far out"),
    "negative fy": (top(intrinsics=[1.2, -1.2, 0.5, 0.5]), "negative fy"),
    "no focal length": (top(intrinsics=[0, 0, 0, 0]), "focal length of nothing"),
    "mirrored": (scaled([[-1], [1], [1]]), "mirror the head"),
    "wrong sign of fx": (top(intrinsics=[-1.2, 1.2, 0.5, 0.5]), "mirror the head"),
    "negated": (scaled(-1), "mirror the head"),
    "behind": (scaled([1, 1, 1, -1]), "behind the camera"),
    "metres": (scaled([1, 1, 1, 0.25]), "a head four times as large as FLAME's"),
    "times 4": (scaled([1, 1, 1, 16]), "times as tall as its mask"),
    "scaled rotation": (scaled([4, 4, 4, 1]), "a rotation times 4"),
    "sheared": (scaled([[1], [3], [1]]), "no rotation"),
    "upside down": (scaled([[-1], [-1], [1]]), "upside down"),
    "out of the picture": (
        camera(lambda m: m + np.array([[0, 0, 0, 9.0], [0] * 4, [0] * 4])),
        "the head is not in the picture",
    ),
    "beside the mask": (
        camera(lambda m: m + np.array([[0, 0, 0, 0.9], [0] * 4, [0] * 4])),
        "the mask shows .* of the head",
    ),
    "degrees": (every(pose=[0.0, 20.0, *[0.0] * 13]), r"pose\[1\] is 20, wanted are radians"),
    "huge everywhere": (every(expression=[1e30] * 50), r"expression\[0\] is 1e\+30"),
    "huge shape": (top(shape_params=[4e6] * 100), "which no face has"),
    "overflow": (every(expression=[1e300] * 50), "expression is not finite"),
    "texts": (every(expression=["0.1"] * 50), "expression is not numbers"),
    "ragged": (every(world_mat=[[1, 0], [0]]), "world_mat is not numbers"),
    "an object": (every(pose={"jaw": 1}), "pose is not numbers"),
    "nothing": (every(pose=None), "pose is missing"),
    "frames by name": (top(frames={"1": {}}), "needs a list of frames"),
    "entries are texts": (top(frames=["1", "2"]), "its entry is no object"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_other_trackers_write_is_taken(read: Any, name: str) -> None:
    capture = read(TAKEN[name])
    assert (capture.num_training, capture.num_bad) == (NUM_FRAMES, 0)
    assert capture.mean_expression.shape == (50,) and capture.shape.shape == (100,)
    frame = capture.training["source"][0].record
    assert frame.camera.translation[2] == pytest.approx(DISTANCE)
    assert np.linalg.det(frame.camera.rotation) == pytest.approx(1)
    if name in ("100 expressions", "300 shapes"):
        assert "the first" in capture.notes[0]
    else:
        assert not capture.notes


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_told(read: Any, name: str) -> None:
    change, says = REFUSED[name]
    with pytest.raises(InvalidInput, match=says) as refusal:
        read(change)
    assert "\n" not in str(refusal.value) and "source" in str(refusal.value)


@pytest.mark.parametrize(
    "lost",
    [
        {"expression": [float("nan")] * 50},
        {"expression": [4e6] * 50},
        {"expression": [30.0] * 50},
        {"pose": [9.0] * 15},
        {"pose": [0.0] * 14},
        {"world_mat": np.eye(3, 4).tolist()},
        {"world_mat": [[-1, 0, 0, 1e6], [0, 1, 0, 0], [0, 0, 1, -3.2]]},
        {"world_mat": [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1e30]]},
    ],
)
def test_a_lost_frame_is_left_out_and_moves_no_mean(read: Any, lost: dict[str, Any]) -> None:
    without = read(lambda content: content["frames"].pop(4))
    capture = read(one(**lost))
    assert list(capture.bad) == ["source/5"] and capture.num_training == NUM_FRAMES - 1
    assert capture.mean_expression.tolist() == without.mean_expression.tolist()
    assert capture.variance_expression.tolist() == without.variance_expression.tolist()


@pytest.mark.parametrize(
    "path",
    [
        "./image/5.png",
        "image\\5",
        "C:\\videos\\image\\5.PNG",
        "/somewhere/else/5",
        "../../5.jpg",
        5,
    ],
)
def test_frames_are_found_by_the_last_part_of_their_path(read: Any, path: Any) -> None:
    assert read(one(file_path=path)).num_bad == 0


@pytest.mark.parametrize("path", ["..", "image/..", "", "a\0b", "\n", "x" * 5000, {}, 1.5])
def test_what_is_no_name_is_a_bad_frame(read: Any, path: Any) -> None:
    capture = read(one(file_path=path))
    assert capture.num_bad == 1 and "no name of a picture" in capture.bad["source/5"]


def test_the_second_frame_of_a_name_is_left_out(read: Any) -> None:
    assert "named 2 too" in read(one(file_path="./image/2")).bad["source/2 (entry 5)"]


@pytest.mark.parametrize(
    ("skip", "count"),
    [({"5": "blurred"}, 1), (["5", "./image/6.png"], 2), ([5, 6], 2), ({}, 0), (["77"], 0)],
)
def test_frames_are_skipped(read: Any, pristine: Path, skip: Any, count: int) -> None:
    path = pristine / "skip.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(skip).encode())
    assert read(lambda _: None).num_skipped == count
    path.unlink()


@pytest.mark.parametrize(
    "text", ["5", "null", '"5"', "[[5]]", '{"frames": [5]}', "[null]", "{", "[" * 100_000]
)
def test_a_list_of_skipped_frames_that_is_none_is_told(
    read: Any, pristine: Path, text: str
) -> None:
    path = pristine / "skip.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=r"skip\.json"):
        read(lambda _: None)
    path.unlink()


@pytest.mark.parametrize(
    "text",
    [
        '{"frames": ' + "[" * 100_000,
        '{"shape_params": [' + "1" * 400 + "]}",
        "\x00\x01",
        "[]",
        "",
    ],
)
def test_parameters_that_are_none_are_told(read: Any, pristine: Path, text: str) -> None:
    def damage(_: Content) -> None: ...

    (pristine / "flame_params.json").write_text(text, "utf-8")
    config = DataConfig(folder=str(pristine.parent), image_size=SIDE)
    with pytest.raises(InvalidInput, match=r"flame_params\.json") as refusal:
        load_capture(config)
    assert len(str(refusal.value)) < 500 and "\n" not in str(refusal.value)


def test_a_byte_order_mark_is_no_mistake(read: Any, pristine: Path) -> None:
    path = pristine / "flame_params.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    config = DataConfig(folder=str(pristine.parent), image_size=SIDE, held_out_every=0)
    assert load_capture(config).num_training == NUM_FRAMES


@pytest.mark.skipif(os.name == "nt", reason="Windows makes no such folders")
@pytest.mark.parametrize("name", ["hair_a\nb", "hair_\x1b[31m", "hair_" + "x" * 200, "hair_a\\b"])
def test_subjects_have_names_that_attributes_can_have(tmp_path: Path, name: str) -> None:
    for subject in ("source", name, ".hidden"):
        write_plain_subject(tmp_path / subject, 2)
    config = DataConfig(folder=str(tmp_path), image_size=SIDE, held_out_every=0)
    with pytest.raises(InvalidInput, match="subject .*: use a name") as refusal:
        load_capture(config)
    assert "\n" not in str(refusal.value)
    (tmp_path / name).rename(tmp_path / "hair_short")
    assert load_capture(config).attribute_names == ("hair_short",)
