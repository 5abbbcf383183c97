"""A head of FLAME's format, which does not say where its lids and lips are: landmarks do."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head import HEAD_SCALE, Head, LandmarkEmbedding, load_head, pose_head
from pegasus_runtime.head.canonical import make_canonical_head
from pegasus_runtime.head.expression_ranges import expression_ranges
from pegasus_runtime.head.gaze_range import gaze_range
from pegasus_runtime.head.mouth_closing import mouth_closing
from pegasus_runtime.head.parts import find_parts, require_parts
from pegasus_runtime.surfels.attributes import Wardrobe
from pegasus_runtime.surfels.binding import skin_triangles
from pegasus_runtime.surfels.pose import pose_surfels
from pegasus_runtime.surfels.surfels import NUM_STATES, Surfels
from tests.factories import SIDE, write_small_capture
from trainer.config.training import DataConfig
from trainer.data.dataset import load_capture
from trainer.init.initial_surfels import initial_wardrobe
from trainer.init.mesh_sampling import on_parts
from trainer.init.surfel_sampling import bound_surfels, sample_skin
from trainer.synthetic.person import make_person

FREE = pr.load_free_head()
BLINK_LEFT = FREE.expression_names.index("blink left")
MOVES = [*range(50), "root", "neck", "jaw", "left_eye", "right_eye"]


def write_flame(folder: Path, marks: LandmarkEmbedding) -> None:
    """The free head in FLAME's files, which have no labels of parts and no names."""
    shapes = np.zeros((FREE.num_vertices, 3, 400))
    shapes[:, :, :100] = FREE.identity_directions / HEAD_SCALE
    shapes[:, :, 300:350] = FREE.expression_directions / HEAD_SCALE
    head = {
        "v_template": FREE.template.numpy() / HEAD_SCALE,
        "f": FREE.faces.numpy(),
        "shapedirs": shapes,
        "posedirs": FREE.pose_directions.numpy() / HEAD_SCALE,
        "J_regressor": FREE.joint_regressor.numpy(),
        "weights": FREE.skinning_weights.numpy(),
        "kintree_table": np.array([[2**32 - 1, *FREE.parents[1:]], range(5)]),
    }
    (folder / "generic_model.pkl").write_bytes(pickle.dumps(head))
    embedding = {
        "full_lmk_faces_idx": marks.faces.numpy(),
        "full_lmk_bary_coords": marks.barycentric.numpy(),
        "static_lmk_faces_idx": marks.faces[17:].numpy(),
        "static_lmk_bary_coords": marks.barycentric[17:].numpy(),
        "dynamic_lmk_faces_idx": marks.contour_faces.numpy(),
        "dynamic_lmk_bary_coords": marks.contour_barycentric.numpy(),
    }
    np.save(folder / "landmark_embedding.npy", np.array(embedding), allow_pickle=True)


@pytest.fixture(scope="module")
def flame(tmp_path_factory: pytest.TempPathFactory) -> Head:
    folder = tmp_path_factory.mktemp("flame")
    assert FREE.landmarks is not None
    write_flame(folder, FREE.landmarks)
    return load_head(folder / "generic_model.pkl")


@pytest.mark.parametrize(
    ("ours", "theirs", "share"),
    [
        ("eyes", ("eyes",), 1.0),
        ("eyelids", ("eyelids",), 0.98),
        ("lips", ("lips",), 0.95),
        ("teeth", ("mouth",), 1.0),
        ("tongue", ("mouth",), 1.0),
        ("mouth", ("mouth", "lips", "nose"), 0.75),
        ("nose", ("nose",), 0.8),
        ("scalp", ("scalp",), 0.9),
        ("neck", ("neck",), 0.9),
        ("skin", ("skin",), 0.8),
    ],
)
def test_landmarks_find_the_parts_that_the_free_head_names(
    flame: Head, ours: str, theirs: tuple[str, ...], share: float
) -> None:
    named = require_parts(FREE).on(ours)
    found = require_parts(flame).on(*theirs)
    assert flame.part_labels is None
    assert float(found[named].double().mean()) >= share


def on_skin(head: Head) -> Surfels:
    """Surfels of the skin, with nothing of their own but the head's motion."""
    return sample_skin(head, head.template, 3000, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MOVES)
