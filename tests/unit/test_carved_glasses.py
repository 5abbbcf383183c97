"""At the end of a training, rims are whole and of their own colour, and stand where they did."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from pegasus_runtime.camera import Camera
from pegasus_runtime.head import load_free_head
from pegasus_runtime.head.canonical import make_canonical_head
from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.attributes import (
    Attribute,
    Difference,
    Wardrobe,
    rest_corners,
    rest_surfels,
)
from pegasus_runtime.surfels.pose import LightNetwork
from trainer.data.dataset import Capture
from trainer.init.surfel_sampling import bound_surfels, sample_skin
from trainer.init.thin_structures import depth_of
from trainer.refine.carved_glasses import with_carved_glasses

HEAD, SIDE, SHAPE = load_free_head(), 256, torch.zeros(100)
NAMES = ("background", "skin", "glasses")
INK = (20, 30, 90)
GLASSES = PART_NAMES.index("glasses")
WIDE = (-75.0, -45.0, -15.0, 15.0, 45.0, 75.0)


def rims() -> Tensor:
    """(P, 3) both, before eyes and brows."""
    angle = torch.linspace(0, 2 * torch.pi, 60)
    rim = torch.stack([0.095 * angle.cos(), 0.03 + 0.09 * angle.sin(), 0 * angle], dim=1)
    return torch.cat([rim + torch.tensor([side * 0.128, 0, 0.46]) for side in (-1, 1)])


@pytest.fixture(scope="module")
def wardrobe() -> Wardrobe:
    """Half of what is around the rims shows skin, and a part of one rim is bare."""
    generator = torch.Generator().manual_seed(0)
    vertices = HEAD.template
    source = sample_skin(HEAD, vertices, 4000, generator)
    around = rims().repeat(12, 1)
    around = around[(around[:, 0] < 0.2) | (around[:, 1] > -0.01)]
    around = around + 0.01 * torch.randn(around.shape, generator=generator)
    canonical = make_canonical_head(HEAD, torch.zeros(50))
    own = bound_surfels(HEAD, canonical, around, torch.zeros_like(around) + 0.577, hangs=True)
    shows_skin = torch.rand(len(own), generator=generator) < 0.5
    own = replace(
        own,
        colour=torch.where(shows_skin[:, None], 1.0, -2.0).expand(-1, 3).clone(),
        part=torch.where(shows_skin, PART_NAMES.index("skin"), GLASSES).byte(),
    )
    region = torch.arange(40)
    part = torch.where(region < 10, GLASSES, PART_NAMES.index("skin")).byte()
    difference = replace(Difference.none(40), colour=torch.full((40, 3), -1.0))
    worn = Attribute("eyeglasses_thin", region, difference, own, part)
    return Wardrobe(source, (worn,), rest_corners(HEAD, SHAPE))


def capture_of(wardrobe: Wardrobe, yaws: tuple[float, ...], names: tuple[str, ...]) -> Capture:
    """Pictures of the head with both rims, from the sides of ``yaws``."""
    skin, _ = rest_surfels(wardrobe.source, wardrobe.rest_corners)
    frames = []
    for pitch in (-12.0, 8.0):
        for yaw in yaws:
            camera = Camera.orbit((0, 0, 0.1), 4.0, yaw, pitch, fov_deg=22, image_size=(SIDE, SIDE))
            depth = depth_of(camera, skin)
            parts = np.where(cv2.resize(np.isfinite(depth.numpy()) * 1.0, (SIDE, SIDE)) > 0.5, 1, 0)
            parts = parts.astype(np.uint8)
            seen = camera.project(rims())
            for x, y, _ in seen.tolist():
                place = round((1 - x) * SIDE / 2 - 0.5), round((1 - y) * SIDE / 2 - 0.5)
                cv2.circle(parts, place, 3, 2, -1)
            image = np.full((SIDE, SIDE, 3), 190, np.uint8)
            image[parts == 2] = INK
            record = SimpleNamespace(
                expression=np.zeros(50, np.float32),
                pose=np.zeros(15, np.float32),
                camera=camera,
            )
            pictures = SimpleNamespace(parts=parts, image=image)
            frames.append(SimpleNamespace(record=record, pictures=pictures))
    made = SimpleNamespace(
        training={"me": frames, "eyeglasses_thin": frames},
        source="me",
        shape=SHAPE,
        part_names=names,
    )
    return cast(Capture, made)


@pytest.mark.slow
def test_rims_are_whole_and_of_one_colour(wardrobe: Wardrobe) -> None:
    capture = capture_of(wardrobe, WIDE, NAMES)
    carved = with_carved_glasses(wardrobe, HEAD, LightNetwork(), capture).attributes[0]
    points, _ = rest_surfels(carved.own, wardrobe.rest_corners)
    apart = torch.cdist(points, rims())
    # A pixel is 0.006 wide, and rims were drawn seven of them thick.
    assert float(apart.min(dim=1).values.quantile(0.9)) < 0.05
    assert float(apart.min(dim=0).values.max()) < 0.04, "a part of a rim is bare"
    assert (carved.own.part == GLASSES).all()
    colour = torch.sigmoid(carved.own.colour)
    assert float((colour - torch.tensor(INK) / 255).abs().max()) < 0.1
    assert carved.region.tolist() == list(range(10, 40)), "skin stays turned into glasses"
    assert carved.part is not None and len(carved.part) == len(carved.difference.colour) == 30


@pytest.mark.parametrize(
    ("yaws", "names"), [(WIDE, ("background", "skin")), ((-15.0, 0.0, 15.0), NAMES)]
)
def test_without_part_pictures_or_side_views_they_stay(
    wardrobe: Wardrobe, yaws: tuple[float, ...], names: tuple[str, ...]
) -> None:
    capture = capture_of(wardrobe, yaws, names)
    kept = with_carved_glasses(wardrobe, HEAD, LightNetwork(), capture).attributes[0]
    assert kept is wardrobe.attributes[0]


def test_pictures_that_do_not_hold_still_change_nothing(wardrobe: Wardrobe) -> None:
    """Of an estimator that finds the glasses elsewhere in every frame."""
    capture = capture_of(wardrobe, WIDE, NAMES)
    for number, frame in enumerate(capture.training["eyeglasses_thin"]):
        frame.pictures.parts[:] = np.roll(frame.pictures.parts, 9 * number - 50, axis=0)
    kept = with_carved_glasses(wardrobe, HEAD, LightNetwork(), capture).attributes[0]
    assert kept is wardrobe.attributes[0]
