"""Steps of the fit's normal equations, against the same equations written out in full."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from trainer.preprocess.arrow_system import ArrowSystem, bends

UNKNOWNS, SHARED = 4, 5


def made_up(count: int) -> tuple[ArrowSystem, np.ndarray, np.ndarray]:
    """A system, and what it is when written out: matrix and slopes."""
    random = np.random.default_rng(3)
    rows = random.normal(size=(count, 12, UNKNOWNS + SHARED))
    squares = np.einsum("bri,brj->bij", rows, rows)
    smooth = np.array([0.0, 1.0, 5.0, 40.0])
    slopes = random.normal(size=(count, UNKNOWNS)), random.normal(size=SHARED)
    n = UNKNOWNS
    system = ArrowSystem(
        squares[:, :n, :n], squares[:, :n, n:], squares[:, n:, n:].sum(axis=0), smooth, *slopes
    )
    whole = np.zeros((count * n + SHARED,) * 2)
    for at, square in enumerate(squares):
        own = [*range(at * n, at * n + n), *range(count * n, count * n + SHARED)]
        whole[np.ix_(own, own)] += square
    bent = np.kron(bends(np.eye(count)), np.diag(np.sqrt(smooth)))
    whole[: count * n, : count * n] += bent.T @ bent
    return system, whole, np.concatenate([slopes[0].ravel(), slopes[1]])


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_a_step_solves_the_whole_system(count: int) -> None:
    system, whole, slopes = made_up(count)
    far = np.full((count, UNKNOWNS), 1e9)
    frames, shared = system.step(-far, far, 0.0)
    found = np.concatenate([frames.ravel(), shared])
    assert found == pytest.approx(np.linalg.solve(whole, -slopes), rel=1e-5, abs=1e-7)


def test_a_step_stays_within_the_bounds_and_the_rest_makes_up_for_them() -> None:
    system, whole, slopes = made_up(6)
    bound = np.full((6, UNKNOWNS), 0.05)
    frames, shared = system.step(-bound, bound, 0.0)
    found = np.concatenate([frames.ravel(), shared])
    cost = lambda x: 0.5 * x @ whole @ x + slopes @ x  # noqa: E731
    cut = np.linalg.solve(whole, -slopes)
    cut[: bound.size] = cut[: bound.size].clip(-0.05, 0.05)
    factor = np.linalg.cholesky(whole).T
    limits = np.concatenate([bound.ravel(), np.full(SHARED, np.inf)])
    best = lsq_linear(factor, -np.linalg.solve(factor.T, slopes), (-limits, limits)).x
    assert np.abs(frames).max() <= 0.05
    assert cost(found) - cost(best) < 0.5 * (cost(cut) - cost(best))


def test_unknowns_without_room_or_evidence_stay() -> None:
    system, _, _ = made_up(4)
    none = np.zeros((4, UNKNOWNS))
    assert not system.step(none, none, 0.0)[0].any()
    blind = ArrowSystem(
        0 * system.frames, 0 * system.mixed, system.shared, 0 * system.smooth, none,
        system.shared_slopes,
    )  # fmt: skip
    assert np.abs(blind.step(none - 1, none + 1, 0.0)[0]).max() < 1e-9
