"""How the made-up person moves and from where each frame is taken."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.camera import Camera
from trainer.synthetic.config import SOURCE

FloatArray = npt.NDArray[np.float32]
LOOK_AT = (0.0, 0.0, 0.03)
"""the centre of the pictures, in head units (metres × 4): higher cuts shoulders off, lower leaves
no room for hats"""
DISTANCE = 4.3
"""In head units; nearer enlarges the nose against the ears, as a photograph from near does."""
FIELD_OF_VIEW_DEG = 19.0
"""A wider one leaves more room around the head and fewer pixels for it."""
_PAIRED = {
    "smile": 0.9,
    "blink": 1.0,
    "brow outer up": 1.0,
    "brow down": 1.0,
    "mouth frown": 0.7,
    "eye squint": 0.8,
    "eye wide": 0.9,
    "mouth dimple": 0.6,
    "mouth stretch": 0.6,
    "mouth upper up": 0.6,
    "mouth lower down": 0.6,
    "nose sneer": 0.6,
}
"""Largest coefficients: more shows faces that nobody makes, less leaves less of an expression to
learn."""
_SINGLE = {
    "brow inner up": 1.0,
    "mouth pucker": 0.9,
    "mouth funnel": 0.7,
    "mouth left": 0.6,
    "mouth right": 0.6,
    "cheek puff": 0.6,
}
"""The same of actions without sides."""
_AROUND_SHARE, _WORN_AROUND_SHARE = 0.25, 0.6
"""of the frames are taken from anywhere around, the others from the front; and of a subject with
another hair or hat, which are as much behind the head as before it: less leaves their backs to
half a dozen frames, more leaves fewer of the face"""
_AROUND_THE_HEAD = ("hair", "hat")
_FAR_SHARE = 0.2
"""of the source person's frames, which show what sliders offer and people seldom do; more leaves
fewer of usual faces"""
_FAR_JAW_RAD, _FAR_GAZE_RAD = 0.5, 0.45
"""how far jaw and eyes go then, up and down less; more shows faces that nobody makes"""
_YAW_DEG, _PITCH_DEG, _DISTANCES = (-40, 40), (-15, 20), (0.97, 1.06)
"""Of the other frames' cameras, and of all in distances: wider shows more sides, each in fewer
frames."""
_AROUND_PITCH_DEG = (-35, 35)
"""Of those from anywhere: less leaves the underside of a brim, of a chin and of a bust, and the top
of a hat, without a picture."""
_TURN_RAD, _NECK_RAD, _JAW_RAD, _GAZE_RAD = 0.05, 0.12, 0.3, 0.25
"""How far root, neck, jaw and eyes turn in usual frames: more teaches more of the hinge, less
leaves sliders without an example."""
_UPRIGHT_GAZE = np.array([0.6, 1.0])
"""of it up and down: more hides irises under lids"""
_OPEN_SHARE, _STILL_SHARE = 0.6, 0.15
"""of the frames, with an open jaw and without any expression; more of either leaves fewer of the
rest"""
_TILT = 0.12
"""By which the sides of a paired action differ: more teaches each by itself, less leaves one-sided
sliders without an example."""


@dataclass(frozen=True, eq=False)
class FrameParameters:
    """One frame's exact parameters."""

    expression: FloatArray
    """(50,)"""
    pose: FloatArray
    """(15,) axis-angle of the joints in radians"""
    camera: Camera


def still_frame_parameters(image_size: int) -> FrameParameters:
    """The person from the front, at rest."""
    camera = Camera.orbit(
        LOOK_AT, DISTANCE, fov_deg=FIELD_OF_VIEW_DEG, image_size=(image_size, image_size)
    )
    return FrameParameters(np.zeros(50, np.float32), np.zeros(15, np.float32), camera)


def draw_frame_parameters(
    seed: int, subject: str, frame: int, image_size: int, expression_names: tuple[str, ...]
) -> FrameParameters:
    """The parameters of a frame, from (seed, subject, frame) alone."""
    random = np.random.default_rng([seed, zlib.crc32(subject.encode()), frame])
    camera = _draw_camera(random, image_size, _around_share(subject))
    pose = _draw_pose(random)
    expression = _draw_expression(random, expression_names)
    if subject == SOURCE and random.random() < _FAR_SHARE:
        _go_far(random, expression, pose, expression_names)
    return FrameParameters(expression, pose, camera)


def _around_share(subject: str) -> float:
    worn = {attribute.partition("_")[0] for attribute in subject.split("+")}
    return _AROUND_SHARE if worn.isdisjoint(_AROUND_THE_HEAD) else _WORN_AROUND_SHARE


def _draw_camera(random: np.random.Generator, image_size: int, around: float) -> Camera:
    everywhere = random.random() < around
    yaws, pitches = _YAW_DEG, _PITCH_DEG
    if everywhere:
        yaws, pitches = (-180, 180), _AROUND_PITCH_DEG
    yaw_deg = random.uniform(*yaws)
    return Camera.orbit(
        LOOK_AT,
        DISTANCE * random.uniform(*_DISTANCES),
        yaw_deg=yaw_deg,
        pitch_deg=random.uniform(*pitches),
        fov_deg=FIELD_OF_VIEW_DEG,
        image_size=(image_size, image_size),
    )


def _draw_pose(random: np.random.Generator) -> FloatArray:
    pose = np.zeros((5, 3), np.float32)
    pose[0] = random.uniform(-_TURN_RAD, _TURN_RAD, 3)
    pose[1] = random.uniform(-_NECK_RAD, _NECK_RAD, 3)
    if random.random() < _OPEN_SHARE:
        pose[2, 0] = random.uniform(0.0, _JAW_RAD)
    gaze = random.uniform(-_GAZE_RAD, _GAZE_RAD, 2)
    pose[3:, :2] = gaze * _UPRIGHT_GAZE
    return pose.reshape(15)


def _go_far(
    random: np.random.Generator, expression: FloatArray, pose: FloatArray, names: tuple[str, ...]
) -> None:
    """An open mouth, a tongue put out of it, or eyes turned away, in place."""
    which = random.integers(3)
    if which == 2:
        gaze = random.uniform(-_FAR_GAZE_RAD, _FAR_GAZE_RAD, 2)
        pose[9:11] = pose[12:14] = gaze * _UPRIGHT_GAZE
        return
    pose[6] = random.uniform(0.1, _FAR_JAW_RAD)
    if which == 1 and "tongue out" in names:
        expression[names.index("tongue out")] = random.uniform(0.4, 1.0)


def _draw_expression(random: np.random.Generator, names: tuple[str, ...]) -> FloatArray:
    expression = np.zeros(len(names), np.float32)
    if random.random() < _STILL_SHARE:
        return expression
    actions = {**_PAIRED, **_SINGLE}
    for action in random.choice(sorted(actions), size=random.integers(1, 4), replace=False):
        strength = random.uniform(0.25, 1.0) * actions[action]
        _apply(expression, names, str(action), strength, random.uniform(-_TILT, _TILT))
    return expression


def _apply(
    expression: FloatArray, names: tuple[str, ...], action: str, strength: float, tilt: float
) -> None:
    if action in names:
        expression[names.index(action)] = strength
        return
    for side, factor in (("left", 1 + tilt), ("right", 1 - tilt)):
        if f"{action} {side}" in names:
            expression[names.index(f"{action} {side}")] = strength * factor
