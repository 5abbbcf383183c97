"""Steps of Gauss and Newton where some unknowns belong to a frame and some to all frames.

The normal equations then have the form of an arrow: a block for each frame, which smoothness in
time ties to the two frames before, and a border for what the frames share. The frames are
eliminated by a banded Cholesky factorisation, and what they share is solved for first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Doubles = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

_RIDGE = 1e-9
"""on the diagonal: an unknown that nothing tells of stays where it is"""
_BEFORE = 2
"""frames that a second difference reaches back"""


@dataclass(frozen=True, eq=False)
class ArrowSystem:
    """What a step minimises, to second order: n unknowns of each of B frames, S of all."""

    frames: Doubles
    """(B, n, n)"""
    mixed: Doubles
    """(B, n, S)"""
    shared: Doubles
    """(S, S)"""
    smooth: Doubles
    """(n,) times half the squared second differences in time, which `frames` does not contain"""
    frame_slopes: Doubles
    """(B, n), with those of the second differences"""
    shared_slopes: Doubles
    """(S,)"""

    def step(self, below: Doubles, above: Doubles, damping: float) -> tuple[Doubles, Doubles]:
        """The best step (B, n) of the frames' unknowns and (S,) of the shared ones.

        It is cut at the bounds, and what is left of the frames' unknowns is found once more. What
        is shared stays: to find it anew takes as long as the whole step, and gains nothing that
        the next step does not.

        Args:
            below: (B, n) how far the frames' unknowns may go down, at most 0.
            above: (B, n) how far up, at least 0.
            damping: the share by which the diagonal is raised.
        """
        slopes, going = self.frame_slopes, np.zeros_like(self.frame_slopes)
        held = ((below >= 0) & (slopes >= 0)) | ((above <= 0) & (slopes <= 0))
        band = self._factorised(~held, damping)
        shared = self._shared_step(band, ~held, damping)
        moved = self._frames_step(band, ~held, going, shared)
        low, high = (moved < below) & ~held, (moved > above) & ~held
        if (low | high).any():
            going = np.where(low, below, np.where(high, above, going))
            held = held | low | high
            moved = self._frames_step(self._factorised(~held, damping), ~held, going, shared)
        return np.clip(moved, below, above), shared

    def _shared_step(self, band: _Band, free: Truths, damping: float) -> Doubles:
        """(S,) the step of what the frames share, where their held unknowns stay."""
        corner = _raised(self.shared, damping)
        # What is pulled is one more column, and one product eliminates all.
        border = torch.from_numpy(np.pad(corner, (0, 1)))
        border[:-1, -1] = torch.from_numpy(-self.shared_slopes)
        wide = (
            torch.from_numpy(np.column_stack([mixed, slopes]) * row[:, None])
            for mixed, slopes, row in zip(self.mixed, -self.frame_slopes, free, strict=True)
        )
        for rows in band.forward(wide):
            border.addmm_(rows.T, rows, alpha=-1)
        factor = torch.linalg.cholesky(border[:-1, :-1])
        return np.asarray(torch.cholesky_solve(border[:-1, -1:], factor)[:, 0].numpy())

    def _frames_step(self, band: _Band, free: Truths, going: Doubles, shared: Doubles) -> Doubles:
        """(B, n) the step of the frames' unknowns, where held ones go where they are told and
        what all share is known."""
        pull = -self.frame_slopes - self._pulled(going) - self.mixed @ shared.astype(np.float32)
        columns = list(band.forward(iter(torch.from_numpy(pull * free)[..., None])))
        return band.backward(columns) + going

    def _pulled(self, going: Doubles) -> Doubles:
        return (self.frames @ going[..., None])[..., 0] + self.smooth * bend_slopes(going)

    def _factorised(self, free: Truths, damping: float) -> _Band:
        """Of the frames' blocks; a held unknown is an equation of its own."""
        ties = _ties(len(free))
        blocks: list[list[Tensor]] = []
        for at, row in enumerate(free):
            tied = [
                ties[back, at] * self.smooth * row * free[at - back]
                for back in range(min(at, _BEFORE) + 1)
            ]
            square = self.frames[at] * np.outer(row, row) + np.diag(tied[0])
            blocks.append(_next_blocks(_raised(square, damping) + np.diag(~row), tied, blocks))
        return _Band(blocks)


