"""What it costs a head not to lie on the landmarks of a clip, and how that changes.

Landmarks and the gaps between lids and lips pull by Huber's cost, whose second derivative is taken
as if the weights stayed (iteratively reweighted least squares). All else is quadratic: what is
unusual of a face, and what changes its pace from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.head.skinning import rotation_matrices
from trainer.preprocess.arrow_system import ArrowSystem, Doubles, bend_slopes, bends
from trainer.preprocess.marked_head import MOVED_ANGLES, MarkedHead

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
_SMOOTH_FPS = 12.5
"""Frames farther apart than this are held together less: lower lets sparse frames jitter less and
rounds quick motion off."""
_TOGETHER = 32
"""frames whose slopes are worked out at a time: more take more memory, fewer are slower"""
_NUDGE = 1e-6
"""radians, for slopes by the camera's rotation"""

_NUM_EXPRESSION, _NUM_SHAPE = 50, 100
_SIZES = {"turn": 3, "place": 2, "depth": 1, "expression": _NUM_EXPRESSION, "jaw": 3, "gaze": 4}
_ENDS = np.cumsum([0, *_SIZES.values()])
TURN, PLACE, DEPTH, EXPRESSION, JAW, GAZE = map(slice, _ENDS[:-1].tolist(), _ENDS[1:].tolist())
"""Where the unknowns of a frame lie: turn of the neck, place and logarithm of the depth of the
head before the camera, expression, jaw, and both eyes up and to the side."""
NUM_OF_FRAME, NUM_RIGID = int(_ENDS[-1]), DEPTH.stop
BASE, SHAPE = slice(0, 3), slice(3, 3 + _NUM_SHAPE)
"""Where those of the clip lie: the camera's rotation, the shape, and then the landmarks' shifts."""
_SHIFTS = slice(SHAPE.stop, None)


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Of a clip."""

    frames: Doubles
    """(B, 63)"""
    shared: Doubles
    """(103 + 3 M,) with the M landmarks that may be shifted"""

    def of_frames(self, part: slice) -> Tensor:
        """(B, …)"""
        return torch.from_numpy(self.frames[:, part])

    @property
    def shape(self) -> Tensor:
        """(100,)"""
        return torch.from_numpy(self.shared[SHAPE])

    def pose(self) -> Tensor:
        """(B, 15) axis-angle of the joints."""
        pose = torch.zeros(len(self.frames), 15, dtype=torch.float64)
        angles = [self.of_frames(part) for part in (TURN, JAW, GAZE)]
        pose[:, list(MOVED_ANGLES)] = torch.cat(angles, dim=1)
        return pose

    def rotation(self) -> Tensor:
        """(3, 3) of all cameras: rows as vectors, times this, are what the camera sees."""
        return _rotation(torch.from_numpy(self.shared[BASE]))

    def translation(self) -> Tensor:
        """(B, 3) of the cameras."""
        place = self.of_frames(PLACE)
        return torch.cat([place, torch.ones_like(place[:, :1])], dim=1) * self.depth()

    def depth(self) -> Tensor:
        """(B, 1)"""
        return self.of_frames(DEPTH).exp()

    def moved(self, frames: Doubles, shared: Doubles) -> Unknowns:
        """By a step of the frames' unknowns and of the first shared ones."""
        there = self.shared.copy()
        there[: len(shared)] += shared
        return Unknowns(self.frames + frames, there)

    def unshifted(self) -> Unknowns:
        """With landmarks where others have them: lids that are shifted would open a closed eye."""
        shared = self.shared.copy()
        shared[_SHIFTS] = 0
        return Unknowns(self.frames, shared)

    def within(self, low: Doubles, high: Doubles) -> Unknowns:
        """Cut off at bounds (63,) of the frames' unknowns."""
        return Unknowns(self.frames.clip(low, high), self.shared)

    def some(self, rows: slice) -> Unknowns:
        """Those of some frames."""
        return Unknowns(self.frames[rows], self.shared)


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
        self._face, self._wanted, self._lens = face, wanted, lens
        self._pixel = image_size / _NOMINAL_SIDE
        self._seen = torch.from_numpy(present / max(present.sum(), 1))
        count = len(wanted)
        self._smooth = min(1.0, fps / _SMOOTH_FPS) * _smoothness() / max(count - 2, 1)
        self._frame_prior = _frame_prior(face.actions.numpy()) / count
        self._shared_prior = _shared_prior(face)
        self.num_shared = len(self._shared_prior)

    def projected(self, at: Unknowns) -> Tensor:
        """(B, K, 2) pixels of the landmarks."""
        return self._flat(self._seen_from_camera(at))

    def residuals(self, at: Unknowns) -> Tensor:
        """(B, K) pixels between the head's landmarks and those that were found."""
        off: Tensor = (self.projected(at) - self._wanted).norm(dim=2)
        return off

    def value(self, at: Unknowns, with_gaps: bool) -> float:
        """What it costs."""
        found = self.projected(at)
        off = (found - self._wanted).norm(dim=2) / self._pixel
        of_frames = (_huber(off, _HUBER_PX) * self._face.weights).mean(dim=1)
        if with_gaps:
            found = self.projected(at.unshifted())
            for pairs in (self._face.lid_pairs, self._face.lip_pairs):
                apart = (_gaps(found, pairs) - _gaps(self._wanted, pairs)).abs() / self._pixel
                of_frames += _GAP_WEIGHT * _huber(apart, _GAP_HUBER_PX).mean(dim=(1, 2))
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
        by_frame, by_shared, by_rest = self._slopes(at)
        by_shared = by_shared[..., :num_shared]
        found = self.projected(at)
        off, unit = found - wanted, self._pixel**2
        far = off.norm(dim=2, keepdim=True) / self._pixel
        weights = face.weights[:, None] / len(face.weights) / far.clamp_min(_HUBER_PX)
        weights = weights * seen[:, None, None] / unit
        weights = weights.expand_as(off)
        sums = _Sums(len(off), num_shared)
        sums.add(by_frame, by_shared, off, weights)
        if num_shared > SHAPE.stop:
            of_shifted = (
                v[:, face.shiftable] for v in (by_frame, by_shared, by_rest, off, weights)
            )
            sums.add_shifts(*of_shifted)
        if with_gaps:
            off = self.projected(at.unshifted()) - wanted
            for pairs in (face.lid_pairs, face.lip_pairs):
                apart = _gaps(off, pairs)
                firm = (apart.abs() / self._pixel).clamp_min(_GAP_HUBER_PX)
                weights = _GAP_WEIGHT / apart[0].numel() / firm * seen[:, None, None] / unit
                sums.add(_gaps(by_frame, pairs), _gaps(by_shared, pairs), apart, weights)
        return sums.system()

    def _slopes(self, at: Unknowns) -> tuple[Tensor, Tensor, Tensor]:
        """(B, K, 2, …) of the pixels by a frame's unknowns, by rotation and shape, and by the
        landmarks' places on the head at rest."""
        seen, turned = self._seen_from_camera(at), at.rotation()
        face = self._face.slopes(at.shape, at.of_frames(EXPRESSION), at.pose(), self._shift(at))
        flat = torch.zeros(*seen.shape[:2], 2, 3, dtype=seen.dtype)
        flat[..., 0, 0] = flat[..., 1, 1] = -self._lens[0] / seen[..., 2]
        flat[..., :, 2] = self._lens[0] * seen[..., :2] / seen[..., 2:].square()
        onto = flat @ turned.T
        neck, others = (onto @ face.angles).split((3, len(MOVED_ANGLES) - 3), dim=-1)
        place = flat[..., :2] * at.depth()[:, :, None, None]
        depth = flat @ at.translation()[:, None, :, None]
        by_frame = torch.cat([neck, place, depth, onto @ face.expression, others], dim=-1)
        posed, base = seen - at.translation()[:, None], torch.from_numpy(at.shared[BASE])
        by_base = [
            posed @ turned.T @ (_rotation(base + nudge) - turned) / _NUDGE
            for nudge in _NUDGE * torch.eye(3, dtype=base.dtype)
        ]
        by_shared = torch.cat([flat @ torch.stack(by_base, dim=-1), onto @ face.shape], dim=-1)
        return by_frame, by_shared, onto @ face.rest

    def _seen_from_camera(self, at: Unknowns) -> Tensor:
        expression = at.of_frames(EXPRESSION)
        points = self._face.posed(at.shape, expression, at.pose(), self._shift(at))
        return points @ at.rotation() + at.translation()[:, None]

    def _flat(self, seen: Tensor) -> Tensor:
        focal, *principal = self._lens
        return torch.tensor(principal) - seen[..., :2] * (focal / seen[..., 2:])

    def _shift(self, at: Unknowns) -> Tensor:
        """(K, 3)"""
        shift = torch.zeros_like(self._face.at_rest)
        shift[self._face.shiftable] = torch.from_numpy(at.shared[_SHIFTS]).view(-1, 3)
        return shift


