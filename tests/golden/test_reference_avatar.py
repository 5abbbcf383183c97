"""The imported reference run must give the numbers of the authors' program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import pegasus_runtime as pr

Numbers = npt.NDArray[np.float32]
FRAMES = (0, 1, 2)
PASSES = ("rgb", "albedo", "shading", "normal", "alpha")
LANDMARK_RADIUS = 0.007
"""in NDC, with which the authors' program draws landmarks, in white"""


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, Numbers]:
    return dict(np.load(golden / "reference_a" / "expected.npz"))


@pytest.fixture(scope="module")
def avatar(golden: Path) -> pr.Avatar:
    run = golden / "reference_a"
    return pr.import_reference(
        run,
        head=run / "flame" / "generic_model.pkl",
        landmarks=run / "flame" / "landmark_embedding.npy",
        meta=run / "meta.json",
    )


@pytest.fixture(scope="module", params=[True, False], ids=["as written", "fast"])
def frames(
    avatar: pr.Avatar, expected: dict[str, Numbers], request: pytest.FixtureRequest
) -> list[pr.Frame]:
    session = pr.Session(avatar, device="cpu", exact=request.param)
    return [session.render(_parameters(expected, k), _camera(expected, k), PASSES) for k in FRAMES]


def _parameters(expected: dict[str, Numbers], k: int) -> pr.Parameters:
    return pr.Parameters(
        expression=expected[f"{k}/in/expression"][0],
        pose=expected[f"{k}/in/flame_pose"][0],
        shape=expected[f"{k}/in/shape"][0],
        latent=expected[f"{k}/in/scene_latent_code"][0],
    )


def _camera(expected: dict[str, Numbers], k: int) -> pr.Camera:
    pose = expected[f"{k}/in/cam_pose"][0]
    return pr.Camera(pose[:, :3], pose[:, 3], expected[f"{k}/in/intrinsics"][0], (128, 128))


def _close(actual: Numbers, wanted: Numbers, tolerance: float = 1e-5) -> None:
    difference = np.abs(actual.reshape(wanted.shape) - wanted).max()
    assert difference <= tolerance, f"off by {difference:.2e}"


@pytest.mark.slow
@pytest.mark.parametrize("k", FRAMES)
def test_points_and_normals(frames: list[pr.Frame], expected: dict[str, Numbers], k: int) -> None:
    _close(frames[k].points, expected[f"{k}/out/deformed_points"])
    _close(frames[k].normals, expected[f"{k}/out/pnts_normal_deformed"])


@pytest.mark.slow
@pytest.mark.parametrize("k", FRAMES)
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("rgb", "rgb_image"),
        ("albedo", "albedo_image"),
        ("shading", "shading_image"),
        ("normal", "normal_image"),
        ("alpha", "predicted_mask"),
    ],
)
def test_pictures(
    frames: list[pr.Frame], expected: dict[str, Numbers], k: int, name: str, reference: str
) -> None:
    wanted = expected[f"{k}/out/{reference}"]
    difference = np.abs(frames[k][name].reshape(wanted.shape) - wanted)
    assert difference.mean() <= 1e-5
    assert difference.max() <= 1 / 255


@pytest.mark.parametrize("k", FRAMES)
def test_point_attributes(avatar: pr.Avatar, expected: dict[str, Numbers], k: int) -> None:
    import torch

    from pegasus_runtime.deform.surface import evaluate_surface, pose_surface, prepare_pose
    from pegasus_runtime.drawing import point_colours
    from pegasus_runtime.head.canonical import make_canonical_head

    given = _parameters(expected, k)
    code = torch.from_numpy(expected[f"{k}/in/scene_latent_code"][0])
    canonical = make_canonical_head(
        avatar.head, avatar.canonical_expression, avatar.canonical_jaw_rad
    )
    _close(canonical.vertices.numpy(), expected["canonical_verts"])
    surface = evaluate_surface(avatar.networks.condition(code), canonical, avatar.points)
    assert surface.geometry is not None
    _close(surface.deformer.skinning.numpy(), expected[f"{k}/out/lbs_weights"])
    _close(surface.points.numpy(), expected[f"{k}/out/canonical_points"])
    _close(surface.geometry.albedo.numpy(), expected[f"{k}/out/pnts_albedo"])
    _close(surface.geometry.segmentation.numpy(), expected[f"{k}/out/binary_segment"], 1e-4)
    values = (given.expression, given.pose, given.shape)
    prepared = prepare_pose(avatar.head, canonical, *(torch.from_numpy(v) for v in values))
    deformer = avatar.networks.deformer
    blend = deformer.blend_map(prepared.expression_change, prepared.feature_change)
    posed = pose_surface(blend, canonical, surface, prepared)
    assert posed.normals is not None
    colours = point_colours(surface.geometry.albedo, avatar.networks.shading(posed.normals, code))
    _close(colours.numpy(), expected[f"{k}/out/pnts_color_deformed"])


@pytest.mark.parametrize("k", FRAMES)
def test_landmarks(avatar: pr.Avatar, expected: dict[str, Numbers], k: int) -> None:
    import torch

    from pegasus_runtime.head import face_landmarks, pose_head
    from pegasus_runtime.raster.api import render_features

    inputs = (f"{k}/in/{name}" for name in ("shape", "expression", "flame_pose"))
    shape, expression, pose = (torch.from_numpy(expected[name]) for name in inputs)
    vertices = pose_head(avatar.head, shape, expression, pose).vertices
    marks = face_landmarks(avatar.head, vertices, pose)
    image = render_features(
        _camera(expected, k).project(marks[0]),
        torch.ones(len(marks[0]), 3),
        image_size=(128, 128),
        radius=LANDMARK_RADIUS,
    )
    difference = np.abs(image.numpy().reshape(-1, 3) - expected[f"{k}/out/rendered_landmarks"])
    # The alpha of so small a point falls by 4.5 a pixel, which enlarges what rounding moves it.
    assert difference.max() <= 1e-4, f"off by {difference.max():.2e}"


def test_composition_of_codes(avatar: pr.Avatar, expected: dict[str, Numbers]) -> None:
    worn = [{}, {"hair": "hair_two"}, {"hat": "cap", "nose": ("nose_one", 1.0)}]
    for k in FRAMES:
        code = avatar.codes.compose(worn[k])
        assert np.array_equal(code.numpy(), expected[f"{k}/in/scene_latent_code"][0])


def test_file_keeps_everything(
    avatar: pr.Avatar, expected: dict[str, Numbers], tmp_path: Path
) -> None:
    avatar.save(tmp_path / "a.avatar")
    again = pr.load_avatar(tmp_path / "a.avatar", head=avatar.head)
    given = _parameters(expected, 2), _camera(expected, 2), PASSES
    before, after = (pr.Session(one, "cpu").render(*given) for one in (avatar, again))
    for name in PASSES:
        assert np.array_equal(before[name], after[name])
