"""A head at rest put where a face is: stands in for the fit where a test is not about it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from pegasus_runtime.camera import Camera, ndc_intrinsics

FACE_HEIGHT = 0.62
"""of the free head, from forehead to chin, in its units"""
_FRONT = np.diag([-1.0, 1.0, -1.0])


def fit_still_head(
    _head: Any, landmarks: Any, _blendshapes: Any, size: int, focal: float, principal: Any,
    _fps: float, present: Any, progress: Any, _pictures: Any,
) -> SimpleNamespace:  # fmt: skip
    """As `trainer.preprocess.head_fit.fit_head`, but without fitting anything."""
    count, cameras = len(landmarks), []
    intrinsics = ndc_intrinsics(
        2 * focal / size,
        2 * focal / size,
        1 - 2 * principal[0] / size,
        1 - 2 * principal[1] / size,
    )
    usual = landmarks[np.flatnonzero(present)[0]]
    for index in range(count):
        places = landmarks[index] if present[index] else usual
        height = np.hypot(*(places[10, :2] - places[152, :2]))
        depth = focal * FACE_HEIGHT / height
        centre = places[[10, 152], :2].mean(axis=0)
        away = [-(centre[k] - principal[k]) * depth / focal for k in range(2)]
        cameras.append(Camera(_FRONT, (*away, depth), intrinsics, (size, size)))
    progress(1.0)
    return SimpleNamespace(
        shape=np.zeros(100, np.float32),
        expression=np.zeros((count, 50), np.float32),
        pose=np.zeros((count, 15), np.float32),
        cameras=cameras,
        landmarks=np.arange(10),
        residuals=np.ones((count, 10), np.float32),
    )
