"""The demo avatar as somebody who is filmed: turns its head, speaks and blinks."""

from __future__ import annotations

from functools import cache

import numpy as np

import pegasus_runtime as pr
from pegasus_runtime.camera import Camera

SIDE = 256
BLINKS = (5, 6)
_BACKGROUND = (96, 140, 110)


def filmed_demo(count: int) -> tuple[np.ndarray, ...]:
    """So many frames (SIDE, SIDE, 3), and nothing of the avatar in the corners."""
    return tuple(frame for frame, _ in _filmed(count))


def filmed_portrait(count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Frames (H, SIDE, 3) that end on the chest, as those of cameras do, and mattes (H, SIDE) 0..1.

    Below a bust that floats in a picture networks see a chest all the same.
    """
    filmed = _filmed(count)
    width = np.min([(alpha > 0.5).sum(axis=1) for _, alpha in filmed], axis=0)
    lower = 3 * SIDE // 5
    end = (lower + int(width[lower:].argmax())) // 2 * 2
    return [frame[:end] for frame, _ in filmed], [alpha[:end] for _, alpha in filmed]


@cache
def _filmed(count: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    avatar = pr.load_avatar("demo")
    session = pr.Session(avatar, device="cpu")
    names = list(avatar.head.expression_names)
    frames = []
    for k in range(count):
        face = avatar.neutral()
        expression, pose = np.array(face.expression), np.array(face.pose)
        if k in BLINKS:
            expression[[names.index("blink left"), names.index("blink right")]] = 1
        pose[4], pose[6] = 0.15 * np.sin(k / 3), 0.12 * (1 + np.sin(k))
        face.expression, face.pose = expression, pose
        frame = session.render(face, _camera(avatar), passes=("rgb", "alpha"))
        rgb, alpha = np.asarray(frame["rgb"]), np.asarray(frame["alpha"])
        alpha = alpha.reshape(SIDE, SIDE, 1)
        shown = rgb - (1 - alpha) + (1 - alpha) * np.array(_BACKGROUND) / 255
        frames.append(((shown.clip(0, 1) * 255).astype(np.uint8), alpha[..., 0]))
    return tuple(frames)


def _camera(avatar: pr.Avatar) -> Camera:
    return avatar.default_camera((SIDE, SIDE))


def put_beside(frames: tuple[np.ndarray, ...], scale: float) -> list[np.ndarray]:
    """Each frame with a smaller copy of itself at its right."""
    import cv2

    pictures = []
    for frame in frames:
        wide = np.full((SIDE, 2 * SIDE, 3), _BACKGROUND, np.uint8)
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        wide[:, :SIDE] = frame
        wide[: small.shape[0], SIDE : SIDE + small.shape[1]] = small
        pictures.append(wide)
    return pictures
