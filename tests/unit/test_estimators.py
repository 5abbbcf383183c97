"""The networks that look at a face, on the demo avatar as it is drawn."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pegasus_runtime as pr
from pegasus_runtime.errors import InvalidInput
from trainer.preprocess import model_files
from trainer.preprocess.estimators import (
    BLENDSHAPE_LANDMARKS,
    BLENDSHAPE_NAMES,
    NUM_LANDMARKS,
    FaceEstimators,
    HairMatte,
    Network,
    Region,
    SelfieMatte,
)

SIDE = 320


@pytest.fixture(scope="module")
def estimators() -> FaceEstimators:
    return FaceEstimators()


@pytest.fixture(scope="module")
def portraits() -> dict[str, np.ndarray]:
    """The demo avatar at rest, with its eyes closed, and with its jaw open."""
    avatar = pr.load_avatar("demo")
    session, camera = pr.Session(avatar, device="cpu"), avatar.default_camera((SIDE, SIDE))
    pictures = {}
    names = list(avatar.head.expression_names)
    for name in ("rest", "blink", "jaw"):
        face = avatar.neutral()
        expression, pose = np.array(face.expression), np.array(face.pose)
        if name == "blink":
            expression[[names.index("blink left"), names.index("blink right")]] = 1
        if name == "jaw":
            pose[6] = 0.3
        face.expression, face.pose = expression, pose
        frame = session.render(face, camera, passes=("rgb",))
        pictures[name] = (np.asarray(frame["rgb"]).clip(0, 1) * 255).astype(np.uint8)
    return pictures


def look(estimators: FaceEstimators, picture: np.ndarray) -> np.ndarray:
    (face,) = estimators.detect(picture)
    first = estimators.landmarks(picture, Region.of_face(face))
    return estimators.landmarks(picture, Region.of_landmarks(first.places)).places


def test_the_demo_has_a_face(estimators: FaceEstimators, portraits: dict[str, np.ndarray]) -> None:
    picture = portraits["rest"]
    (face,) = estimators.detect(picture)
    assert face.score > 0.7
    places = look(estimators, picture)
    assert places.shape == (NUM_LANDMARKS, 3)
    # The detector's own points are seen by the other network too.
    for point, landmark in zip(face.points[:4], (468, 473, 4, 13), strict=True):
        assert np.linalg.norm(point - places[landmark, :2]) < 0.12 * face.side
    # In pixels whose zero is the picture's edge: a picture twice as large has them twice as far.
    twice = look(estimators, picture.repeat(2, axis=0).repeat(2, axis=1))
    assert np.abs(twice - 2 * places)[:, :2].mean() < 0.015 * face.side


def test_actions_are_told(estimators: FaceEstimators, portraits: dict[str, np.ndarray]) -> None:
    found = {
        name: dict(
            zip(BLENDSHAPE_NAMES, estimators.blendshapes(look(estimators, picture)), strict=True)
        )
        for name, picture in portraits.items()
    }
    assert len(BLENDSHAPE_LANDMARKS) == 146
    for side in ("Left", "Right"):
        name = f"eyeBlink{side}"
        assert found["blink"][name] > 0.4 > found["rest"][name] + 0.1
    assert found["jaw"]["jawOpen"] > 0.2 > found["rest"]["jawOpen"] + 0.1


def test_small_and_turned_faces(
    estimators: FaceEstimators, portraits: dict[str, np.ndarray]
) -> None:
    import cv2

    small = cv2.resize(portraits["rest"], (120, 120), interpolation=cv2.INTER_AREA)
    wide = np.full((600, 1600, 3), 255, np.uint8)
    wide[400:520, 1200:1320] = small
    assert not estimators.detect(wide)
    (face,) = estimators.find_small(wide)
    assert 1200 < face.box[[0, 2]].mean() < 1320 and 400 < face.box[[1, 3]].mean() < 520
    places = look(estimators, portraits["rest"])
    region = Region.of_landmarks(places)
    turned = Region(region.x, region.y, region.side, region.angle + 0.3)
    again = estimators.landmarks(portraits["rest"], turned).places
    assert np.abs(again - places)[:, :2].mean() < 0.03 * region.side
    assert not estimators.find_small(np.full((90, 130, 3), 128, np.uint8))


def test_mattes(portraits: dict[str, np.ndarray]) -> None:
    matte = SelfieMatte().estimate(portraits["rest"])
    assert matte.shape == (256, 256)
    assert matte[100:140, 110:146].mean() > 0.8 and matte[:20, :20].mean() < 0.2


def test_hair_matte(portraits: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "models"
    if not (folder / model_files.HAIR_SEGMENTATION.name).is_file():
        pytest.skip("the hair model (../shared/models) is not beside this checkout")
    monkeypatch.setenv("PEGASUS_ASSETS", str(folder))
    hair = HairMatte.find()
    assert hair is not None
    matte = hair.estimate(portraits["rest"])
    # Of the avatar's face, above the middle more than below.
    assert matte.shape == (512, 512) and matte[:256].sum() > matte[256:].sum()


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGASUS_ASSETS", str(tmp_path))
    assert HairMatte.find() is None
    (tmp_path / model_files.HAIR_SEGMENTATION.name).write_bytes(b"something else")
    with pytest.raises(InvalidInput, match="damaged or another version"):
        HairMatte.find()
    with pytest.raises(InvalidInput, match="OpenCV cannot read it"):
        Network(b"no network", "face.tflite").run(np.zeros((1, 3, 8, 8), np.float32))


@pytest.mark.parametrize("kind", ["damaged", "lacking", "large", "many"])
def test_tasks_are_held_to_bounds(kind: str) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other" if kind == "lacking" else "a.tflite", bytes(10))
        if kind == "large":
            archive.writestr("b.tflite", bytes(65 << 20))
        for index in range(101 if kind == "many" else 0):
            archive.writestr(str(index), b"")
    raw = stream.getvalue()[: -30 if kind == "damaged" else None]
    names = ("a.tflite", "b.tflite") if kind == "large" else ("a.tflite",)
    with pytest.raises(InvalidInput, match="is damaged|holds more than a model"):
        model_files.unpack(raw, names, "some.task")
