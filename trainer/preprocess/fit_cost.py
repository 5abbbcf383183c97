"""What it costs a head not to lie on the landmarks of a clip, and how that changes.

Landmarks and the gaps between lids and lips pull by Huber's cost, whose second derivative is taken
as if the weights stayed (iteratively reweighted least squares). All else is quadratic: what is
unusual of a face, and what changes its pace from frame to frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.preprocess.arrow_system import ArrowSystem, Doubles, Sums, bend_slopes, bends, huber
from trainer.preprocess.face_appearance import AppearanceCost
from trainer.preprocess.fit_unknowns import (
    GAZE,
    NUM_OF_FRAME,
    NUM_RIGID,
    NUM_SHAPE,
    SHAPE,
    SHIFTS,
    SIZES,
    Unknowns,
)
from trainer.preprocess.marked_head import MarkedHead
from trainer.preprocess.projected_points import ProjectedPoints

_HUBER_PX = 4.0
"""At 512: farther off, a landmark is wrong rather than the head, and pulls no harder; less follows
grimaces too late, more follows wrong landmarks."""
_GAP_HUBER_PX = 0.25
"""The same for gaps: with more, closed eyes stay open by so much; less slows the fit down."""
_NOMINAL_SIDE = 512.0
"""The side that the pixels here are told for; another one weighs landmarks otherwise against
priors."""
_GAP_WEIGHT = 0.5
"""of openings of lids and lips: with less, closed eyes stay open by a pixel; with more, their
jitter moves the face around them"""
_SHAPE_PRIOR = 6e-3
"""A tenth of it overfits the identity to the estimator's own errors: noses grow long; more leaves
everybody the mean face."""
_SHIFT_PRIOR = 0.05
"""How far on the skin a landmark of this person lies from where others have it, in units of the
head: about a millimetre, which is what the estimator disagrees about between people. Without it
every frame bends mouth and lids a little to make up for it."""
_EXPRESSION_PRIOR, _DETAIL_PRIOR = 1.5, 0.45
"""More leaves faces stiffer, less turns landmarks' errors into grimaces; the second is of
expressions without a meaning."""
_JAW_SIDE_PRIOR, _VERGENCE_PRIOR, _GAZE_PRIOR = 2.0, 4.0, 0.02
"""More keeps the jaw in its middle and the eyes together and ahead, less follows landmarks'
errors."""
_TURN_PRIOR = 0.01
"""Only says what is the camera's: without it, it and the neck could turn against each other."""
_SMOOTH = {"turn": 20.0, "place": 200.0, "depth": 20.0, "expression": 0.3, "jaw": 2.0, "gaze": 0.5}
"""Weights of second differences in time, in the unknowns' own units. More of it rounds blinks off,
which last three frames; less leaves the estimator's jitter of half a pixel."""
_SEEN_SMOOTH = 0.05
"""Of these weights, what is left for where a head is and how it is turned, once pictures show it:
all of it takes 1.2 dB from the avatar of somebody who nods."""
_SMOOTH_FPS = 12.5
"""Frames farther apart than this are held together less, by the fourth power as what second
differences of one motion grow by: lower lets sparse frames jitter less and rounds quick motion
off."""
_TOGETHER = 32
"""frames whose slopes are worked out at a time: more take more memory, fewer are slower"""


