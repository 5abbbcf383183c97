"""The head fitted to landmarks, against heads whose landmarks are known exactly."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from pegasus_runtime import load_avatar
from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import Head, load_free_head, pose_head
from trainer.preprocess import landmark_groups as groups
from trainer.preprocess.action_units import action_units
from trainer.preprocess.estimators import BLENDSHAPE_NAMES
from trainer.preprocess.head_fit import HeadFit, fit_head
from trainer.preprocess.landmark_map import landmark_map

FRAMES, SIDE = 20, 512
FOCAL, PRINCIPAL = 1100.0, (250.0, 270.0)


@pytest.fixture(scope="module")
def head() -> Head:
    return load_free_head()


@pytest.fixture(scope="module")
def truth(head: Head) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A shape, and expressions and poses of a clip: a blink, a smile, an open jaw, turns."""
    generator = torch.Generator().manual_seed(4)
    shape = torch.zeros(100)
    shape[:12] = 0.7 * torch.randn(12, generator=generator)
    time = torch.linspace(0, 2 * np.pi, FRAMES)
    expression, pose = torch.zeros(FRAMES, 50), torch.zeros(FRAMES, 15)
    names = head.expression_names
    for side in ("left", "right"):
        expression[8:12, names.index(f"blink {side}")] = torch.tensor([0.5, 1.0, 1.0, 0.5])
        expression[:, names.index(f"smile {side}")] = 0.4 - 0.4 * torch.cos(time)
    pose[:, 6] = 0.1 - 0.1 * torch.cos(2 * time)
    pose[:, 4] = 0.2 * torch.sin(time)
    pose[:, 3] = 0.1 * torch.cos(time)
    pose[:, 10] = pose[:, 13] = 0.2 * torch.sin(2 * time)
    return shape, expression, pose


CAMERA = Camera.orbit((0, 0, 0.1), 4.0, 5.0, -4.0, fov_deg=26, image_size=(SIDE, SIDE))


@pytest.fixture(scope="module")
def seen(head: Head, truth: tuple[torch.Tensor, ...]) -> np.ndarray:
    """(B, 478, 3) landmarks as an estimator would find them, to half a pixel."""
    return landmarks_of(head, truth, noise=0.5)


def landmarks_of(head: Head, truth: tuple[torch.Tensor, ...], noise: float) -> np.ndarray:
    shape, expression, pose = truth
    marks, camera = landmark_map(head), CAMERA
    random = np.random.default_rng(0)
    found = []
    for row in range(len(pose)):
        vertices = pose_head(head, shape, expression[row], pose[row]).vertices
        at = (marks.on_mesh(head, vertices) @ torch.tensor(camera.rotation)).numpy()
        view = at + camera.translation
        flat = PRINCIPAL - FOCAL * view[:, :2] / view[:, 2:]
        depth = FOCAL / 4.0 * (view[:, 2:] - view[:, 2:].mean())
        off = random.normal(0, noise, flat.shape)
        found.append(np.concatenate([flat + off, depth], axis=1))
    return np.stack(found).astype(np.float32)


@pytest.fixture(scope="module")
def fit(head: Head, seen: np.ndarray) -> HeadFit:
    return fit_clip(head, seen)


def fit_clip(
    head: Head,
    seen: np.ndarray,
    present: np.ndarray | None = None,
    pictures: list[np.ndarray] | None = None,
) -> HeadFit:
    everywhere = np.ones(len(seen), bool) if present is None else present
    none = np.zeros((len(seen), 0), np.float32)
    return fit_head(head, seen, none, SIDE, FOCAL, PRINCIPAL, 12.5, everywhere, pictures=pictures)


