"""What shows teeth is bound to teeth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import torch

import pegasus_runtime as pr
from pegasus_runtime.camera import Camera
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.attributes import Attribute, Difference, Wardrobe, rest_corners
from pegasus_runtime.surfels.binding import place_on_triangles
from pegasus_runtime.surfels.surfels import new_surfels
from trainer.data.dataset import Capture
from trainer.refine.teeth import on_teeth

NAMES, SIDE = ("skin", "teeth", "tongue"), 64


def test_surfels_of_the_tongue_that_show_teeth_ride_on_teeth_from_where_they_are() -> None:
    head, shape = pr.load_free_head(), torch.zeros(100)
    parts, corners = require_parts(head), rest_corners(head, shape)
    tongue = parts.on("tongue")[head.faces].all(dim=1).nonzero()[:, 0]
    cheek = parts.on("skin")[head.faces].all(dim=1).nonzero()[:5, 0]
    triangle = torch.cat([tongue[:20], cheek])
    count = len(triangle)
    random = torch.Generator().manual_seed(0)
    offset = 0.01 * torch.randn(count, 3, generator=random)
    rotation = 0.5 * torch.randn(count, 3, generator=random)
    third = torch.full((count, 3), 1 / 3)
    source = new_surfels(triangle, third, offset, rotation, 0.01)
    region = torch.tensor([2, count - 1])
    change = Difference.none(2)
    change.offset[:] = torch.tensor([0.01, 0.0, 0.0])
    attribute = Attribute("mouth_x", region, change, source.chosen(torch.zeros(0).long()))
    wardrobe = Wardrobe(source, (attribute,), corners)
    everywhere = np.full((SIDE, SIDE), NAMES.index("teeth"), np.uint8)
    record = SimpleNamespace(
        expression=np.zeros(50, np.float32), pose=np.zeros(15, np.float32),
        camera=Camera.orbit((0, -0.2, 0.3), 4.0, fov_deg=20, image_size=(SIDE, SIDE)),
    )  # fmt: skip
    frame = SimpleNamespace(record=record, pictures=SimpleNamespace(parts=everywhere))
    capture = SimpleNamespace(
        training={"me": [frame] * 3}, source="me", shape=shape, part_names=NAMES
    )
    found = on_teeth(wardrobe, head, cast(Capture, capture))
    teeth = parts.on("teeth")[head.faces].all(dim=1)
    assert teeth[found.source.triangle[:20]].all()
    assert torch.equal(found.source.triangle[20:], cheek), "skin stays on skin"
    for each in ({}, {"mouth_x": 1.0}):
        before, after = (
            place_on_triangles(corners, s.triangle, s.barycentric, s.offset)[0]
            for s in (wardrobe.dressed(each), found.dressed(each))
        )
        assert (before - after).abs().max() < 1e-4, "nothing moves at rest"
