"""The start of a person who was filmed from the front: hair as a cap, skin without holes."""

from __future__ import annotations

import pytest
import torch

from pegasus_runtime.avatar.seen_sides import BACK_NOT_FILMED, SeenSides
from pegasus_runtime.head import Head, load_free_head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.surfels.attributes import rest_corners
from pegasus_runtime.surfels.binding import place_on_triangles
from tests.filmed_head import BALD, HAIR_COLOUR, HIGH_FOREHEAD, SKIN_COLOUR, THICK, filmed
from trainer.data.dataset import Capture
from trainer.data.frame_sampler import seen_yaw_deg
from trainer.init.hair_cap import HairCap, find_hair
from trainer.init.initial_surfels import initial_wardrobe
from trainer.init.seen_sides import seen_sides
from trainer.init.surfel_sampling import sample_triangles


@pytest.fixture(scope="module")
def head() -> Head:
    return load_free_head()


def hair_of(head: Head, capture: Capture) -> HairCap:
    return find_hair(head, capture, capture.training["me"])


def test_a_turning_head_is_seen_from_as_many_sides_as_it_turns(head: Head) -> None:
    capture = filmed(head)
    assert seen_yaw_deg(capture.training["me"]) == pytest.approx(20, abs=0.5)
    generator = torch.Generator().manual_seed(0)
    source = initial_wardrobe(head, capture, 2000, generator).source
    seen = seen_sides(head, capture, source)
    assert seen is not None
    assert seen.yaw_deg == pytest.approx((-10, 10), abs=0.5)
    assert 0.2 < seen.unfaced_share < 0.6, "the back and some of the sides"
    assert SeenSides.of({"seen": seen.as_header()}) is not None


@pytest.mark.parametrize(
    ("provenance", "note"),
    [
        ({}, None),
        ({"seen": "all"}, None),
        ({"seen": {"yaw_deg": [0, "nan"], "unfaced_share": 0.5}}, None),
        ({"seen": {"yaw_deg": [10], "unfaced_share": 0.5}}, None),
        ({"seen": {"yaw_deg": [-12, 11], "unfaced_share": 2}}, None),
        ({"seen": {"yaw_deg": [-12.0, 11.0], "unfaced_share": 0.4}}, BACK_NOT_FILMED),
        ({"seen": {"yaw_deg": [-110, 110], "unfaced_share": 0.1}}, BACK_NOT_FILMED),
        ({"seen": {"yaw_deg": [-130, 0], "unfaced_share": 0.2}}, ""),
        ({"seen": {"yaw_deg": [20, 370], "unfaced_share": 0.0}}, ""),
    ],
)
def test_what_was_never_filmed_is_told(provenance: dict[str, object], note: str | None) -> None:
    seen = SeenSides.of(provenance)
    assert (seen.note if seen else None) == note


def test_hair_is_as_thick_as_its_outline_and_closed_behind(head: Head) -> None:
    thickness = hair_of(head, filmed(head)).thickness
    parts, places = require_parts(head), head.template
    covered = thickness > 0
    assert float(covered[parts.on("scalp")].float().mean()) > 0.9, "all but the hairline"
    assert not covered[parts.on("eyes", "lips", "nose", "eyelids")].any()
    top = parts.on("scalp") & (places[:, 1] > 0.4)
    back = parts.on("scalp") & (places[:, 2] < -0.3)
    for part in (top, back):
        assert float(thickness[part].median()) == pytest.approx(THICK, abs=0.03)


def test_hair_over_ears_lies_smoothly_on_the_sides(head: Head) -> None:
    """An ear's folds look in all directions: along them hair would grow into dots in the air."""
    ears = require_parts(head).on("ears")
    bare = hair_of(head, filmed(head))
    assert not bare.thickness[ears].any()
    hair = hair_of(head, filmed(head, over_ears=True))
    assert (hair.thickness[ears] > 0).all()
    nape = require_parts(head).on("neck") & (head.template[:, 2] < -0.15)
    assert float((hair.thickness[nape] > 0).float().mean()) > 0.9, "hair hangs down behind them"
    corners = rest_corners(head, torch.zeros(100))
    cap = hair.surfels(corners, head, 6000, torch.Generator().manual_seed(0))
    points, frames = place_on_triangles(corners, cap.triangle, cap.barycentric, cap.offset)
    on_left = ears[head.faces[cap.triangle]].all(dim=1) & (points[:, 0] > 0)
    assert on_left.sum() > 20
    assert points[on_left, 0].std() < 0.05
    normals = (frames @ rotation_matrices(cap.rotation))[on_left, :, 2]
    assert float((normals[:, 0] > 0.5).float().mean()) > 0.9


def test_a_bald_head_has_no_hair(head: Head) -> None:
    hair = hair_of(head, filmed(head, BALD))
    assert not hair.thickness.any()
    generator = torch.Generator().manual_seed(0)
    assert len(hair.surfels(rest_corners(head, torch.zeros(100)), head, 50, generator)) == 0


def test_a_high_forehead_is_not_a_bald_head(head: Head) -> None:
    """From the front most of the scalp that faces the camera is skin then."""
    thickness = hair_of(head, filmed(head, HIGH_FOREHEAD)).thickness
    scalp, places = require_parts(head).on("scalp"), head.template
    covered = thickness > 0
    assert covered[scalp & (places[:, 2] < 0)].all()
    line = scalp & (places[:, 1] < HIGH_FOREHEAD - 0.1) & (places[:, 2] > 0.3)
    assert not covered[line].any()


def test_less_hair_has_fewer_surfels_not_denser_ones(head: Head) -> None:
    corners = rest_corners(head, torch.zeros(100))
    scalp = require_parts(head).on("scalp")
    counts = []
    for some in (scalp, scalp & (head.template[:, 1] > 0.35)):
        cap = HairCap(torch.where(some, THICK, 0.0))
        counts.append(len(cap.surfels(corners, head, 500, torch.Generator().manual_seed(0))))
    assert counts[0] == 500 and 10 < counts[1] < 250


def test_the_back_of_the_head_has_the_colour_of_the_hair(head: Head) -> None:
    generator = torch.Generator().manual_seed(0)
    source = initial_wardrobe(head, filmed(head), 4000, generator).source
    colours = 255 * torch.sigmoid(source.colour)
    corners = rest_corners(head, torch.zeros(100))[source.triangle]
    place = (corners * source.barycentric[:, :, None]).sum(dim=1)
    labels = require_parts(head).on("scalp")[head.faces[source.triangle]].all(dim=1)
    behind = colours[labels & (place[:, 2] < -0.2)].mean(dim=0)
    cheek = colours[~labels & (place[:, 2] > 0.3)].mean(dim=0)
    assert (behind - torch.tensor(HAIR_COLOUR)).abs().max() < 25
    assert (cheek - torch.tensor(SKIN_COLOUR)).abs().max() < 25


def test_each_triangle_has_its_share_of_the_points() -> None:
    chances = torch.tensor([1.0, 3.0, 0.0, 6.0])
    triangle, weights = sample_triangles(chances, 100, torch.Generator().manual_seed(1))
    assert torch.bincount(triangle, minlength=4).tolist() == pytest.approx([10, 30, 0, 60], abs=1)
    assert (weights >= 0).all()
    assert (weights.sum(dim=1) - 1).abs().max() < 1e-6
