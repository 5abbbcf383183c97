"""What of a filmed person no camera faced: cheeks are smooth, and no hole opens into the head."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import load_free_head
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.attributes import Wardrobe, rest_corners, rest_surfels
from pegasus_runtime.surfels.parts import triangle_parts
from tests.filmed_head import BALD, filmed
from trainer.data.dataset import Capture
from trainer.init.surfel_sampling import sample_skin
from trainer.refine.outliers import without_outliers
from trainer.refine.skin_lining import with_lining
from trainer.refine.unfaced_skin import with_smooth_sides

HEAD = load_free_head()
SKIN = torch.tensor([0.8, 0.6, 0.5])


@pytest.fixture(scope="module")
def capture() -> Capture:
    return filmed(HEAD, BALD)


@pytest.fixture(scope="module")
def bald() -> Wardrobe:
    """Skin all over, in one colour."""
    found = sample_skin(HEAD, HEAD.template, 30_000, torch.Generator().manual_seed(0))
    colour = torch.logit(SKIN).expand(len(found), 3).clone()
    part = triangle_parts(HEAD)[found.triangle]
    found = replace(found, colour=colour, part=part, opacity=torch.full((len(found),), 4.0))
    return Wardrobe(found, (), rest_corners(HEAD, torch.zeros(100)))


def _around(capture: Capture) -> Capture:
    """The same with cameras on all sides."""
    frames = []
    for turn, frame in enumerate(capture.training["me"]):
        camera = Camera.orbit((0, 0, 0.05), 5.0, 50.0 * turn, fov_deg=19, image_size=(160, 160))
        record = SimpleNamespace(**{**vars(frame.record), "camera": camera})
        frames.append(SimpleNamespace(record=record, pictures=frame.pictures))
    return cast(Capture, SimpleNamespace(**{**vars(capture), "training": {"me": frames}}))


def test_what_no_camera_faced_has_the_colours_beside_it(bald: Wardrobe, capture: Capture) -> None:
    points, normals = rest_surfels(bald.source, bald.rest_corners)
    on_skin = triangle_parts(HEAD)[bald.source.triangle] == PART_NAMES.index("skin")
    sideways = on_skin & (normals[:, 2] < 0) & (points[:, 2] > -0.1)
    ahead = on_skin & (normals[:, 2] > 0.9) & (points[:, 1] > -0.2)
    assert sideways.sum() > 50 and ahead.sum() > 300
    random = torch.Generator().manual_seed(1)
    colour = bald.source.colour.clone()
    colour[sideways] = torch.randn(int(sideways.sum()), 3, generator=random)
    colour[ahead] += 0.1 * torch.randn(int(ahead.sum()), 3, generator=random)
    speckled = replace(bald, source=replace(bald.source, colour=colour))
    found = with_smooth_sides(speckled, HEAD, capture).source
    assert (found.colour[sideways].sigmoid() - SKIN).abs().max() < 0.08
    same = (found.colour[ahead] - colour[ahead]).abs().amax(dim=1) < 1e-6
    assert same.float().mean() > 0.95, "what was faced is as it was"
    assert torch.equal(found.offset, bald.source.offset), "outlines stay"
    assert with_smooth_sides(speckled, HEAD, _around(capture)) is speckled


def test_holes_in_a_cheek_show_skin(bald: Wardrobe, capture: Capture) -> None:
    points, _ = rest_surfels(bald.source, bald.rest_corners)
    on_skin = triangle_parts(HEAD)[bald.source.triangle] == PART_NAMES.index("skin")
    ahead = points[on_skin & (points[:, 2] > 0.1)]
    cheek = ahead[(ahead - torch.tensor([0.2, -0.1, 0.3])).norm(dim=1).argmin()]
    hole = (points - cheek).norm(dim=1) < 0.04
    assert hole.sum() > 10
    torn = bald.chosen((~hole).nonzero()[:, 0], {})
    lined = with_lining(torn, HEAD, capture)
    lining = lined.source.chosen(torch.arange(len(torn.source), len(lined.source)))
    assert len(lining) > 500
    assert (lining.colour.sigmoid() - SKIN).abs().max() < 1e-4
    assert (lining.offset[:, 2] < -0.005).all(), "below the skin"
    there, _ = rest_surfels(lining, lined.rest_corners)
    assert ((there - cheek).norm(dim=1) < 0.04).sum() > 5
    twice = with_lining(lined, HEAD, capture)
    assert len(twice.source) - len(lined.source) < 0.02 * len(lining), "once is enough"
    assert with_lining(torn, HEAD, _around(capture)) is torn


def test_what_rides_far_from_a_lid_does_not_swing_out(bald: Wardrobe, capture: Capture) -> None:
    source = bald.source
    rides = triangle_parts(HEAD)[source.triangle]
    lids, cheeks = (
        (rides == PART_NAMES.index(name)).nonzero()[:20, 0] for name in ("eyelids", "skin")
    )
    offset = source.offset.clone()
    offset[lids, 1] = offset[cheeks, 1] = 0.05
    raised = replace(bald, source=replace(source, offset=offset))
    left = without_outliers(raised, HEAD, capture).source
    far = left.offset.norm(dim=1) > 0.04
    on = triangle_parts(HEAD)[left.triangle][far]
    assert far.sum() > 5 and not (on == PART_NAMES.index("eyelids")).any()
    drawn = without_outliers(raised, HEAD, _around(capture)).source
    on = triangle_parts(HEAD)[drawn.triangle][drawn.offset.norm(dim=1) > 0.04]
    assert (on == PART_NAMES.index("eyelids")).any(), "of drawn people frames show what they do"
