"""A head fitted to the landmarks of a clip: one identity, and what each frame does.

All frames are fitted at once with Adam. First where the head is and how it is turned, then also
its shape, expressions, jaw and gaze. The focal length is given: from a face alone it cannot be told
from the distance.

The rotation of the head splits in two: its mean over the clip is the camera's, for whoever films
stands still, and what is left turns the neck, for shoulders do not turn along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pegasus_runtime.camera import Camera, ndc_intrinsics
from pegasus_runtime.head import Head
from pegasus_runtime.head.expression_ranges import expression_ranges, is_action
from pegasus_runtime.head.skinning import rotation_matrices
from trainer.preprocess.action_units import action_units
from trainer.preprocess.marked_head import MarkedHead

Floats = npt.NDArray[np.float32]

_RIGID_STEPS, _FULL_STEPS = 120, 300
"""Fewer leave mouth and lids behind; 600 instead of 300 gain less than a tenth of a pixel."""
_RIGID_RATE, _EXPRESSION_RATE, _JOINT_RATE, _SHAPE_RATE = 0.01, 0.02, 0.01, 0.03
"""Of Adam, about what an unknown moves in a step at first: more of it jitters, less does not arrive
within the steps."""
_SHIFT_RATE = 3e-4
"""The same for shifts on the skin, which are a hundred times smaller."""
_LAST_SHARE = 0.02
"""of the rates, at the end of the half cosine along which they fall; more of it ends unsettled,
less wastes the last steps"""
_HUBER_PX = 4.0
"""At 512: farther off, a landmark is wrong rather than the head, and pulls no harder; less follows
grimaces too late, more follows wrong landmarks."""
_NOMINAL_SIDE = 512.0
"""The side that the pixels here are told for; another one weighs landmarks otherwise against
priors."""
_GAP_WEIGHT = 0.5
"""of openings of lids and lips: with less, closed eyes stay open by a pixel; with more, their
jitter moves the face around them"""
_SHAPE_PRIOR = 1e-3
"""A tenth of it overfits the identity to the estimator's own errors: noses grow long; more leaves
everybody the mean face."""
_SHIFT_PRIOR = 0.05
"""How far on the skin a landmark of this person lies from where others have it, in units of the
head: about a millimetre, which is what the estimator disagrees about between people. Without it
every frame bends mouth and lids a little to make up for it."""
_EXPRESSION_PRIOR, _DETAIL_PRIOR = 0.5, 0.15
"""More leaves faces stiffer, less turns landmarks' errors into grimaces; the second is of
expressions without a meaning."""
_JAW_SIDE_PRIOR, _VERGENCE_PRIOR, _GAZE_PRIOR = 2.0, 4.0, 0.02
"""More keeps the jaw in its middle and the eyes together and ahead, less follows landmarks'
errors."""
_SMOOTH = {"turn": 20.0, "depth": 20.0, "place": 200.0, "expression": 0.3, "jaw": 2.0, "gaze": 0.5}
"""Weights of second differences in time, in the unknowns' own units. More of it rounds blinks off,
which last three frames; less leaves the estimator's jitter of half a pixel."""
_SMOOTH_FPS = 12.5
"""Frames farther apart than this are held together less: lower lets sparse frames jitter less and
rounds quick motion off."""
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
    """
    problem = _Problem(head, landmarks, blendshapes, image_size, focal, principal, fps, present)
    rigid = [
        {"params": [problem.turn, problem.base, problem.place, problem.depth], "lr": _RIGID_RATE}
    ]
    full = [
        {"params": [problem.expression], "lr": _EXPRESSION_RATE},
        {"params": [problem.jaw, problem.gaze], "lr": _JOINT_RATE},
        {"params": [problem.shape], "lr": _SHAPE_RATE},
        {"params": [problem.shift], "lr": _SHIFT_RATE},
    ]
    total = _RIGID_STEPS + _FULL_STEPS
    _descend(problem, rigid, _RIGID_STEPS, 0.0, lambda done: progress(done / total))
    _descend(
        problem, rigid + full, _FULL_STEPS, _GAP_WEIGHT,
        lambda done: progress((_RIGID_STEPS + done) / total),
    )  # fmt: skip
    return problem.result()


def _descend(
    problem: _Problem,
    unknowns: list[dict[str, object]],
    steps: int,
    gap_weight: float,
    done: Callable[[int], None],
) -> None:
    optimiser = torch.optim.Adam([dict(group) for group in unknowns])
    rates = [float(group["lr"]) for group in optimiser.param_groups]
    for step in range(steps):
        share = _LAST_SHARE + (1 - _LAST_SHARE) * 0.5 * (1 + np.cos(np.pi * step / steps))
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * share
        optimiser.zero_grad()
        problem.loss(gap_weight).backward()
        optimiser.step()
        problem.keep_in_bounds()
        done(step + 1)


class _Problem:
    """The unknowns, and what they cost."""

    def __init__(
        self,
        head: Head,
        landmarks: Floats,
        blendshapes: Floats,
        image_size: int,
        focal: float,
        principal: tuple[float, float],
        fps: float,
        present: npt.NDArray[np.bool_],
    ) -> None:
        self._face = MarkedHead(head)
        self._head, self._size = head, image_size
        self._focal, self._principal = focal, principal
        self._pixel = image_size / _NOMINAL_SIDE
        chosen = self._face.chosen
        self._wanted = torch.from_numpy(landmarks[:, chosen, :2]).float()
        self._seen = torch.from_numpy(present).float()
        self._smooth = min(1.0, fps / _SMOOTH_FPS)
        self._ranges = _bounds(head)
        self._begin(landmarks, blendshapes, present)

    def _begin(
        self, landmarks: Floats, blendshapes: Floats, present: npt.NDArray[np.bool_]
    ) -> None:
        rotations, scales = _aligned(self._face.at_rest.numpy(), landmarks[:, self._face.chosen])
        nearest = _nearest_present(present)
        rotations, scales = rotations[nearest], scales[nearest]
        wanted = self._wanted.numpy()[nearest]
        base, turn = _split(rotations)
        count = len(landmarks)
        depth = self._focal / scales.clip(1e-3)
        middle = wanted[:, self._face.core].mean(axis=1)
        place = (np.array(self._principal) - middle) / self._focal
        expression, jaw = action_units(self._head, blendshapes)
        low, high = self._ranges
        self.base = _unknown(base)
        self.turn = _unknown(turn)
        self.depth = _unknown(np.log(depth))
        self.place = _unknown(place)
        self.shape = _unknown(np.zeros(self._head.identity_directions.shape[2]))
        self.shift = nn.Parameter(torch.zeros_like(self._face.at_rest))
        self.expression = nn.Parameter(torch.minimum(torch.maximum(0.5 * expression, low), high))
        self.jaw = _unknown(np.zeros((count, 3)))
        self.jaw.data[:, 0] = jaw.clamp(0, _MOST_JAW)
        self.gaze = _unknown(np.zeros((count, 2, 2)))

    def pose(self) -> Tensor:
        """(B, 15) axis-angle of the joints."""
        rows = len(self.turn)
        still = torch.zeros(rows, 3)
        eyes = torch.nn.functional.pad(self.gaze, (0, 1)).reshape(rows, 6)
        return torch.cat([still, self.turn, self.jaw, eyes], dim=1)

    def rotation(self) -> Tensor:
        """(3, 3) of all cameras: rows as vectors, times this, are what the camera sees."""
        return (torch.diag(torch.tensor([-1.0, 1.0, -1.0])) @ rotation_matrices(self.base)).T

    def translation(self) -> Tensor:
        """(B, 3) of the cameras."""
        ahead = torch.cat([self.place, torch.ones(len(self.place), 1)], dim=1)
        return ahead * self.depth.exp()[:, None]

    def projected(self) -> Tensor:
        """(B, K, 2) pixels of the landmarks."""
        points = self._face.posed(self.shape, self.expression, self.pose(), self.shift)
        seen = points @ self.rotation() + self.translation()[:, None]
        x, y = self._principal
        shift = self._focal / seen[..., 2:]
        return torch.tensor([x, y]) - seen[..., :2] * shift

    def loss(self, gap_weight: float) -> Tensor:
        """Of all frames."""
        found = self.projected()
        off = ((found - self._wanted).square().sum(dim=2) + 1e-4).sqrt() / self._pixel
        robust = torch.where(off < _HUBER_PX, off.square() / (2 * _HUBER_PX), off - _HUBER_PX / 2)
        marks = (robust * self._face.weights).mean(dim=1)
        gaps = sum(
            (_gaps(found, pairs) - _gaps(self._wanted, pairs)).abs().mean(dim=(1, 2))
            for pairs in (self._face.lid_pairs, self._face.lip_pairs)
        )
        of_frames = marks + gap_weight * gaps / self._pixel
        count = self._seen.sum().clamp_min(1)
        return (of_frames * self._seen).sum() / count + self._priors() + self._roughness()

    def _priors(self) -> Tensor:
        actions, details = self._face.actions, ~self._face.actions
        cost = _SHAPE_PRIOR * self.shape.square().sum()
        for chosen, weight in ((actions, _EXPRESSION_PRIOR), (details, _DETAIL_PRIOR)):
            if chosen.any():
                cost = cost + weight * self.expression[:, chosen].square().mean()
        cost = cost + _JAW_SIDE_PRIOR * self.jaw[:, 1:].square().mean()
        apart = self.gaze[:, 0] - self.gaze[:, 1]
        cost = (
            cost + _SHIFT_PRIOR * (self.shift / self._face.usual_shift).square().sum(dim=1).mean()
        )
        cost = cost + _VERGENCE_PRIOR * apart.square().mean()
        return cost + _GAZE_PRIOR * self.gaze.square().mean()

    def _roughness(self) -> Tensor:
        if len(self.turn) < 3:
            return torch.zeros(())
        unknowns = {
            "turn": self.turn, "depth": self.depth, "place": self.place,
            "expression": self.expression, "jaw": self.jaw, "gaze": self.gaze,
        }  # fmt: skip
        total = torch.zeros(())
        for name, values in unknowns.items():
            bend = values[2:] - 2 * values[1:-1] + values[:-2]
            total = total + _SMOOTH[name] * bend.square().mean()
        return self._smooth * total

    @torch.no_grad()
    def keep_in_bounds(self) -> None:
        """What no face does is cut off: soft bounds leave a quarter of the expressions outside."""
        low, high = self._ranges
        self.expression.copy_(torch.minimum(torch.maximum(self.expression, low), high))
        self.jaw[:, 0].clamp_(0, _MOST_JAW)
        self.jaw[:, 1:].clamp_(-_MOST_JAW_SIDE, _MOST_JAW_SIDE)
        self.gaze.clamp_(-_MOST_GAZE, _MOST_GAZE)

    @torch.no_grad()
    def result(self) -> HeadFit:
        """As it is now."""
        off = (self.projected() - self._wanted).norm(dim=2)
        size = float(self._size)
        (x, y), focal = self._principal, 2 * self._focal / size
        intrinsics = ndc_intrinsics(focal, focal, 1 - 2 * x / size, 1 - 2 * y / size)
        rotation, side = self.rotation().numpy(), (self._size, self._size)
        cameras = [Camera(rotation, t, intrinsics, side) for t in self.translation().numpy()]
        return HeadFit(
            self.shape.detach().clone(),
            self.expression.detach().clone(),
            self.pose(),
            cameras,
            self._face.chosen,
            off.numpy(),
        )


def _bounds(head: Head) -> tuple[Tensor, Tensor]:
    """Least and greatest expression coefficients (50,): an action goes from 0 to 1."""
    low, high = torch.tensor(expression_ranges(head)).T
    actions = torch.tensor([is_action(name) for name in head.expression_names])
    low, high = low.clamp_min(_DETAIL_RANGE[0]), high.clamp_max(_DETAIL_RANGE[1])
    return torch.where(actions, 0.0, low), torch.where(actions, high.clamp_max(1.0), high)


def _aligned(
    rest: npt.NDArray[np.float32], landmarks: Floats
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rotations (B, 3, 3) and pixels per unit (B,) that best carry a head onto landmarks (B, K, 3).

    Umeyama 1991; pixels are turned into what a camera in front of the face sees of it.
    """
    flipped = landmarks.astype(np.float64) * (1.0, -1.0, -1.0)
    source = rest - rest.mean(axis=0)
    target = flipped - flipped.mean(axis=1, keepdims=True)
    left, values, right = np.linalg.svd(np.einsum("bki,kj->bij", target, source))
    sign = np.linalg.det(left @ right)
    values[:, 2] *= sign
    left[:, :, 2] *= sign[:, None]
    return left @ right, values.sum(axis=1) / np.square(source).sum()


def _split(
    rotations: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The mean rotation (3,) and what is left of each (B, 3), as axis-angle."""
    from scipy.spatial.transform import Rotation

    mean = Rotation.from_matrix(rotations).mean()
    return mean.as_rotvec(), (mean.inv() * Rotation.from_matrix(rotations)).as_rotvec()


def _nearest_present(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(B,) the frame with a face that is nearest to each."""
    known = np.flatnonzero(present)
    nearest = np.abs(np.arange(len(present))[:, None] - known).argmin(axis=1)
    return np.asarray(known[nearest])


def _gaps(points: Tensor, pairs: Tensor) -> Tensor:
    return points[:, pairs[:, 0]] - points[:, pairs[:, 1]]


def _unknown(values: npt.NDArray[np.floating]) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.asarray(values)).float())
