"""Landmarks smoothed in time without lag: the face as a whole, and what moves in it apart.

Windows are symmetric, so nothing comes late, and fit a parabola (Savitzky and Golay 1964), which
keeps where a motion turns. Eyelids, irises and lips are left nearly as they are: a blink lasts
three frames, and a mean over five would leave half of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.preprocess import landmark_groups as groups

FloatArray = npt.NDArray[np.floating[Any]]
QUICK_LANDMARKS = (
    *groups.OUTER_LIPS, *groups.INNER_LIPS, *groups.RIGHT_EYE, *groups.LEFT_EYE,
    *range(groups.FIRST_IRIS, groups.NUM_LANDMARKS),
)  # fmt: skip
_WHOLE_S, _PART_S = 0.28, 0.20
"""seconds of the windows: frames that lie farther apart show other poses, not noise; longer ones
round blinks and words off"""
_QUICK_FPS = 18.0
"""below which the landmarks that move quickly are left as they are; less smooths blinks away that
last a frame or two"""
_QUICK_KERNEL = np.array([0.08, 0.84, 0.08])
"""Flatter takes more jitter from lids and lips, and rounds blinks off."""


def smooth_landmarks(places: FloatArray, present: npt.NDArray[np.bool_], fps: float) -> FloatArray:
    """Landmarks (N, 478, 3) of present frames (N,), each run of them smoothed on its own."""
    smoothed = places.copy()
    for first, last in runs(present):
        if last - first >= 3:
            smoothed[first:last] = _smooth_run(places[first:last], fps)
    return smoothed


def runs(present: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where frames are present one after the other: first, and one past the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _smooth_run(places: FloatArray, fps: float) -> FloatArray:
    mean = places.mean(axis=0)
    centre, scale, angle = _similarity(places, mean)
    motion = np.column_stack([centre, np.log(scale), np.unwrap(angle)])
    within = _undo(places, centre, scale, angle)
    steady = _savitzky_golay(within, round(_PART_S * fps))
    quick = list(QUICK_LANDMARKS)
    steady[:, quick] = within[:, quick]
    if fps > _QUICK_FPS:
        steady[:, quick] = _convolved(within[:, quick], _QUICK_KERNEL)
    moved = _savitzky_golay(motion, round(_WHOLE_S * fps))
    return _redo(steady, moved[:, :2], np.exp(moved[:, 2]), moved[:, 3]).astype(np.float32)


def _similarity(places: FloatArray, mean: FloatArray) -> tuple[npt.NDArray[np.float64], ...]:
    """Centre (N, 2), scale (N,) and angle (N,) of each frame against the mean, by least squares."""
    centre = places[..., :2].astype(np.float64).mean(axis=1)
    flat, still = places[..., :2] - centre[:, None], mean[:, :2] - mean[:, :2].mean(axis=0)
    dot = np.einsum("nkc,kc->n", flat, still)
    cross = np.einsum("nk,k->n", flat[..., 1], still[:, 0])
    cross -= np.einsum("nk,k->n", flat[..., 0], still[:, 1])
    return centre, np.hypot(dot, cross) / np.square(still).sum(), np.arctan2(cross, dot)


def _undo(
    places: FloatArray, centre: FloatArray, scale: FloatArray, angle: FloatArray
) -> FloatArray:
    within = places.astype(np.float64)
    within[..., :2] = _turned(within[..., :2] - centre[:, None], -angle)
    return np.asarray(within / scale[:, None, None])


def _redo(
    within: FloatArray, centre: FloatArray, scale: FloatArray, angle: FloatArray
) -> FloatArray:
    places = within * scale[:, None, None]
    places[..., :2] = _turned(places[..., :2], angle) + centre[:, None]
    return places


def _turned(flat: FloatArray, angle: FloatArray) -> FloatArray:
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = flat[..., 0], flat[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _savitzky_golay(rows: FloatArray, window: int) -> FloatArray:
    from scipy.signal import savgol_filter

    longest = min(window, len(rows))
    odd = longest - (longest + 1) % 2
    # Through three places goes a parabola of its own.
    if odd <= 3:
        return np.array(rows)
    return np.asarray(savgol_filter(rows, odd, 2, axis=0))


def _convolved(rows: FloatArray, kernel: FloatArray) -> FloatArray:
    from scipy.ndimage import correlate1d

    return np.asarray(correlate1d(rows, kernel, axis=0, mode="nearest"))
