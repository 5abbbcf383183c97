"""Pictures of a face's parts, cut out of the frame that shows them best."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.preprocess.landmark_groups import (
    CHIN,
    FOREHEAD,
    LEFT_BROW,
    LEFT_EYE,
    LID_PAIRS,
    NOSE_RIDGE,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
)
from trainer.preprocess.look_parts import part_pictures

SIDE = 400
PLACES = {
    "eyebrows": (RIGHT_BROW + LEFT_BROW, (200, 150)),
    "eyes": (RIGHT_EYE + LEFT_EYE, (200, 170)),
    "nose": ((*NOSE_RIDGE, 98, 327), (200, 205)),
    "mouth": (OUTER_LIPS, (200, 250)),
}


def frame_of(colour: int, turned: float = 0.0, opening: float = 8.0):
    """A flat picture, dark where each part's landmarks lie."""
    landmarks = np.tile(np.float32((200, 200, 0)), (478, 1))
    angles = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    landmarks[list(OVAL), 0] = 200 + 80 * np.sin(angles)
    landmarks[list(OVAL), 1] = 200 - 110 * np.cos(angles)
    landmarks[FOREHEAD, :2], landmarks[CHIN, :2] = (200, 90), (200, 310)
    pixels = np.full((SIDE, SIDE, 3), colour, np.uint8)
    for number, (group, (x, y)) in enumerate(PLACES.values()):
        spread = np.linspace(-12, 12, len(group))
        landmarks[list(group), 0] = x + spread + turned * (group[0] in NOSE_RIDGE)
        landmarks[list(group), 1] = y
        pixels[y - 3 : y + 4, x - 3 : x + 4] = 10 * (number + 1)
    for upper, lower in LID_PAIRS:
        landmarks[upper, 1], landmarks[lower, 1] = 170 - opening / 2, 170 + opening / 2
    return pixels, landmarks


@pytest.mark.parametrize("worse", [{"turned": 40.0}, {"opening": 0.5}])
def test_each_part_is_shown_from_the_frame_that_faces_the_camera(worse) -> None:
    shown = part_pictures([frame_of(120, **worse), frame_of(200), frame_of(90, **worse)])
    assert set(shown) == {*PLACES, "hair", "hat", "ears", "eyeglasses"}
    assert all(picture.shape == (96, 96, 3) for picture in shown.values())
    for number, name in enumerate(PLACES):
        picture = shown[name][..., 0]
        assert picture.max() == 200
        # Brows are shown with the eyes below them.
        assert name == "eyebrows" or picture[48, 48] == 10 * (number + 1), name
    assert np.ptp(shown["hair"]) > 0