def test_surfels_go_where_the_skin_goes(flame: Head, name: int | str) -> None:
    surfels = on_skin(flame)
    expression, pose = torch.zeros(50), torch.zeros(15)
    if isinstance(name, int):
        expression[name] = 1.0
    else:
        pose[3 * MOVES.index(name) - 150] = 0.3
    vertices = pose_head(flame, torch.zeros(100), expression, pose).vertices
    posed = pose_surfels(surfels, vertices, flame.faces, torch.ones(NUM_STATES))
    foot = vertices[flame.faces[surfels.triangle]] * surfels.barycentric[:, :, None]
    assert (posed.points - foot.sum(dim=1)).abs().max() < 1e-6


def moved_by_blinking(head: Head) -> torch.Tensor:
    """How far hair moves that hangs before the lids, (K,)."""
    lids = require_parts(FREE).on("eyelids")
    canonical = make_canonical_head(head, torch.zeros(50))
    front = lids & (head.template[:, 2] > 0.33)
    hair = canonical.vertices[front] + torch.tensor([0.0, 0.0, 0.05])
    normals = torch.tensor([0.0, 0.0, 1.0]).expand(len(hair), 3)
    surfels = bound_surfels(head, canonical, hair, normals)
    assert not lids[head.faces[surfels.triangle]].all(dim=1).any()
    open_eyes, blink = torch.zeros(2, 50)
    blink[BLINK_LEFT] = 1.0
    before, after = (
        pose_surfels(
            surfels,
            pose_head(head, torch.zeros(100), expression, torch.zeros(15)).vertices,
            head.faces,
            torch.zeros(NUM_STATES),
        ).points
        for expression in (open_eyes, blink)
    )
    return (after - before).norm(dim=1)


def test_what_hangs_before_the_lids_does_not_blink(flame: Head) -> None:
    # Skin beside a lid is drawn along with it, on the free head too.
    assert moved_by_blinking(flame).mean() <= 1.2 * moved_by_blinking(FREE).mean()


def test_openings_are_those_of_the_free_head(flame: Head) -> None:
    named = replace(flame, expression_names=FREE.expression_names)
    assert gaze_range(flame) == gaze_range(FREE)
    ours, theirs = mouth_closing(FREE), mouth_closing(replace(named, sha256="named"))
    assert ours is not None and theirs is not None
    assert np.allclose(ours.coefficients, theirs.coefficients, atol=1e-4)
    ranges = np.array(expression_ranges(replace(named, sha256="named too")))
    differs = np.abs(ranges - np.array(expression_ranges(FREE)))
    assert differs.max() <= 0.3 and differs.mean() < 0.02


@pytest.mark.slow
def test_a_wardrobe_begins_on_it(flame: Head, tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path, {"source": 4, "hat_b": 3})
    capture = load_capture(DataConfig(folder=str(folder), image_size=SIDE, held_out_every=3))
    wardrobe = initial_wardrobe(flame, capture, 500, torch.Generator().manual_seed(0))
    assert isinstance(wardrobe, Wardrobe) and len(wardrobe.source) > 300
    for values in (wardrobe.source.offset, wardrobe.source.colour, wardrobe.source.log_radius):
        assert bool(values.isfinite().all())


def test_without_landmarks_it_says_what_is_missing(flame: Head) -> None:
    bare = replace(flame, landmarks=None)
    canonical = make_canonical_head(bare, torch.zeros(50))
    points = torch.zeros(3, 3)
    for use in (
        lambda: skin_triangles(bare),
        lambda: on_skin(bare),
        lambda: on_parts(bare, torch.arange(3), ("scalp",)),
        lambda: bound_surfels(bare, canonical, points, points),
    ):
        with pytest.raises(InvalidInput, match=r"landmark_embedding\.npy") as refusal:
            use()
        assert "\n" not in str(refusal.value)
    # What an editor needs of it works all the same.
    assert find_parts(bare) is None and len(expression_ranges(bare)) == 50


def test_landmarks_beside_a_head_have_to_be_its_own(flame: Head, tmp_path: Path) -> None:
    marks = FREE.landmarks
    assert marks is not None
    write_flame(tmp_path, replace(marks, faces=marks.faces + len(FREE.faces)))
    with pytest.raises(
        InvalidInput, match=r"landmark_embedding\.npy: .*not its landmarks"
    ) as refusal:
        load_head(tmp_path / "generic_model.pkl")
    assert "\n" not in str(refusal.value)
    (tmp_path / "landmark_embedding.npy").unlink()
    assert load_head(tmp_path / "generic_model.pkl").landmarks is None


def test_a_made_up_person_needs_the_free_head(flame: Head) -> None:
    with pytest.raises(InvalidInput, match="no part labels") as refusal:
        make_person(flame, 0, "source")
    assert "\n" not in str(refusal.value)
