"""The face of a filmed person at rest: found, kept in the file, and what everything begins with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pegasus_runtime as pr
from pegasus_runtime.avatar_file import read_header
from pegasus_runtime.camera import Camera
from pegasus_runtime.head import load_free_head, pose_head
from pegasus_runtime.head.expression_ranges import expression_ranges
from pegasus_runtime.surfels.attributes import rest_surfels
from tests.factories import surfel_avatar
from trainer.data.dataset import TrainingFrame
from trainer.data.rest_face import rest_face

HEAD = load_free_head()
RANGES = expression_ranges(HEAD)
NAMES = list(HEAD.expression_names)
BLINK, SMILE, DETAIL = (NAMES.index(n) for n in ("blink left", "smile left", "detail 1"))


def _frames(yaws_deg: np.ndarray) -> list[TrainingFrame]:
    """Somebody with low lids who speaks, smiles now and then, and looks up to the camera."""
    frames = []
    for k, yaw in enumerate(yaws_deg):
        expression, pose = np.zeros(50, np.float32), np.zeros(15, np.float32)
        expression[BLINK] = 1.0 if k % 10 == 0 else 0.25
        expression[SMILE] = 0.8 if k % 2 else 0.05
        expression[DETAIL] = -0.3
        pose[3], pose[6] = -0.05, 0.2 * (k % 2)
        pose[9] = pose[12] = 0.5 if k % 7 == 0 else -0.2
        camera = Camera.orbit((0, 0.05, 0.1), 5.0, yaw, np.degrees(-0.2), 19, (64, 64))
        record = SimpleNamespace(expression=expression, pose=pose, camera=camera)
        frames.append(SimpleNamespace(record=record))
    return frames  # type: ignore[return-value]


def test_a_filmed_face_is_at_rest_where_it_does_least() -> None:
    rest = rest_face(HEAD, _frames(np.linspace(-15, 15, 60)))
    assert rest.rest_expression[BLINK] == pytest.approx(0.25)
    assert rest.rest_expression[SMILE] == pytest.approx(0.05)
    assert rest.rest_expression[DETAIL] == pytest.approx(-0.3)
    wanted = np.zeros(15)
    wanted[0], wanted[[9, 12]] = -0.25, -0.2
    assert rest.rest_pose.numpy() == pytest.approx(wanted, abs=0.02), "seen from below, mouth shut"
    assert rest.shown_expression[BLINK] == pytest.approx(1.0)
    assert rest.shown_expression[SMILE] == pytest.approx(0.8)


def test_people_seen_from_all_sides_are_at_rest_as_the_head_is() -> None:
    rest = rest_face(HEAD, _frames(np.linspace(-180, 180, 60)))
    assert not rest.rest_expression.any() and not rest.rest_pose.any()
    assert replace(surfel_avatar([], 500), **rest._asdict()).expression_ranges == RANGES


def test_actions_end_a_little_beyond_what_a_film_has_shown(tmp_path: Path) -> None:
    shown = torch.zeros(50)
    shown[BLINK], shown[SMILE] = 0.7, 2.0
    avatar = replace(surfel_avatar([], 500), shown_expression=shown)
    avatar.save(tmp_path / "a.avatar")
    ends = pr.load_avatar(tmp_path / "a.avatar").expression_ranges
    assert ends[BLINK] == pytest.approx((max(-0.77, RANGES[BLINK][0]), 0.77))
    assert ends[NAMES.index("blink right")] == ends[BLINK], "as far on either side"
    assert ends[SMILE] == RANGES[SMILE], "no farther than a face goes"
    assert ends[DETAIL] == RANGES[DETAIL], "has no meaning of its own"
    unseen = NAMES.index("mouth funnel")
    assert ends[unseen][1] == pytest.approx(0.6)
    assert RANGES[unseen][1] > 1


def test_a_head_that_is_held_otherwise_is_framed_as_it_is_held() -> None:
    avatar = surfel_avatar([], 3000)
    pose = torch.zeros(15)
    pose[0] = -0.4
    held = replace(avatar, rest_pose=pose)
    params = held.neutral()
    posed = pose_head(avatar.head, avatar.shape, torch.zeros(50), torch.from_numpy(params.pose))
    corners = posed.vertices[avatar.head.faces]
    points, _ = rest_surfels(held.wardrobe.everything, corners)
    assert held.rest_points.numpy() == pytest.approx(points.numpy(), abs=1e-5)
    assert (held.rest_points - avatar.rest_points).abs().max() > 0.05
    for one in (avatar, held):
        drawn = pr.Session(one, "cpu").render(
            one.neutral(), one.default_camera((64, 64)), ("alpha",)
        )["alpha"]
        rows = np.flatnonzero(drawn.reshape(64, 64).max(axis=1) > 0.3)
        assert abs((rows[0] + rows[-1]) / 2 - 31.5) < 3, "in the middle"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    avatar = surfel_avatar(["hair_a"], 500)
    expression, pose = torch.zeros(50), torch.zeros(15)
    expression[BLINK], pose[9] = 0.25, -0.2
    replace(avatar, rest_expression=expression, rest_pose=pose).save(tmp_path / "a.avatar")
    return tmp_path / "a.avatar"


def test_it_comes_back_and_is_where_everything_begins(saved: Path) -> None:
    avatar = pr.load_avatar(saved)
    neutral = avatar.neutral()
    assert neutral.expression[BLINK] == pytest.approx(0.25)
    assert neutral.pose[9] == pytest.approx(-0.2) and np.count_nonzero(neutral.pose) == 1
    neutral.expression[BLINK] = 1
    assert avatar.neutral().expression[BLINK] == pytest.approx(0.25), "not the avatar's own memory"


def test_files_of_earlier_programs_begin_at_zero(saved: Path) -> None:
    tensors = {n: t for n, t in load_file(saved).items() if not n.startswith("rest.")}
    save_file(tensors, saved, {"pegasus_avatar": json.dumps(read_header(saved))})
    assert not pr.load_avatar(saved).neutral().expression.any()


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("rest.expression", torch.full((50,), torch.nan), "NaN"),
        ("rest.expression", torch.zeros(49), "shape"),
        ("rest.expression", torch.full((50,), 1e4), "makes no sense"),
        ("rest.pose", torch.full((15,), 100.0), "makes no sense"),
        ("shown.expression", torch.full((50,), torch.nan), "NaN"),
    ],
)
def test_one_that_makes_no_face_is_refused(
    saved: Path, name: str, values: torch.Tensor, says: str
) -> None:
    tensors = {**load_file(saved), name: values}
    save_file(tensors, saved, {"pegasus_avatar": json.dumps(read_header(saved))})
    with pytest.raises(pr.InvalidInput, match=says) as refusal:
        pr.load_avatar(saved)
    assert str(saved) in str(refusal.value) and "\n" not in str(refusal.value)