class FitCost:
    """Of a head on landmarks."""

    def __init__(
        self,
        face: MarkedHead,
        wanted: Tensor,
        present: Doubles,
        lens: tuple[float, float, float],
        image_size: int,
        fps: float,
    ) -> None:
        """Of a face.

        Args:
            face: what lies on the landmarks.
            wanted: (B, K, 2) landmarks in pixels, as they were found.
            present: (B,) 1 where a face was found and 0 elsewhere.
            lens: focal length and principal point in pixels.
            image_size: side of the picture.
            fps: of the B frames.
        """
        self._face, self._wanted = face, wanted
        self._marks = ProjectedPoints(face.points, lens)
        self._pixel = image_size / _NOMINAL_SIDE
        self._seen = torch.from_numpy(present / max(present.sum(), 1))
        count = len(wanted)
        self._smooth = min(1.0, fps / _SMOOTH_FPS) ** 4 * _smoothness() / max(count - 2, 1)
        self._frame_prior = _frame_prior(face.actions.numpy()) / count
        self._shared_prior = _shared_prior(face)
        self.num_shared = len(self._shared_prior)
        self._appearance: AppearanceCost | None = None

    def look_at(self, appearance: AppearanceCost) -> None:
        """From now on, pictures count, too."""
        self._appearance = appearance
        self._smooth[:NUM_RIGID] *= _SEEN_SMOOTH

    def projected(self, at: Unknowns) -> Tensor:
        """(B, K, 2) pixels of the landmarks."""
        return self._marks.places(at, self._shift(at))

    def residuals(self, at: Unknowns) -> Tensor:
        """(B, K) pixels between the head's landmarks and those that were found."""
        off: Tensor = (self.projected(at) - self._wanted).norm(dim=2)
        return off

    def value(self, at: Unknowns, with_gaps: bool) -> float:
        """What it costs."""
        found = self.projected(at)
        off = (found - self._wanted).norm(dim=2) / self._pixel
        of_frames = (huber(off, _HUBER_PX) * self._face.weights).mean(dim=1)
        if with_gaps:
            # Lids that are shifted would open a closed eye.
            found = self._marks.places(at)
            for pairs in (self._face.lid_pairs, self._face.lip_pairs):
                apart = (_gaps(found, pairs) - _gaps(self._wanted, pairs)).abs() / self._pixel
                of_frames += _GAP_WEIGHT * huber(apart, _GAP_HUBER_PX).mean(dim=(1, 2))
        if self._appearance is not None:
            of_frames += self._appearance.of_frames(at)
        usual = np.einsum("bi,ij,bj->", at.frames, self._frame_prior, at.frames)
        usual += (self._shared_prior * at.shared**2).sum()
        rough = (np.square(bends(at.frames)) * self._smooth).sum()
        return float((of_frames * self._seen).sum()) + 0.5 * float(usual + rough)

    def system(self, at: Unknowns, with_gaps: bool, num_shared: int) -> ArrowSystem:
        """What the best step minimises.

        Args:
            at: where the step begins.
            with_gaps: whether those of lids and lips count.
            num_shared: how many of the shared unknowns may move, from the first.
        """
        prior = self._shared_prior[:num_shared]
        shared, shared_slopes = np.diag(prior), prior * at.shared[:num_shared]
        frames, mixed, slopes = [], [], []
        for first in range(0, len(at.frames), _TOGETHER):
            rows = slice(first, first + _TOGETHER)
            part = self._part(at.some(rows), rows, with_gaps, num_shared)
            frames.append(part.frames + self._frame_prior)
            mixed.append(part.mixed.astype(np.float32))
            slopes.append(part.frame_slopes + at.frames[rows] @ self._frame_prior)
            shared += part.shared
            shared_slopes += part.shared_slopes
        rough = self._smooth * bend_slopes(at.frames)
        return ArrowSystem(
            np.concatenate(frames), np.concatenate(mixed), shared, self._smooth,
            np.concatenate(slopes) + rough, shared_slopes,
        )  # fmt: skip

    def _part(self, at: Unknowns, rows: slice, with_gaps: bool, num_shared: int) -> ArrowSystem:
        """Of some frames, without what is quadratic."""
        face, wanted, seen = self._face, self._wanted[rows], self._seen[rows]
        by_frame, by_shared, by_rest = self._marks.slopes(at, self._shift(at))
        by_shared = by_shared[..., :num_shared]
        found = self.projected(at)
        off, unit = found - wanted, self._pixel**2
        far = off.norm(dim=2, keepdim=True) / self._pixel
        weights = face.weights[:, None] / len(face.weights) / far.clamp_min(_HUBER_PX)
        weights = weights * seen[:, None, None] / unit
        weights = weights.expand_as(off)
        sums = Sums(len(off), NUM_OF_FRAME, num_shared)
        sums.add(by_frame, by_shared, off, weights)
        if num_shared > SHAPE.stop:
            of_shifted = (
                v[:, face.shiftable] for v in (by_frame, by_shared, by_rest, off, weights)
            )
            sums.add_shifts(*of_shifted)
        if with_gaps:
            off = self._marks.places(at) - wanted
            for pairs in (face.lid_pairs, face.lip_pairs):
                apart = _gaps(off, pairs)
                firm = (apart.abs() / self._pixel).clamp_min(_GAP_HUBER_PX)
                weights = _GAP_WEIGHT / apart[0].numel() / firm * seen[:, None, None] / unit
                sums.add(_gaps(by_frame, pairs), _gaps(by_shared, pairs), apart, weights)
        if self._appearance is not None:
            self._appearance.add_to(sums, at, rows, seen)
        return sums.system()

    def _shift(self, at: Unknowns) -> Tensor:
        """(K, 3)"""
        shift = torch.zeros_like(self._face.points.at_rest)
        shift[self._face.shiftable] = torch.from_numpy(at.shared[SHIFTS]).view(-1, 3)
        return shift


def _frame_prior(actions: npt.NDArray[np.bool_]) -> Doubles:
    """(n, n) second derivatives of what is unusual in a frame."""
    of_parts = {name: np.zeros(size) for name, size in SIZES.items()}
    for chosen, weight in ((actions, _EXPRESSION_PRIOR), (~actions, _DETAIL_PRIOR)):
        of_parts["expression"][chosen] = weight / max(chosen.sum(), 1)
    of_parts["turn"][:] = _TURN_PRIOR / 3
    of_parts["jaw"][1:] = _JAW_SIDE_PRIOR / 2
    of_parts["gaze"][:] = _GAZE_PRIOR / 4
    prior = np.diag(2 * np.concatenate(list(of_parts.values())))
    apart = _VERGENCE_PRIOR * np.kron([[1.0, -1.0], [-1.0, 1.0]], np.eye(2))
    prior[GAZE, GAZE] += apart
    return prior


def _shared_prior(face: MarkedHead) -> Doubles:
    """(103 + 3 M,) diagonal of the same of the clip."""
    known = np.repeat([0.0, 2 * _SHAPE_PRIOR], [3, NUM_SHAPE])
    shift = 2 * _SHIFT_PRIOR / len(face.points.at_rest) / np.repeat(face.usual_shift, 3) ** 2
    return np.concatenate([known, shift])


def _smoothness() -> Doubles:
    """(n,) of the mean over each kind of unknown."""
    weights = [2 * _SMOOTH[name] / size for name, size in SIZES.items()]
    return np.repeat(weights, list(SIZES.values()))


def _gaps(points: Tensor, pairs: Tensor) -> Tensor:
    return points[:, pairs[:, 0]] - points[:, pairs[:, 1]]
