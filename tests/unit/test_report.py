"""Evaluating an avatar: what is compared, kept, gone on with, and refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import sqrtm

import pegasus_runtime as pr
from tests.factories import SIDE, surfel_avatar, write_small_capture
from tests.onnx_file import write_pixel_network
from tests.report_example import EVIL, check_page, example_report
from trainer.cli import main
from trainer.engine.evaluation import frame_parameters, score_picture
from trainer.report.face_identity import SFACE_NAMES, FaceIdentity
from trainer.report.frechet import INCEPTION_NAMES, InceptionFeatures, frechet_distance
from trainer.report.page import make_page
from trainer.report.request import EvaluationRequest
from trainer.report.subjects import find_data

ATTRIBUTES = ("hat_a", "hat_b", "hair_c")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar and a capture of it, of which one attribute is another's."""
    place = tmp_path_factory.mktemp("evaluation")
    surfel_avatar(ATTRIBUTES, 600).save(place / "a.avatar")
    write_small_capture(place / "data", {"source": 2, "hat_a": 2, "hat_z": 1, "hat_b+hair_c": 1})
    return place


def call(place: Path, out: Path, *more: str, data: Path | None = None) -> list[str]:
    return [
        "evaluate", "--avatar", str(place / "a.avatar"), "--data", str(data or place / "data"),
        "--out", str(out), "--size", str(SIDE), "--device", "cpu", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def report(place: Path) -> Path:
    out = place / "report"
    motion = str(place / "data" / "hat_z" / "flame_params.json")
    assert main(call(place, out, "--reenact", motion)) == 0
    return out


@pytest.mark.slow
def test_numbers_are_those_of_the_training(place: Path, report: Path) -> None:
    found = json.loads((report / "report.json").read_text("utf-8"))
    assert set(found["subjects"]) == {"source", "hat_a"} and set(found["pairs"]) == {"hat_b+hair_c"}
    assert any("hat_z" in note for note in found["notes"])
    assert set(found["needs"]) == {"lpips", "identity", "fid"}
    avatar = pr.load_avatar(place / "a.avatar")
    request = EvaluationRequest(place / "a.avatar", place / "data", report, SIDE)
    session = pr.Session(avatar, "cpu")
    for subject in find_data(request, avatar).subjects:
        scores = []
        for frame in subject.frames:
            params = frame_parameters(frame.record, subject.shape, subject.worn)
            drawn = session.render(params, frame.record.camera, ("rgb", "alpha"))
            scores.append(score_picture(drawn, frame.pictures))
        said = {**found["subjects"], **found["pairs"]}[subject.name]
        for name in ("psnr_frame", "psnr_head", "ssim", "l1", "mask_iou"):
            wanted = np.mean([getattr(score, name) for score in scores])
            assert said[name] == pytest.approx(wanted, rel=1e-5), name
    with (report / "frames.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 5
    with (report / "summary.csv").open(encoding="utf-8") as stream:
        assert {row["lpips"] for row in csv.DictReader(stream)} == {
            "needs alexnet-owt-7be5be79.pth and lpips_alex.pth"
        }
    steps = [r for r in found["results"] if r["section"] == "interpolation"]
    assert [r["name"] for r in steps] == ["the person → hair_c", "hat_a → hat_b"]
    assert all(len(r["series"]) == 60 for r in steps)
    assert max(steps[1]["series"]) == pytest.approx(steps[1]["values"]["largest_step"], abs=1e-6)
    kinds = {r["section"] for r in found["results"]}
    assert kinds == {
        "frames", "views", "reenactment", "interpolation", "compositions", "samples"
    }  # fmt: skip
    page = check_page((report / "index.html").read_text("utf-8"))
    assert {"rendering", "views", "interpolation", "samples", "pairs"} <= page.ids


def test_a_killed_evaluation_goes_on(place: Path, report: Path) -> None:
    results = report / "progress" / "results-000.jsonl"
    lines = results.read_bytes().splitlines(keepends=True)
    wanted = (report / "report.json").read_text("utf-8").partition('"date"')
    # Killed while the last line but one was written.
    results.write_bytes(b"".join(lines[:-2]) + lines[-2][:50])
    (report / "report.json").unlink()
    motion = str(place / "data" / "hat_z" / "flame_params.json")
    assert main(call(place, report, "--reenact", motion)) == 0
    assert results.read_bytes().splitlines(keepends=True)[:-2] == lines[:-2]
    assert len(results.read_bytes().splitlines()) == len(lines)
    again = (report / "report.json").read_text("utf-8").partition('"date"')
    assert again[0] == wanted[0] and again[2][30:] == wanted[2][30:]


def test_frames_without_masks_leave_their_columns_empty(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_small_capture(tmp_path / "data", {"source": 2})
    shutil.rmtree(tmp_path / "data" / "source" / "mask")
    only = ("--only", "rendering")
    assert main(call(place, tmp_path / "out", *only, data=tmp_path / "data")) == 0
    found = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert found["mean"]["psnr_head"] is None and found["mean"]["mask_iou"] is None
    assert found["mean"]["psnr_frame"] > 0
    assert capsys.readouterr().err.count("Without masks") == 1


def _motion(folder: Path, change: Callable[[dict], object]) -> str:
    source = write_small_capture(folder / "driver", {"other": 1}) / "other" / "flame_params.json"
    content = json.loads(source.read_text("utf-8"))
    change(content)
    source.write_text(json.dumps(content), "utf-8")
    return str(source)


def _flame(content: dict) -> None:
    content["frames"][0]["expression"] = [0.0] * 100


def _wild(content: dict) -> None:
    content["frames"][0]["expression"][3] = 1e9


def _degrees(content: dict) -> None:
    content["frames"][0]["pose"][1] = 90.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_flame, "tracked with FLAME"),
        (_wild, "no face has"),
        (_degrees, "wanted are radians"),
        (lambda content: content.pop("frames"), "needs a list of frames"),
        (lambda content: content.pop("intrinsics"), "intrinsics is missing"),
    ],
)
def test_motions_that_cannot_be_followed(
    place: Path, tmp_path: Path, change: Callable, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    motion = _motion(tmp_path, change)
    only = ("--only", "reenactment", "--reenact", motion)
    assert main(call(place, tmp_path / "out", *only)) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and "flame_params.json" in said


def _foreign(folder: Path) -> tuple[Path, Path]:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("mine")
    return folder / "out", folder / "data"


def _file(folder: Path) -> tuple[Path, Path]:
    (folder / "out").write_text("mine")
    return folder / "out", folder / "data"


def _unknown(folder: Path) -> tuple[Path, Path]:
    write_small_capture(folder / "other", {"hat_q": 1})
    return folder / "out", folder / "other"


def _empty(folder: Path) -> tuple[Path, Path]:
    (folder / "empty").mkdir()
    return folder / "out", folder / "empty"


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (_foreign, "holds other files (thesis.txt)"),
        (_file, "is a file, not a folder"),
        (lambda folder: (folder / "data", folder / "data"), "holds the data"),
        (lambda folder: (folder, folder / "data"), "holds the data"),
        (_unknown, "no subject matches the avatar's attributes"),
        (_empty, "holds no subject"),
        (lambda folder: (folder / "out", folder / "nowhere"), "no such folder"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    place: Path, tmp_path: Path, prepare: Callable, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_small_capture(tmp_path / "data", {"source": 1})
    out, data = prepare(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(call(place, out, "--only", "rendering", data=data)) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_page_shows_names_as_text() -> None:
    text = make_page(example_report())
    page = check_page(text)
    assert "<img src=http" not in text and any(EVIL in part for part in page.texts)
    assert page.ids == {*example_report().sections}


def test_faces_and_feature_networks(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (96, 96, 3), np.uint8)
    network = write_pixel_network(
        tmp_path / INCEPTION_NAMES[0], random.normal(size=(6, 3)), (299, 299), pooled=True
    )
    features = InceptionFeatures(network)(pixels)
    assert features.shape == (6,)
    plain = write_pixel_network(tmp_path / SFACE_NAMES[0], random.normal(size=(6, 3)), (112, 112))
    with pytest.raises(pr.InvalidInput, match="not one vector"):
        InceptionFeatures(
            write_pixel_network(tmp_path / "x.onnx", random.normal(size=(6, 3)), (299, 299))
        )(pixels)
    assert FaceIdentity(plain).compare(pixels, pixels) is None  # nobody is there


def test_the_distance_of_gaussians_is_that_of_the_matrix_root() -> None:
    random = np.random.default_rng(1)
    first = list(random.normal(size=(40, 5)).astype(np.float32))
    second = list((random.normal(size=(30, 5)) * 2 + 1).astype(np.float32))
    a, b = np.stack(first).astype(float), np.stack(second).astype(float)
    apart = a.mean(axis=0) - b.mean(axis=0)
    one, two = np.cov(a.T), np.cov(b.T)
    wanted = apart @ apart + np.trace(one + two - 2 * sqrtm(one @ two).real)
    assert frechet_distance(first, second) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(first[:1], second) is None
