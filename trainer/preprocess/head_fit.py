"""A head fitted to the landmarks of a clip: one identity, and what each frame does.

All frames are fitted at once by the method of Gauss and Newton. First where the head is and how it
is turned, then also its shape, expressions, jaw and gaze. How far a face is tilted and how it is
formed can hardly be told apart, and a method of first order stops before it has. The focal length
is given: from a face alone it cannot be told from the distance. Last, what the pictures show of the
skin moves each frame's head to where all frames have it (`face_appearance`).

The rotation of the head splits in two: its mean over the clip is the camera's, for whoever films
stands still, and what is left turns the neck, for shoulders do not turn along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.camera import Camera, ndc_intrinsics
from pegasus_runtime.head import Head
from pegasus_runtime.head.expression_ranges import expression_ranges, is_action
from trainer.preprocess import fit_unknowns
from trainer.preprocess.action_units import action_units
from trainer.preprocess.arrow_system import Doubles
from trainer.preprocess.estimators import Bytes
from trainer.preprocess.face_appearance import AppearanceCost, FacePictures
from trainer.preprocess.fit_cost import FitCost
from trainer.preprocess.fit_unknowns import Unknowns
from trainer.preprocess.marked_head import MarkedHead

Floats = npt.NDArray[np.float32]

_RIGID_STEPS, _MOST_STEPS, _PICTURE_STEPS = 2, 25, 5
"""More rigid ones change nothing; the others end when they gain little, those by landmarks mostly
after seven. By pictures three turn drawn heads as well as eight."""
_ENOUGH = 1e-3
"""Share of the cost by which a step has to make it less for another one: with a tenth of it heads
are turned by hundredths of a degree more, in half as many steps again."""
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING, _DAMPING_FACTOR = 1e-4, 1e-6, 1e3, 8.0
"""Levenberg and Marquardt's: raised until a step makes it cost less, lowered after it."""
_MOST_JAW, _MOST_JAW_SIDE = 0.6, 0.15
"""Radians; more lets one bad frame open a mouth farther than jaws go."""
_MOST_GAZE = 0.6
"""radians; less stops glances to the side, more lets a wrong iris turn an eye away"""
_DETAIL_RANGE = (-2.0, 2.0)
"""of expressions without a meaning, in standard deviations; wider ones bend faces to the landmarks'
errors"""


@dataclass(frozen=True, eq=False)
class HeadFit:
    """What was found of a head in B frames."""

    shape: Tensor
    """(100,)"""
    expression: Tensor
    """(B, 50)"""
    pose: Tensor
    """(B, 15) radians"""
    cameras: list[Camera]
    """of the frames; they share rotation and intrinsics"""
    landmarks: npt.NDArray[np.int64]
    """(K,) those that were fitted"""
    residuals: Floats
    """(B, K) pixels of the crop between fitted and found landmarks"""


@torch.no_grad()
def fit_head(
    head: Head,
    landmarks: Floats,
    blendshapes: Floats,
    image_size: int,
    focal: float,
    principal: tuple[float, float],
    fps: float,
    present: npt.NDArray[np.bool_],
    progress: Callable[[float], None] = lambda _: None,
    pictures: Iterable[Bytes] | None = None,
) -> HeadFit:
    """Fit a head to the landmarks of a clip.

    Args:
        head: what is fitted; its landmarks are found by `landmark_map`.
        landmarks: (B, 478, 3) pixels of the crop, +x right and +y down; the third grows away from
            the camera and only begins the rotation.
        blendshapes: (B, 52) the estimator's own, where the fit begins; (B, 0) without them.
        image_size: side of the crop in pixels.
        focal: pixels of the crop.
        principal: point of the crop through which the camera looks; may lie outside of it.
        fps: of the B frames.
        present: (B,) where a face was found. The others are carried through by smoothness.
        progress: takes the share that is done.
        pictures: (S, S, 3) of the B frames; without them a head lies only where the landmarks do,
            which jitter together.
    """
    threads = torch.get_num_threads()
    # Its matrices are small: threads wait for each other, and take five times the time.
    torch.set_num_threads(1)
    try:
        return _fit(
            head, landmarks, blendshapes, image_size, (focal, *principal), fps, present, progress,
            pictures,
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)