def drawn(head: Head, truth: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
    """Pictures of a head whose triangles are each of some grey."""
    shape, expression, pose = truth
    grey = np.random.default_rng(1).integers(60, 220, len(head.faces)).tolist()
    pictures = []
    for row in range(len(pose)):
        vertices = pose_head(head, shape, expression[row], pose[row]).vertices
        view = vertices.numpy() @ CAMERA.rotation + CAMERA.translation
        flat = (PRINCIPAL - FOCAL * view[:, :2] / view[:, 2:])[head.faces]
        picture = np.full((SIDE, SIDE), 128, np.uint8)
        for face in view[head.faces, 2].mean(axis=1).argsort()[::-1]:
            corners = (flat[face] * 16).round().astype(np.int32)
            cv2.fillConvexPoly(picture, corners, grey[face], cv2.LINE_AA, shift=4)
        pictures.append(np.repeat(picture[..., None], 3, axis=2))
    return pictures


@pytest.mark.slow
def test_pictures_show_where_a_head_is_whose_landmarks_all_lie_to_one_side(
    head: Head, truth: tuple[torch.Tensor, ...]
) -> None:
    some = truth[0], truth[1][:12], truth[2][:12]
    exact = landmarks_of(head, some, noise=0)
    off = np.random.default_rng(2).normal(0, 2.0, (len(exact), 1, 3)) * (1, 1, 0)
    by_landmarks = fit_clip(head, (exact + off).astype(np.float32))
    by_pictures = fit_clip(head, (exact + off).astype(np.float32), pictures=drawn(head, some))
    jitter = [
        np.std(at_landmarks(head, fit) - exact[..., :2], axis=0).mean()
        for fit in (by_landmarks, by_pictures)
    ]
    assert jitter[0] > 1.0
    assert jitter[1] < 0.5 * jitter[0]


def at_landmarks(head: Head, fit: HeadFit) -> np.ndarray:
    """(B, 478, 2) pixels where the landmarks of the fitted heads lie."""
    marks, places = landmark_map(head), []
    for expression, pose, camera in zip(fit.expression, fit.pose, fit.cameras, strict=True):
        vertices = pose_head(head, fit.shape, expression, pose).vertices
        places.append((1 - camera.project(marks.on_mesh(head, vertices))[:, :2]) * SIDE / 2)
    return np.stack(places)


def openings(head: Head, fit: HeadFit) -> np.ndarray:
    """(B,) mean distance of upper from lower lids in units of the head."""
    marks, pairs = landmark_map(head), np.array(groups.LID_PAIRS)
    rows = []
    for expression, pose in zip(fit.expression, fit.pose, strict=True):
        vertices = pose_head(head, fit.shape, expression, pose).vertices
        places = marks.on_mesh(head, vertices)
        rows.append(float((places[pairs[:, 0]] - places[pairs[:, 1]]).norm(dim=1).mean()))
    return np.array(rows)


@pytest.mark.slow
def test_the_landmarks_are_met_within_their_noise(fit: HeadFit) -> None:
    inner = ~np.isin(fit.landmarks, groups.OVAL)
    assert np.median(fit.residuals[:, inner]) < 1.0
    assert np.quantile(fit.residuals[:, inner], 0.95) < 2.5


@pytest.mark.slow
def test_turns_jaw_and_gaze_are_those_of_the_truth(
    fit: HeadFit, truth: tuple[torch.Tensor, ...]
) -> None:
    from scipy.spatial.transform import Rotation

    pose = truth[2].numpy()
    turns = Rotation.from_rotvec(pose[:, 3:6])
    found = Rotation.from_rotvec(fit.pose[:, 3:6].numpy())
    # The mean is the camera's, so only the turns between frames are the neck's.
    apart = (turns[0].inv() * turns) * (found[0].inv() * found).inv()
    assert np.degrees(apart.magnitude()).max() < 1.5
    assert np.degrees(np.abs(fit.pose[:, 6].numpy() - pose[:, 6])).mean() < 3
    gaze = fit.pose[:, [10, 13]].numpy().mean(axis=1)
    moved = (gaze - gaze.mean()) - (pose[:, 10] - pose[:, 10].mean())
    assert np.degrees(np.abs(moved)).mean() < 4


@pytest.mark.slow
def test_a_tilted_head_is_not_taken_for_one_of_another_shape(
    head: Head, truth: tuple[torch.Tensor, ...]
) -> None:
    """A chin that sticks out and a head that is thrown back look alike."""
    from scipy.spatial.transform import Rotation

    shape, some = torch.as_tensor(load_avatar("demo").shape).clone(), slice(None, None, 2)
    exact = landmarks_of(head, (shape, truth[1][some], truth[2][some]), noise=0)
    fit = fit_clip(head, exact)
    found = Rotation.from_rotvec(fit.pose[:, 3:6].numpy())
    turned = Rotation.from_rotvec(truth[2][some, 3:6].numpy())
    off = (Rotation.from_matrix(fit.cameras[0].rotation.T) * found).inv() * (
        Rotation.from_matrix(CAMERA.rotation.T) * turned
    )
    assert np.degrees(off.magnitude()).mean() < 1.5


def test_a_blink_closes_the_eyes_and_no_other_frame_does(head: Head, fit: HeadFit) -> None:
    opening = openings(head, fit)
    assert set(np.flatnonzero(opening < 0.45 * np.median(opening))) >= {9, 10}
    assert (opening[np.r_[0:7, 13:FRAMES]] > 0.7 * np.median(opening)).all()


def test_expressions_stay_within_what_faces_do(head: Head, fit: HeadFit) -> None:
    actions = fit.expression[:, :43]
    assert float(actions.min()) >= 0
    assert float(actions.max()) <= 1


@pytest.mark.slow
def test_what_no_landmark_shows_is_not_made_up(head: Head, fit: HeadFit) -> None:
    assert (fit.expression[:, head.expression_names.index("tongue out")] == 0).all()
    assert (fit.expression[:, head.expression_names.index("smile left")] != 0).any()


def test_a_lost_frame_is_carried_through(head: Head, seen: np.ndarray, fit: HeadFit) -> None:
    lost = seen.copy()
    lost[5] = 0
    present = np.arange(FRAMES) != 5
    found = fit_clip(head, lost, present)
    assert float((found.pose[5] - fit.pose[5]).abs().max()) < 0.1


def test_a_head_of_another_mesh_takes_the_landmarks_over(head: Head) -> None:
    marks = landmark_map(head)
    other = replace(
        head, sha256="0" * 64, name="other", template=1.06 * head.template, part_labels=None
    )
    found = landmark_map(other)
    apart = found.on_mesh(other, other.template) - 1.06 * marks.on_mesh(head, head.template)
    assert float(apart.norm(dim=1).median()) < 0.004
    assert float(apart.norm(dim=1).max()) < 0.04


def test_a_head_without_landmarks_is_refused_in_one_line(head: Head) -> None:
    with pytest.raises(InvalidInput, match=r"^head 'bare': has no landmarks"):
        landmark_map(replace(head, sha256="0" * 64, name="bare", landmarks=None))


def test_blendshapes_become_the_heads_own_actions(head: Head) -> None:
    values = np.zeros((1, 52), np.float32)
    values[0, BLENDSHAPE_NAMES.index("eyeBlinkLeft")] = 0.8
    values[0, BLENDSHAPE_NAMES.index("mouthSmileRight")] = 0.6
    values[0, BLENDSHAPE_NAMES.index("jawOpen")] = 1.0
    expression, jaw = action_units(head, values)
    named = dict(zip(head.expression_names, expression[0].tolist(), strict=True))
    assert named["blink left"] == pytest.approx(0.8)
    assert named["smile right"] == pytest.approx(0.6)
    assert sum(value != 0 for value in named.values()) == 2
    assert float(jaw[0]) == pytest.approx(0.35)