class Sums:
    """Second derivatives and slopes of ½ Σ w r² over the residuals r of B frames."""

    def __init__(self, rows: int, of_frame: int, num_shared: int) -> None:
        def zeros(*size: int) -> Tensor:
            return torch.zeros(*size, dtype=torch.float64)

        self._frames = zeros(rows, of_frame, of_frame)
        self._mixed = zeros(rows, of_frame, num_shared)
        self._shared = zeros(num_shared, num_shared)
        self._slopes, self._shared_slopes = zeros(rows, of_frame), zeros(num_shared)

    def add(self, by_frame: Tensor, by_shared: Tensor, off: Tensor, weights: Tensor) -> None:
        """Residuals (B, R, 1 or 2), and how they go with unknowns, the first shared ones among
        them."""
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
            np.zeros(self._slopes.shape[1]), self._slopes.numpy(), self._shared_slopes.numpy(),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Band:
    """Lower Cholesky factor of blocks (n, n): of each frame its own, and those to the left."""

    blocks: list[list[Tensor]]

    def forward(self, columns: Iterator[Tensor]) -> Iterator[Tensor]:
        """What the factor carries onto these columns (n, …) of the frames, frame by frame."""
        done: list[Tensor] = []
        for (own, *left), values in zip(self.blocks, columns, strict=True):
            for block, earlier in zip(left, reversed(done), strict=False):
                values = values - block @ earlier
            found = torch.linalg.solve_triangular(own, values, upper=False)
            done = [*done[1 - _BEFORE :], found]
            yield found

    def backward(self, columns: list[Tensor]) -> Doubles:
        """(B, n) what the transposed factor carries onto (n, 1) of the frames."""
        left = list(columns)
        for at in reversed(range(len(left))):
            own, *others = self.blocks[at]
            left[at] = torch.linalg.solve_triangular(own.T, left[at], upper=True)
            for back, block in enumerate(others, 1):
                left[at - back] = left[at - back] - block.T @ left[at]
        return torch.stack(left)[..., 0].numpy()


def huber(values: Tensor, bend: float) -> Tensor:
    """Huber's cost (1964) of values ≥ 0: ½ v² / bend up to the bend, straight from there on.

    A step of Gauss and Newton takes it for ½ w v² with the weight w = 1 / max(v, bend).
    """
    return torch.where(values < bend, values.square() / (2 * bend), values - bend / 2)


def bends(values: Doubles) -> Doubles:
    """Second differences of rows (B, …), (B − 2, …) or none."""
    return np.diff(values, n=2, axis=0) if len(values) >= 3 else values[:0]


def bend_slopes(values: Doubles) -> Doubles:
    """Slopes of half the squared second differences of rows (B, …)."""
    bent, slopes = bends(values), np.zeros_like(values)
    for place, factor in enumerate((1.0, -2.0, 1.0)):
        slopes[place : place + len(bent)] += factor * bent
    return slopes


def _ties(count: int) -> Doubles:
    """(3, B) second derivatives of half the squared second differences: of a frame by itself, by
    the one before, and by the one before that."""
    ties, rows = np.zeros((_BEFORE + 1, count)), max(count - 2, 0)
    for back, factors in enumerate(((1.0, 4.0, 1.0), (-2.0, -2.0), (1.0,))):
        for place, factor in enumerate(factors, back):
            ties[back, place : place + rows] += factor
    return ties


def _next_blocks(square: Doubles, tied: list[Doubles], blocks: list[list[Tensor]]) -> list[Tensor]:
    """A frame's own factor and those to its left: one frame back, two frames back."""
    left: dict[int, Tensor] = {}
    rest = torch.from_numpy(square)
    for back in range(len(tied) - 1, 0, -1):
        block = torch.diag(torch.from_numpy(tied[back]))
        for farther, other in left.items():
            block = block - other @ blocks[-back][farther - back].T
        own = blocks[-back][0]
        left[back] = torch.linalg.solve_triangular(own, block.T, upper=False).T
        rest = rest - left[back] @ left[back].T
    return [torch.linalg.cholesky(rest), *(left[back] for back in sorted(left))]


def _raised(square: Doubles, damping: float) -> Doubles:
    raised = np.array(square)
    raised[np.diag_indices_from(raised)] *= 1 + damping
    raised[np.diag_indices_from(raised)] += _RIDGE
    return raised
