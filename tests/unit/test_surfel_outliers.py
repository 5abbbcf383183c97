"""Specks in the air beside hair or a hat are left out; two locks stay."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import load_free_head
from pegasus_runtime.head.canonical import make_canonical_head
from pegasus_runtime.surfels.attributes import Attribute, Difference, Wardrobe, rest_corners
from trainer.data.dataset import Capture
from trainer.init.surfel_sampling import bound_surfels, sample_skin
from trainer.refine.outliers import without_outliers

HEAD, SIDE = load_free_head(), 64


def block(middle: tuple[float, float, float], count: int) -> Tensor:
    """(N, 3) points close together."""
    generator = torch.Generator().manual_seed(count)
    return torch.tensor(middle) + 0.04 * torch.rand(count, 3, generator=generator)


def mended(name: str, points: Tensor, larger: float = 0.0) -> Wardrobe:
    """Without outliers, of a person with an attribute that consists of points.

    The logarithms of all radii are this much larger than those of new surfels.
    """
    canonical = make_canonical_head(HEAD, torch.zeros(50))
    own = bound_surfels(HEAD, canonical, points, torch.zeros_like(points) + 0.577, hangs=True)
    nothing = torch.zeros(0, dtype=torch.long)
    source = sample_skin(HEAD, HEAD.template, 50, torch.Generator().manual_seed(0))
    own, source = (replace(each, log_radius=each.log_radius + larger) for each in (own, source))
    worn = Attribute(name, nothing, Difference.none(0), own)
    wardrobe = Wardrobe(source, (worn,), rest_corners(HEAD, torch.zeros(100)))
    camera = Camera.orbit((0, 0, 0), 5.0, fov_deg=30, image_size=(SIDE, SIDE))
    record = SimpleNamespace(
        expression=np.zeros(50, np.float32), pose=np.zeros(15, np.float32), camera=camera
    )
    pictures = SimpleNamespace(mask=np.full((SIDE, SIDE), 255, np.uint8))
    frames = [SimpleNamespace(record=record, pictures=pictures)]
    made = SimpleNamespace(
        training={"me": frames, name: frames}, source="me", shape=torch.zeros(100)
    )
    return without_outliers(wardrobe, HEAD, cast(Capture, made))


LOCKS = torch.cat([block((0.2, 0.1, 0.1), 300), block((-0.25, 0.1, 0.1), 300)])
SPECK = block((0.2, 0.1, -0.4), 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "points", "stay"),
    [
        ("hair_long", torch.cat([LOCKS, SPECK]), 600),
        ("hat_cap", torch.cat([LOCKS, SPECK]), 600),
        ("hair_long", LOCKS, 600),
        ("eyeglasses_thin", torch.cat([LOCKS, SPECK]), 603),
        ("hair_long", torch.zeros(0, 3), 0),
    ],
)
def test_specks_in_the_air_are_left_out(name: str, points: Tensor, stay: int) -> None:
    assert len(mended(name, points).attributes[0].own) == stay


def test_nothing_grows_into_a_haze() -> None:
    large, small = mended("hat_cap", LOCKS, 3.0), mended("hat_cap", LOCKS, -4.0)
    for wardrobe, is_large in ((large, True), (small, False)):
        for surfels in (wardrobe.source, wardrobe.attributes[0].own):
            radius = surfels.log_radius.exp()
            assert float(radius.max()) <= 0.0501
            assert bool((radius > 0.0499).any()) == is_large
