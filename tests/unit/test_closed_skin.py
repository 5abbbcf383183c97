"""Skin that few frames have looked at is closed, and has the colour of the skin around."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pegasus_runtime.head import Head, load_free_head
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.attributes import Wardrobe, rest_corners
from tests.filmed_head import filmed
from trainer.init.covered_parts import inside_mouth, may_be_bared, throat
from trainer.init.surfel_sampling import sample_skin
from trainer.refine.closed_skin import with_closed_skin


@pytest.fixture(scope="module")
def head() -> Head:
    return load_free_head()


def test_what_grazing_views_made_of_skin_is_mended(head: Head) -> None:
    surfels = sample_skin(head, head.template, 6000, torch.Generator().manual_seed(0))
    skin = require_parts(head).on("skin", "neck")[head.faces].all(dim=1)[surfels.triangle]
    forward = torch.linalg.cross(
        *(head.template[head.faces[:, k]] - head.template[head.faces[:, 0]] for k in (1, 2))
    )
    facing = torch.nn.functional.normalize(forward, dim=1)[surfels.triangle, 2]
    corners = rest_corners(head, torch.zeros(100))
    height = corners.mean(dim=1)[surfels.triangle, 1]
    # Frames look at it from the front, and it turns by ten degrees.
    looked_at = skin & (facing > 0.6)
    # Lower than that the plain head's mask wavers as it turns.
    missed = skin & (facing < 0) & (height > -0.4)
    colour = torch.where(missed[:, None], -4.0, torch.tensor([1.0, 0.5, 0.2]))
    opacity = torch.where(missed, -1.0, 2.0)
    small = surfels.log_radius - 1.5 * missed[:, None]
    taught = replace(surfels, colour=colour, opacity=opacity, log_radius=small)
    mended = with_closed_skin(Wardrobe(taught, (), corners), head, filmed(head)).source
    assert missed.sum() > 50 and looked_at.sum() > 300
    assert float(mended.opacity[missed].sigmoid().quantile(0.1)) > 0.9
    assert float((mended.colour[missed] - torch.tensor([1.0, 0.5, 0.2])).abs().mean()) < 0.3
    assert float((mended.log_radius - small)[missed].mean()) > 0.8
    assert torch.equal(mended.colour[looked_at], colour[looked_at])
    assert torch.equal(mended.opacity[looked_at], opacity[looked_at])
    assert torch.equal(mended.colour[~skin], colour[~skin])
    assert torch.equal(mended.log_radius[~skin], small[~skin])


def test_what_lids_lips_and_chin_cover_may_come_into_sight(head: Head) -> None:
    parts, faces = require_parts(head), head.faces
    bared = may_be_bared(head)
    for name in ("eyes", "teeth", "tongue", "mouth", "neck", "skin"):
        assert bared[parts.on(name)[faces].all(dim=1)].all()
    assert not bared[parts.on("scalp")[faces].all(dim=1)].any()
    assert 0 < throat(head).sum() < 0.5 * inside_mouth(head).sum()
    surfels = sample_skin(head, head.template, 3000, torch.Generator().manual_seed(0))
    assert not throat(head)[surfels.triangle].any()
    assert not inside_mouth(head, "nothing").any()
