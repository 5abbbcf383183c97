"""The neck of a head that was filmed from the front is closed below."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import load_free_head, pose_head
from pegasus_runtime.head.canonical import make_canonical_head
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.surfels.attributes import Wardrobe, rest_corners
from pegasus_runtime.surfels.binding import place_on_triangles
from tests.filmed_head import filmed
from trainer.data.dataset import Capture
from trainer.head_regions import neck_rim
from trainer.init.covered_parts import inside_mouth
from trainer.init.surfel_sampling import sample_skin
from trainer.refine.neck_base import with_neck_base

HEAD = load_free_head()


def bust() -> Wardrobe:
    source = sample_skin(HEAD, HEAD.template, 4000, torch.Generator().manual_seed(0))
    return Wardrobe(source, (), rest_corners(HEAD, torch.zeros(100)))


def seen_from_all_sides() -> Capture:
    capture = filmed(HEAD)
    frames = [
        SimpleNamespace(
            record=SimpleNamespace(
                expression=np.zeros(50, np.float32), pose=np.zeros(15, np.float32),
                camera=Camera.orbit((0, 0, 0), 5.0, yaw_deg=yaw),
            ),
            pictures=frame.pictures,
        )
        for yaw, frame in zip((-90, -45, 0, 45, 90), capture.training["me"], strict=False)
    ]  # fmt: skip
    return cast(Capture, SimpleNamespace(**{**vars(capture), "training": {"me": frames}}))


def test_the_ring_is_the_neck_s_end() -> None:
    ring = HEAD.template[neck_rim(HEAD)]
    assert len(ring) > 20
    assert float(ring[:, 1].max()) < -0.3 and float(ring[:, 1].min()) == float(
        HEAD.template[:, 1].min()
    )
    assert not len(neck_rim(replace(HEAD, faces=HEAD.faces[:0])))


def test_a_neck_that_ends_in_a_ring_is_closed_below() -> None:
    wardrobe = bust()
    found = with_neck_base(wardrobe, HEAD, filmed(HEAD)).source
    canonical = make_canonical_head(HEAD, torch.zeros(50))
    corners, ring = canonical.vertices[HEAD.faces], canonical.vertices[neck_rim(HEAD)]

    def placed(surfels):
        return place_on_triangles(corners, surfels.triangle, surfels.barycentric, surfels.offset)

    new = found.opacity == 4.0
    assert 100 < new.sum() <= 600 and new[-1] and not new[0]
    base = found.chosen(new.nonzero()[:, 0])
    places, frames = placed(base)
    for axis in (0, 2):
        assert places[:, axis].min() > ring[:, axis].min() - 0.1
        assert places[:, axis].max() < ring[:, axis].max() + 0.1
    down = (frames @ rotation_matrices(base.rotation))[:, 1, 2]
    assert float(down.max()) < -0.5
    # What is seen of the mouth from below is gone, all else is as it was.
    mouth = inside_mouth(HEAD)
    below = placed(found)[0][:, 1] < places[:, 1].min()
    assert not (below & mouth[found.triangle] & ~new).any()
    lost = len(wardrobe.source) - int((~new).sum())
    assert lost == int(mouth[wardrobe.source.triangle].sum() - mouth[found.triangle][~new].sum())
    assert 0 <= lost < 0.3 * mouth[wardrobe.source.triangle].sum()


def test_an_open_jaw_leaves_the_base_where_it_is() -> None:
    found = with_neck_base(bust(), HEAD, filmed(HEAD)).source
    base = found.chosen((found.opacity == 4.0).nonzero()[:, 0])
    places = []
    for jaw in (0.0, 0.5):
        pose = torch.zeros(15)
        pose[6] = jaw
        corners = pose_head(HEAD, torch.zeros(100), torch.zeros(50), pose).vertices[HEAD.faces]
        places.append(place_on_triangles(corners, base.triangle, base.barycentric, base.offset)[0])
    assert float((places[1] - places[0]).norm(dim=1).max()) < 0.02


def test_a_base_is_not_doubled_when_a_training_goes_on() -> None:
    capture = filmed(HEAD)
    closed = with_neck_base(bust(), HEAD, capture)
    assert with_neck_base(closed, HEAD, capture) is closed


def test_who_was_seen_from_all_sides_stays_as_they_are() -> None:
    wardrobe = bust()
    assert with_neck_base(wardrobe, HEAD, seen_from_all_sides()) is wardrobe
