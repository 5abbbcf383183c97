"""Where places on and around one person's head are on another's.

Two people with the same head share its triangles, and the space around is bent as the skin is
(thin-plate splines, Bookstein 1989). Other heads are laid over one another by their 68 landmarks,
and then by the nearest skin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.landmarks import face_landmarks
from pegasus_runtime.head.parts import require_parts
from pegasus_runtime.surfels.avatar import SurfelAvatar
from pegasus_runtime.surfels.binding import (
    Binding,
    bind_points,
    plane_weights,
    skin_triangles,
    triangle_frames,
)
from pegasus_runtime.surfels.surfels import NUM_STATES
from trainer.transfer.states import states_across

_NUM_CONTROLS = 700
"""vertices that say how the space around the head is bent: more follow every wrinkle, fewer miss a
chin"""
_STIFFNESS = 1e-4
"""of that: 0 meets all of them and carries their noise far out, more lets hats float"""
_ROUNDS = 3
"""of nearest skin for heads that are built otherwise; more creep along the skin"""
_INNER = ("eyes", "teeth", "tongue", "mouth")
_EYE_JOINTS = slice(3, 5)
_ON_SKIN = 1e-3
"""Distance in units of the head below which no way off the skin is told: less throws what lies on
it anywhere, more leaves what lies near as near as it came to be."""
_CLOSE, _FAR = 0.05, 0.3
"""in units of the head, between which what is worn follows the skin below it less and less. Hair
that hangs beside a slim neck hangs no nearer to it: without this bobs, long hair and pony tails on
three people whose truth is known are 0.2 to 3.3 dB worse, and torn where the nearest skin leaps
from neck to shoulder. Wider ranges are better for caps, narrower ones for hair."""
_HEAD = ("scalp", "skin", "ears", "nose")
"""parts that tell how large a head is; the scalp alone tells too little of its front"""
_STEP = 0.01
"""in units of the head, over which is looked how the space turns"""


@dataclass(frozen=True, eq=False)
class Correspondence:
    """From one person's head to another's, both at rest."""

    warp: Any
    """maps points (N, 3), as arrays"""
    source: SurfelAvatar
    target: SurfelAvatar
    same_head: bool

    @classmethod
    def between(cls, source: SurfelAvatar, target: SurfelAvatar) -> Correspondence:
        """Of two avatars.

        Raises:
            InvalidInput: their heads differ, and one has no landmarks or parts.
        """
        same = source.head.sha256 == target.head.sha256
        warp = _bent(source, target) if same else _laid_over(source, target)
        return cls(warp, source, target, same)

    @cached_property
    def states(self) -> Tensor:
        """(R, R) by which states of expression of the target become the other's."""
        if not self.same_head:
            # Their expressions have the same numbers and are others.
            return torch.zeros(NUM_STATES, NUM_STATES)
        return states_across(self.source, self.target)

    def bent(self, points: Tensor) -> Tensor:
        """Points (N, 3) around the one head, around the other."""
        if not len(points):
            return points
        return torch.from_numpy(self.warp(points.double().numpy())).float()

    def carry(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points (N, 3), how the space turns (N, 3, 3) there, and how it stretches (N,)."""
        around = torch.cat([points, *(points + _STEP * axis for axis in torch.eye(3))])
        there = self.bent(around).view(4, -1, 3)
        jacobian = ((there[1:] - there[0]) / _STEP).permute(1, 2, 0)
        left, sizes, right = torch.linalg.svd(jacobian)
        # Deep in the head the space may fold.
        right[:, 2] *= torch.linalg.det(left @ right).sign()[:, None]
        return there[0], left @ right, sizes.clamp_min(1e-3).log().mean(dim=1).exp()

    def around(self, points: Tensor, there: Tensor, is_cloth: bool) -> Tensor:
        """Where what is worn at points (N, 3) of the one head is on the other: near skin as far
        off as it was, and far from it, where hair hangs and brims end, as the head is larger or
        smaller as a whole.

        Args:
            points: around the one head.
            there: the same, bent with the skin of the other (N, 3).
            is_cloth: a hat, which is as thick on all heads (0.3 to 2.1 dB on three people), and
                whose brim goes half the way with the skull below it (caps 0.3 to 1.2 dB better on
                two and 0.4 worse on the third, fedoras 1.4 to 2 better and 1.2 worse). Of hair a
                larger head has more.
        """
        whole = self._whole
        far = (_homogeneous(points) @ whole).float()
        feet = _skin_below(self.source, points), _skin_below(self.target, there)
        wanted, away = (points - feet[0]).norm(dim=1), there - feet[1]
        # Other heads may be in other units.
        is_scaled = not (is_cloth and self.same_head)
        larger = float(torch.linalg.det(whole[:3]).abs() ** (1 / 3)) if is_scaled else 1.0
        ratio = larger * wanted / away.norm(dim=1).clamp_min(_ON_SKIN)
        near = feet[1] + away * ratio[:, None]
        if is_cloth:
            far = (far + there) / 2
        follows = ((_FAR - wanted) / (_FAR - _CLOSE)).clamp(0, 1)[:, None]
        return torch.lerp(far, near, follows)

    @cached_property
    def _whole(self) -> Tensor:
        """(4, 3) the affine map between the two heads, of homogeneous rows."""
        index = require_parts(self.source.head).on(*_HEAD).nonzero()[:, 0]
        ours = _rest(self.source)[index]
        theirs = _rest(self.target)[index] if self.same_head else self.bent(ours)
        solution: Tensor = torch.linalg.lstsq(_homogeneous(ours), theirs.double()).solution
        return solution

    def below(self, points: Tensor, triangle: Tensor) -> Tensor:
        """(N, 3) places in the planes of the target's triangles where those are that lie straight
        below points (N, 3), in the planes of the other person's (N,) to which these are bound."""
        corners = self.source.wardrobe.rest_corners[triangle]
        triangle, weights = self.feet(triangle, plane_weights(points, corners))
        found: Tensor = (self.target.wardrobe.rest_corners[triangle] * weights[:, :, None]).sum(
            dim=1
        )
        return found

    def bind(self, points: Tensor, triangle: Tensor, barycentric: Tensor) -> Binding:
        """Bind points (N, 3) around the target's head to what they were bound to around the
        other one."""
        corners = self.target.wardrobe.rest_corners
        triangle, barycentric = self.feet(triangle, barycentric)
        frames = triangle_frames(corners[triangle])
        foot = (corners[triangle] * barycentric[:, :, None]).sum(dim=1)
        offset = (frames.transpose(1, 2) @ (points - foot)[:, :, None])[:, :, 0]
        return Binding(triangle, barycentric, offset)

    def feet(self, triangle: Tensor, barycentric: Tensor) -> tuple[Tensor, Tensor]:
        """Triangles (N,) and weights (N, 3) of the target's head where a place of the other is."""
        if self.same_head or not len(triangle):
            return triangle, barycentric
        corners = self.source.wardrobe.rest_corners[triangle]
        wanted = self.bent((corners * barycentric[:, :, None]).sum(dim=1))
        found, weights = torch.zeros_like(triangle), torch.zeros(len(triangle), 3)
        vertices = _rest(self.target)
        for here, there in _kinds(self.source.head, self.target.head):
            chosen = here[triangle]
            if bool(chosen.any()):
                bound = bind_points(vertices, self.target.head.faces, wanted[chosen], there)
                found[chosen], weights[chosen] = bound.triangle, bound.barycentric
        return found, weights


def _kinds(source: Head, target: Head) -> list[tuple[Tensor, Tensor]]:
    """Triangles (F,) bool of either head that may stand for one another."""
    ours, theirs = require_parts(source), require_parts(target)
    kinds, rest = [], [torch.ones(len(h.faces), dtype=torch.bool) for h in (source, target)]
    for names in (("eyes",), ("eyelids",), ("lips",), ("teeth", "tongue", "mouth")):
        here, there = (
            p.on(*names)[h.faces].all(dim=1) for p, h in ((ours, source), (theirs, target))
        )
        if bool(there.any()):
            kinds.append((here, there))
            rest = [rest[0] & ~here, rest[1] & ~there]
    return [*kinds, (rest[0], rest[1] & skin_triangles(target))]


def _homogeneous(points: Tensor) -> Tensor:
    """(N, 4) double"""
    return torch.cat([points, torch.ones(len(points), 1)], dim=1).double()


def _rest(avatar: SurfelAvatar) -> Tensor:
    with torch.no_grad():
        return pose_head(avatar.head, avatar.shape, torch.zeros(50), torch.zeros(15)).vertices


def _skin_below(avatar: SurfelAvatar, points: Tensor) -> Tensor:
    """(N, 3) the nearest places of a person's skin at rest."""
    vertices = _rest(avatar)
    bound = bind_points(vertices, avatar.head.faces, points, skin_triangles(avatar.head))
    corners = vertices[avatar.head.faces[bound.triangle]]
    return (corners * bound.barycentric[:, :, None]).sum(dim=1)


def eyes_of(avatar: SurfelAvatar) -> Tensor:
    """(3,) the middle of a person's eyes, at rest."""
    middle: Tensor = (avatar.head.joint_regressor @ _rest(avatar))[_EYE_JOINTS].mean(dim=0)
    return middle


def _controls(head: Head, vertices: Tensor) -> Tensor:
    """Indices (C,) of vertices that are spread over the skin."""
    parts = require_parts(head)
    index = (~parts.on(*_INNER)).nonzero()[:, 0]
    if len(index) <= _NUM_CONTROLS:
        return index
    # The first of each cell of a grid: as even as is needed, and the same every time.
    low, high = vertices[index].min(dim=0).values, vertices[index].max(dim=0).values
    size = float((high - low).max())
    for cells in range(70, 4, -1):
        cell = ((vertices[index] - low) / size * cells).long()
        key = (cell * torch.tensor([1, 1000, 1_000_000])).sum(dim=1)
        _, inverse = key.unique(return_inverse=True)
        first = torch.full((int(inverse.max()) + 1,), len(index))
        first = first.scatter_reduce(0, inverse, torch.arange(len(index)), "amin")
        if len(first) <= _NUM_CONTROLS:
            return index[first]
    return index[:_NUM_CONTROLS]


def _spline(source: Tensor, target: Tensor, stiffness: float) -> Any:
    from scipy.interpolate import RBFInterpolator

    return RBFInterpolator(source.double().numpy(), target.double().numpy(), smoothing=stiffness)


def _bent(source: SurfelAvatar, target: SurfelAvatar) -> Any:
    ours, theirs = _rest(source), _rest(target)
    index = _controls(source.head, ours)
    return _spline(ours[index], theirs[index], _STIFFNESS)


def _laid_over(source: SurfelAvatar, target: SurfelAvatar) -> Any:
    for avatar, other in ((source, target), (target, source)):
        if avatar.head.landmarks is None:
            raise InvalidInput(
                f"{quoted(source.name)} and {quoted(target.name)} have different heads, and "
                f"{quoted(avatar.head.name)} has no landmarks to lay it over "
                f"{quoted(other.head.name)}; put its landmark_embedding.npy beside it."
            )
    ours, theirs = _rest(source), _rest(target)
    marks = [
        face_landmarks(a.head, v, torch.zeros(15)) for a, v in ((source, ours), (target, theirs))
    ]
    index = _controls(source.head, ours)
    similar = Similarity.fit(marks[0], marks[1])
    controls, warped = ours[index], similar.apply(ours[index])
    warp = None
    for _ in range(_ROUNDS):
        nearest = _skin_below(target, warped)
        warp = _spline(
            torch.cat([marks[0], controls]), torch.cat([marks[1], nearest]), 100 * _STIFFNESS
        )
        warped = torch.from_numpy(warp(controls.double().numpy())).float()
    return warp


@dataclass(frozen=True, eq=False)
class Similarity:
    """A turn, a scale and a shift (Umeyama 1991)."""

    linear: Tensor
    """(3, 3)"""
    shift: Tensor
    """(3,)"""

    @classmethod
    def fit(cls, source: Tensor, target: Tensor) -> Similarity:
        """The one that brings points (N, 3) nearest to others (N, 3)."""
        middle, there = source.mean(dim=0), target.mean(dim=0)
        away, goal = source - middle, target - there
        left, sizes, right = torch.linalg.svd(goal.T @ away)
        sign = torch.ones(3)
        sign[2] = torch.linalg.det(left @ right).sign()
        linear = (left * sign) @ right
        scale = (sizes * sign).sum() / away.square().sum().clamp_min(1e-12)
        linear = scale * linear
        return cls(linear, there - linear @ middle)

    def apply(self, points: Tensor) -> Tensor:
        """Points (N, 3) there."""
        return points @ self.linear.T + self.shift