def _fit(
    head: Head,
    landmarks: Floats,
    blendshapes: Floats,
    image_size: int,
    lens: tuple[float, float, float],
    fps: float,
    present: npt.NDArray[np.bool_],
    progress: Callable[[float], None],
    pictures: Iterable[Bytes] | None,
) -> HeadFit:
    face, seen = MarkedHead(head), present.astype(float)
    wanted = torch.from_numpy(landmarks[:, face.chosen]).double()
    cost = FitCost(face, wanted[..., :2], seen, lens, image_size, fps)
    bounds = _bounds(head, face)
    start = _begin(face, head, wanted.numpy(), blendshapes, present, lens, cost.num_shared)
    descent = _Descent(cost, bounds, start.within(*bounds))
    total = _RIGID_STEPS + _MOST_STEPS + _PICTURE_STEPS
    for step in range(_RIGID_STEPS + _MOST_STEPS):
        gain = descent.step(rigid=step < _RIGID_STEPS)
        if step >= _RIGID_STEPS and gain < _ENOUGH:
            break
        progress((step + 1) / total)
    if pictures is not None:
        look = AppearanceCost(head, FacePictures(pictures, image_size), seen, lens)
        cost.look_at(look)
        descent = _Descent(cost, bounds, descent.at)
        for step in range(_PICTURE_STEPS):
            look.learn(descent.at)
            if descent.step(rigid=False) < _ENOUGH:
                break
            progress(1 - (_PICTURE_STEPS - 1 - step) / total)
    progress(1.0)
    return _result(descent.at, cost, face, lens, image_size)


class _Descent:
    """Steps after each of which it costs less (Levenberg 1944, Marquardt 1963)."""

    def __init__(self, cost: FitCost, bounds: tuple[Doubles, Doubles], at: Unknowns) -> None:
        self.at = at
        self._cost, self._bounds, self._damping = cost, bounds, _FIRST_DAMPING

    def step(self, *, rigid: bool) -> float:
        """Take one.

        Args:
            rigid: whether only where the head is and how it is turned is changed.

        Returns:
            The share by which it costs less; 0 where no such step was found.
        """
        num_shared = fit_unknowns.BASE.stop if rigid else self._cost.num_shared
        before = self._cost.value(self.at, with_gaps=not rigid)
        system = self._cost.system(self.at, not rigid, num_shared)
        below, above = (bound - self.at.frames for bound in self._bounds)
        if rigid:
            below[:, fit_unknowns.NUM_RIGID :] = above[:, fit_unknowns.NUM_RIGID :] = 0
        while self._damping < _MOST_DAMPING:
            there = self.at.moved(*system.step(below, above, self._damping))
            after = self._cost.value(there, with_gaps=not rigid)
            if after < before:
                self.at = there
                self._damping = max(self._damping / _DAMPING_FACTOR, _LEAST_DAMPING)
                return (before - after) / before
            self._damping *= _DAMPING_FACTOR
        return 0.0


def _begin(
    face: MarkedHead,
    head: Head,
    landmarks: Doubles,
    blendshapes: Floats,
    present: npt.NDArray[np.bool_],
    lens: tuple[float, float, float],
    num_shared: int,
) -> Unknowns:
    """Turned as the landmarks are, half as expressive as the estimator says, and of mean shape."""
    rotations, scales = _aligned(face.points.at_rest.numpy(), landmarks)
    nearest = _nearest_present(present)
    middle = landmarks[nearest][:, face.core, :2].mean(axis=1)
    base, turn = _split(rotations[nearest])
    expression, jaw = action_units(head, blendshapes)
    frames = np.zeros((len(landmarks), fit_unknowns.NUM_OF_FRAME))
    frames[:, fit_unknowns.TURN] = turn
    frames[:, fit_unknowns.PLACE] = (np.array(lens[1:]) - middle) / lens[0]
    frames[:, fit_unknowns.DEPTH] = np.log(lens[0] / scales[nearest].clip(1e-3))[:, None]
    frames[:, fit_unknowns.EXPRESSION] = 0.5 * expression.numpy()
    frames[:, fit_unknowns.JAW.start] = jaw.numpy()
    shared = np.zeros(num_shared)
    shared[fit_unknowns.BASE] = base
    return Unknowns(frames, shared)