class _Sums:
    """Second derivatives and slopes of ½ Σ w r² over the residuals r of B frames."""

    def __init__(self, rows: int, num_shared: int) -> None:
        def zeros(*size: int) -> Tensor:
            return torch.zeros(*size, dtype=torch.float64)

        self._frames = zeros(rows, NUM_OF_FRAME, NUM_OF_FRAME)
        self._mixed = zeros(rows, NUM_OF_FRAME, num_shared)
        self._shared = zeros(num_shared, num_shared)
        self._slopes, self._shared_slopes = zeros(rows, NUM_OF_FRAME), zeros(num_shared)

    def add(self, by_frame: Tensor, by_shared: Tensor, off: Tensor, weights: Tensor) -> None:
        """Residuals (B, R, 2), and how they go with unknowns, the first shared ones among them."""
        some = slice(by_shared.shape[-1])
        by_frame, by_shared = by_frame.flatten(1, 2), by_shared.flatten(1, 2)
        weights, off = weights.flatten(1)[..., None], off.flatten(1)[..., None]
        heavy, heavy_shared = (by_frame * weights).mT, (by_shared * weights).flatten(0, 1).T
        self._frames += heavy @ by_frame
        self._mixed[..., some] += heavy @ by_shared
        self._shared[some, some] += heavy_shared @ by_shared.flatten(0, 1)
        self._slopes += (heavy @ off)[..., 0]
        self._shared_slopes[some] += heavy_shared @ off.flatten()

    def add_shifts(
        self, by_frame: Tensor, by_shared: Tensor, by_rest: Tensor, off: Tensor, weights: Tensor
    ) -> None:
        """The same for the last shared unknowns: (B, M, 2, 3) each moves one landmark only."""
        some, shifts = slice(by_shared.shape[-1]), slice(by_shared.shape[-1], None)
        heavy = by_rest * weights[..., None]
        self._mixed[..., shifts] += torch.einsum("bmai,bmac->bimc", by_frame, heavy).flatten(2)
        cross = torch.einsum("bmas,bmac->smc", by_shared, heavy).flatten(1)
        self._shared[some, shifts] += cross
        self._shared[shifts, some] += cross.T
        own = torch.einsum("bmac,bmad->mcd", by_rest, heavy)
        self._shared[shifts, shifts] += torch.block_diag(*own)
        self._shared_slopes[shifts] += torch.einsum("bmac,bma->mc", heavy, off).flatten()

    def system(self) -> ArrowSystem:
        """What was added up."""
        return ArrowSystem(
            self._frames.numpy(), self._mixed.numpy(), self._shared.numpy(),
            np.zeros(NUM_OF_FRAME), self._slopes.numpy(), self._shared_slopes.numpy(),
        )  # fmt: skip


def _frame_prior(actions: npt.NDArray[np.bool_]) -> Doubles:
    """(n, n) second derivatives of what is unusual in a frame."""
    of_parts = {name: np.zeros(size) for name, size in _SIZES.items()}
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
    known = np.repeat([0.0, 2 * _SHAPE_PRIOR], [3, _NUM_SHAPE])
    shift = 2 * _SHIFT_PRIOR / len(face.at_rest) / np.repeat(face.usual_shift, 3) ** 2
    return np.concatenate([known, shift])


def _smoothness() -> Doubles:
    """(n,) of the mean over each kind of unknown."""
    weights = [2 * _SMOOTH[name] / size for name, size in _SIZES.items()]
    return np.repeat(weights, list(_SIZES.values()))


def _rotation(base: Tensor) -> Tensor:
    towards = torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=base.dtype))
    return (towards @ rotation_matrices(base)).T


def _huber(values: Tensor, bend: float) -> Tensor:
    return torch.where(values < bend, values.square() / (2 * bend), values - bend / 2)


def _gaps(points: Tensor, pairs: Tensor) -> Tensor:
    return points[:, pairs[:, 0]] - points[:, pairs[:, 1]]
