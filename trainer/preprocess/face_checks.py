"""Whether what two networks take for a face is one.

The landmark network gives a face of whatever it looks at, and its presence believes dogs. On a face
its landmarks stay where they are when it looks from a little beside; elsewhere they go along with
what it looks at. On clips and portraits the mean move is 0.4 to 1.2 % of the face's size, on a cat,
on textures and on hands that the detector took for faces 4 % and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.preprocess.estimators import (
    REGION_SCALE,
    Bytes,
    DetectedFace,
    FaceEstimators,
    FaceLandmarks,
    FloatArray,
    Region,
)

MAX_MOVE = 0.03
"""over the face's size, of the landmarks of a face; less leaves real faces out when they are
blurred, more takes patterns for faces"""
MIN_PRESENCE = 0.5
"""That the network gives to its landmarks: less takes patterns for faces, more leaves half-hidden
ones out."""
_BESIDE = ((0.08, 0.0, 1.0, 0.0), (0.0, 0.08, 1.1, 0.15))
"""looks from beside: x, y over the region's side, its scale, radians. Farther off, landmarks of
real faces move as well; nearer, those on a pattern stay too."""
_SECOND_LOOK = (0.0, 0.0, 1.08, 0.12)
"""The same of the look with which the mean is made: nearer ones err alike, farther ones err
more."""
_QUARTER_TURNS = 4
_MAX_ROLL = np.radians(55)
"""Beyond it a picture does not count as upright; from 45 degrees on the next quarter turn is
nearer."""


@dataclass(frozen=True, eq=False)
class CheckedFace:
    """Landmarks, and how much they depend on how they were looked at."""

    landmarks: FaceLandmarks
    move: float
    """mean way of a landmark between two looks, over the face's size"""

    @property
    def is_face(self) -> bool:
        return self.move < MAX_MOVE and self.landmarks.presence > MIN_PRESENCE


def check_face(estimators: FaceEstimators, pixels: Bytes, face: DetectedFace) -> CheckedFace:
    """Look at a detected face from several regions."""
    first = estimators.landmarks(pixels, Region.of_face(face))
    region = Region.of_landmarks(first.places)
    straight = estimators.landmarks(pixels, region)
    moves = [
        mean_move(estimators.landmarks(pixels, beside(region, *shift)).places, straight.places)
        for shift in _BESIDE
    ]
    return CheckedFace(straight, float(np.mean(moves)))


def look_twice(estimators: FaceEstimators, pixels: Bytes, region: Region) -> CheckedFace:
    """The mean of two looks, which is steadier than one."""
    first = estimators.landmarks(pixels, region)
    turned = beside(Region.of_landmarks(first.places), *_SECOND_LOOK)
    second = estimators.landmarks(pixels, turned)
    mean = ((first.places + second.places) / 2).astype(np.float32)
    presence = min(first.presence, second.presence)
    return CheckedFace(FaceLandmarks(mean, presence), mean_move(first.places, second.places))


def beside(region: Region, x: float, y: float, scale: float, angle: float) -> Region:
    """A region a little beside another one."""
    return Region(
        region.x + x * region.side,
        region.y + y * region.side,
        region.side * scale,
        region.angle + angle,
    )


def mean_move(first: FloatArray, second: FloatArray) -> float:
    """Mean distance of landmarks over the size of the face."""
    size = Region.of_landmarks(second).side / REGION_SCALE
    return float(np.linalg.norm(first[:, :2] - second[:, :2], axis=1).mean() / max(size, 1e-3))


def find_turn(estimators: FaceEstimators, pictures: Sequence[Bytes]) -> int:
    """Quarter turns against the clock after which faces stand upright: a phone that lay."""
    votes = np.zeros(_QUARTER_TURNS)
    for turns in range(_QUARTER_TURNS):
        votes[turns] = sum(_shows_upright(estimators, np.rot90(p, turns)) for p in pictures)
        if turns == 0 and votes[0] >= max(len(pictures) / 2, 1):
            break
    return int(votes.argmax())


def _shows_upright(estimators: FaceEstimators, pixels: Bytes) -> bool:
    pixels = np.ascontiguousarray(pixels)
    for face in (estimators.detect(pixels) or estimators.find_small(pixels))[:3]:
        checked = check_face(estimators, pixels, face)
        angle = Region.of_landmarks(checked.landmarks.places).angle
        if checked.is_face and abs(angle) < _MAX_ROLL:
            return True
    return False
