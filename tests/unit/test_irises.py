"""Irises found in drawn eyes, whatever the landmark network says of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from trainer.preprocess import landmark_groups as groups
from trainer.preprocess.irises import with_seen_irises

_SCALE, _RADIUS, _SKIN = 4, 9.0, (205, 160, 140)
_MIDDLES = {groups.RIGHT_IRIS: (100.0, 80.0), groups.LEFT_IRIS: (180.0, 80.0)}
_EYES = ((groups.RIGHT_EYE, groups.RIGHT_IRIS), (groups.LEFT_EYE, groups.LEFT_IRIS))


def drawn(
    look: tuple[float, float], colour: tuple[int, int, int], opening: float, turn_deg: float
) -> tuple[np.ndarray, np.ndarray]:
    """A picture of two eyes, and landmarks whose irises lie in the middle of the lids."""
    large = np.full((160 * _SCALE, 280 * _SCALE, 3), _SKIN, np.uint8)
    places = np.zeros((groups.NUM_LANDMARKS, 3), np.float32)
    for lids, iris in _EYES:
        x, y = _MIDDLES[iris]
        angle = np.linspace(np.pi, -np.pi, 16, endpoint=False)
        outline = np.stack([x + 21 * np.cos(angle), y + opening * np.sin(angle)], axis=1)
        white, disc = np.zeros(large.shape[:2], np.uint8), large.copy()
        cv2.fillPoly(white, [(outline * _SCALE).astype(np.int32)], 1)
        disc[:] = (235, 230, 228)
        at = (round((x + look[0]) * _SCALE), round((y + look[1]) * _SCALE))
        cv2.circle(disc, at, round(_RADIUS * _SCALE), colour, -1)
        cv2.circle(disc, at, round(0.4 * _RADIUS * _SCALE), (15, 12, 12), -1)
        large[white > 0] = disc[white > 0]
        places[list(lids), :2] = outline
        ring = _RADIUS * np.array([(0, 0), (1, 0), (0, -1), (-1, 0), (0, 1)])
        places[iris : iris + 5, :2] = ring + (x, y)
    small = cv2.resize(large, None, fx=1 / _SCALE, fy=1 / _SCALE, interpolation=cv2.INTER_AREA)
    matrix = cv2.getRotationMatrix2D((140, 80), turn_deg, 1.0)
    pixels = cv2.warpAffine(small, matrix, (280, 160), borderValue=_SKIN)
    places[:, :2] = places[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return pixels, places


@pytest.mark.parametrize("turn_deg", [0.0, 20.0])
@pytest.mark.parametrize("colour", [(60, 40, 30), (120, 140, 150)], ids=["brown", "grey"])
@pytest.mark.parametrize("look", [(0.0, 0.0), (7.0, 0.0), (-6.0, 2.0), (0.0, -5.0), (0.0, 5.0)])
def test_an_iris_goes_where_it_is_seen(
    look: tuple[float, float], colour: tuple[int, int, int], turn_deg: float
) -> None:
    pixels, places = drawn(look, colour, 13.0, turn_deg)
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    wanted = np.array([cos * look[0] + sin * look[1], -sin * look[0] + cos * look[1]])
    moved = (with_seen_irises(pixels, places) - places)[:, :2]
    for _, iris in _EYES:
        assert np.linalg.norm(moved[iris : iris + 5] - wanted, axis=1).max() < 1.2
    assert not moved[: groups.FIRST_IRIS].any()


@pytest.mark.parametrize("shown", ["closed", "dark", "nothing"])
def test_where_none_is_seen_the_networks_stays(shown: str) -> None:
    pixels, places = drawn((6.0, 0.0), (60, 40, 30), 3.0 if shown == "closed" else 13.0, 0.0)
    if shown == "dark":
        pixels = (pixels // 50).astype(np.uint8)
    if shown == "nothing":
        pixels[:] = _SKIN
    assert (with_seen_irises(pixels, places) == places).all()
