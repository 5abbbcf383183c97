"""The synthetic capture: what is written explains the pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import load_free_head, pose_head
from trainer.synthetic.capture import capture
from trainer.synthetic.config import CaptureConfig
from trainer.synthetic.gl_renderer import open_context

cv2 = pytest.importorskip("cv2")
SIZE = 128


@pytest.fixture(scope="module", autouse=True)
def _needs_egl() -> None:
    try:
        open_context().release()
    except InvalidInput as refusal:
        pytest.skip(str(refusal))


def small(*subjects: str, **changes: int) -> CaptureConfig:
    settings = {"image_size": SIZE, "num_processes": 1, "num_source_frames": 3} | changes
    return CaptureConfig(subjects=subjects, num_attribute_frames=2, **settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "capture"
    capture(small("source", "hat_beanie"), out, lambda done, total: None)
    return out


def picture(folder: Path, kind: str, number: int) -> np.ndarray:
    pixels = cv2.imread(str(folder / kind / f"{number}.png"), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


def read_camera(frame: dict, intrinsics: list[float]) -> Camera:
    """The conversion of data-formats.md, written out again."""
    fx, fy, cx, cy = intrinsics
    k = np.zeros((4, 4), np.float32)
    k[0, 0], k[1, 1], k[0, 2], k[1, 2] = 2 * fx, 2 * fy, -(2 * cx - 1), -(2 * cy - 1)
    k[2, 3] = k[3, 2] = 1
    world = np.array(frame["world_mat"])
    assert k[0, 0] > 0
    world[:, 2] *= -1
    world[2, 3] *= -1
    return Camera(world[:, :3], world[:, 3], k, (SIZE, SIZE))


@pytest.mark.slow
def test_every_picture_is_there(folder: Path) -> None:
    for subject, count in (("source", 3), ("hat_beanie", 2)):
        record = json.loads((folder / subject / "flame_params.json").read_text())
        assert [f["file_path"] for f in record["frames"]] == [
            f"./image/{n}" for n in range(1, count + 1)
        ]
        for kind in ("image", "mask", "mask_object", "normal_rendering", "normal_original"):
            assert picture(folder / subject, kind, count).shape[:2] == (SIZE, SIZE)
    assert (folder / "contact_sheet.png").is_file()


@pytest.mark.slow
def test_parameters_put_the_eyes_where_they_are_seen(folder: Path) -> None:
    head, source = load_free_head(), folder / "source"
    record = json.loads((source / "flame_params.json").read_text())
    names = json.loads((source / "semantic_names.json").read_text())
    eyes = head.part_labels == head.part_names.index("eyes")
    seen = 0
    for number, frame in enumerate(record["frames"], start=1):
        parameters = (record["shape_params"], frame["expression"], frame["pose"])
        posed = pose_head(head, *(torch.tensor(p) for p in parameters)).vertices[eyes]
        place = read_camera(frame, record["intrinsics"]).project(posed).numpy()
        column, row = ((1 - place[:, axis]) * SIZE / 2 for axis in (0, 1))
        labels = picture(source, "semantic", number)
        ys, xs = np.nonzero(labels == names.index("eyes"))
        if len(ys) == 0:
            continue
        seen += 1
        reach = np.hypot(xs[:, None] + 0.5 - column, ys[:, None] + 0.5 - row).min(axis=1)
        assert reach.max() < 0.03 * SIZE
    assert seen


def test_picture_is_white_outside_the_matte(folder: Path) -> None:
    image, mask = (picture(folder / "source", kind, 1) for kind in ("image", "mask"))
    assert (image[mask == 0] == 255).all()
    assert 0.2 < (mask == 255).mean() < 0.8
    normals = picture(folder / "source", "normal_rendering", 1)
    assert (normals[mask == 0] == 128).all()
    lengths = np.linalg.norm(normals[mask == 255] / 127.5 - 1, axis=1)
    assert np.median(np.abs(lengths - 1)) < 0.03


def test_only_the_attribute_is_in_its_mask(folder: Path) -> None:
    assert not picture(folder / "source", "mask_object", 1).any()
    hat = folder / "hat_beanie"
    names = json.loads((hat / "semantic_names.json").read_text())
    replaced, labels = (picture(hat, kind, 1) for kind in ("mask_object", "semantic"))
    assert (replaced == 255).sum() > 0.02 * SIZE**2
    assert set(np.unique(labels[replaced == 255])) == {names.index("hat")}


def test_same_settings_give_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    capture(small("source"), tmp_path / "again", lambda done, total: None)
    for kind in ("image", "mask", "semantic"):
        again = picture(tmp_path / "again" / "source", kind, 2)
        assert np.array_equal(again, picture(folder / "source", kind, 2))


@pytest.mark.slow
def test_only_missing_subjects_are_drawn(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    out = tmp_path / "grown"
    capture(small("source"), out, lambda done, total: calls.append((done, total)))
    stamp = (out / "source" / "flame_params.json").stat().st_mtime_ns
    calls.clear()
    grown = small("source", "eyes_green")
    capture(grown, out, lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 2) and calls[-1] == (2, 2)
    assert (out / "source" / "flame_params.json").stat().st_mtime_ns == stamp


def test_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="holds something else"):
        capture(small("source"), tmp_path, lambda done, total: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_interrupted_subject_leaves_nothing_half_written(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture(small("source"), tmp_path / "cut", stop)
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["capture.json"]