def _result(
    at: Unknowns,
    cost: FitCost,
    face: MarkedHead,
    lens: tuple[float, float, float],
    image_size: int,
) -> HeadFit:
    focal, x, y = lens
    intrinsics = ndc_intrinsics(
        2 * focal / image_size, 2 * focal / image_size, 1 - 2 * x / image_size,
        1 - 2 * y / image_size,
    )  # fmt: skip
    rotation, side = at.rotation().float().numpy(), (image_size, image_size)
    cameras = [Camera(rotation, t, intrinsics, side) for t in at.translation().float().numpy()]
    return HeadFit(
        at.shape.float(),
        at.of_frames(fit_unknowns.EXPRESSION).float(),
        at.pose().float(),
        cameras,
        face.chosen,
        cost.residuals(at).float().numpy(),
    )


def _bounds(head: Head, face: MarkedHead) -> tuple[Doubles, Doubles]:
    """Least and greatest unknowns of a frame: what no face does is never tried, nor what moves no
    landmark. A tongue is a thing to nod with otherwise, as it moves the joints a little."""
    low, high = np.full((2, fit_unknowns.NUM_OF_FRAME), ((-np.inf,), (np.inf,)))
    ranges = np.array(expression_ranges(head)).T
    actions = np.array([is_action(name) for name in head.expression_names])
    actions_low = np.where(actions, 0.0, ranges[0].clip(_DETAIL_RANGE[0]))
    actions_high = np.where(actions, 1.0, _DETAIL_RANGE[1]).clip(None, ranges[1])
    low[fit_unknowns.EXPRESSION] = np.where(face.moved, actions_low, 0.0)
    high[fit_unknowns.EXPRESSION] = np.where(face.moved, actions_high, 0.0)
    low[fit_unknowns.JAW], high[fit_unknowns.JAW] = -_MOST_JAW_SIDE, _MOST_JAW_SIDE
    low[fit_unknowns.JAW.start], high[fit_unknowns.JAW.start] = 0.0, _MOST_JAW
    low[fit_unknowns.GAZE], high[fit_unknowns.GAZE] = -_MOST_GAZE, _MOST_GAZE
    return low, high


def _aligned(rest: Doubles, landmarks: Doubles) -> tuple[Doubles, Doubles]:
    """Rotations (B, 3, 3) and pixels per unit (B,) that best carry a head onto landmarks (B, K, 3).

    Umeyama 1991; pixels are turned into what a camera in front of the face sees of it.
    """
    flipped = landmarks * (1.0, -1.0, -1.0)
    source = rest - rest.mean(axis=0)
    target = flipped - flipped.mean(axis=1, keepdims=True)
    left, values, right = np.linalg.svd(np.einsum("bki,kj->bij", target, source))
    sign = np.linalg.det(left @ right)
    values[:, 2] *= sign
    left[:, :, 2] *= sign[:, None]
    return left @ right, values.sum(axis=1) / np.square(source).sum()


def _split(
    rotations: Doubles,
) -> tuple[Doubles, Doubles]:
    """The mean rotation (3,) and what is left of each (B, 3), as axis-angle."""
    from scipy.spatial.transform import Rotation

    mean = Rotation.from_matrix(rotations).mean()
    return mean.as_rotvec(), (mean.inv() * Rotation.from_matrix(rotations)).as_rotvec()


def _nearest_present(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(B,) the frame with a face that is nearest to each."""
    known = np.flatnonzero(present)
    nearest = np.abs(np.arange(len(present))[:, None] - known).argmin(axis=1)
    return np.asarray(known[nearest])
