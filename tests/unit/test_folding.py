"""Folds of maps: few looks at all that is known of points, and the same surface."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pegasus_runtime as pr
from pegasus_runtime.deform.folding import MAX_FOLDS, FoldedMaps, PackedRows
from pegasus_runtime.deform.posing import PackedSurface

WIDTH = 8


@pytest.fixture
def folds() -> FoldedMaps:
    rows = PackedRows.empty(100, WIDTH, torch.float32)
    generator = np.random.default_rng(0)
    rows.values[:] = generator.normal(size=rows.values.shape)
    rows.slopes[:] = generator.normal(size=rows.slopes.shape)
    return FoldedMaps(rows)


def _map(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, WIDTH)).astype(np.float32)


def _expected(folds: FoldedMaps, weight: np.ndarray) -> np.ndarray:
    """(blocks, 12, LANES)"""
    parts = [folds.rows.values[:, :WIDTH]]
    parts += [folds.rows.slopes[:, i * WIDTH : (i + 1) * WIDTH] for i in range(3)]
    return np.concatenate([np.einsum("cd,bdl->bcl", weight, part) for part in parts], axis=1)


def _found(folds: FoldedMaps, weight: np.ndarray) -> np.ndarray:
    kept, shares = folds.find(weight)
    return np.einsum("r,rbcl->bcl", shares, kept[: len(shares)])


def test_a_map_in_the_span_of_others_needs_no_look_at_the_points(folds: FoldedMaps) -> None:
    for weight in (_map(0), _map(1), 3 * _map(0) - 0.2 * _map(1), 0 * _map(0), 40 * _map(1)):
        assert np.abs(_found(folds, weight) - _expected(folds, weight)).max() < 1e-4
    assert folds.num_looks == 2


def test_no_more_folds_are_kept_than_there_is_room_for(folds: FoldedMaps) -> None:
    for seed in range(3 * MAX_FOLDS):
        weight = _map(seed)
        assert np.abs(_found(folds, weight) - _expected(folds, weight)).max() < 1e-4
    assert folds.num_looks == 3 * MAX_FOLDS


@pytest.mark.parametrize("worst", [np.nan, np.inf])
def test_a_map_that_is_not_finite_spoils_no_later_one(folds: FoldedMaps, worst: float) -> None:
    _found(folds, _map(0))
    broken = _map(1)
    broken[1, 2] = worst
    folds.find(broken)
    assert np.abs(_found(folds, _map(0)) - _expected(folds, _map(0))).max() < 1e-4
    assert folds.num_looks == 1


def test_a_dragged_slider_looks_twice_at_the_points_and_a_jaw_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = pr.load_free_head()
    sizes = pr.NetworkSizes(
        num_frequencies=2, geometry_width=16, geometry_depth=2, geometry_skip=0,
        deformer_width=16, deformer_depth=2, shading_width=16,
    )  # fmt: skip
    avatar = pr.initial_avatar(head, head.template[::8], 0.05, sizes=sizes)
    torch.manual_seed(0)
    with torch.no_grad():
        torch.nn.init.normal_(avatar.networks.deformer.blendshapes.weight, std=0.02)
    surfaces = []
    pose = PackedSurface.pose
    monkeypatch.setattr(
        PackedSurface, "pose", lambda self, *rest: surfaces.append(self) or pose(self, *rest)
    )
    session, exact = pr.Session(avatar, "cpu"), pr.Session(avatar, "cpu", exact=True)
    params, camera = avatar.neutral(), avatar.default_camera((32, 32))

    def drag(values: np.ndarray, index: int) -> int:
        before = surfaces[-1].num_looks if surfaces else 0
        for value in np.linspace(0.01, 0.6, 30):
            values[index] = value
            frame = session.render(params, camera)
        assert np.abs(frame.points - exact.render(params, camera).points).max() < 1e-5
        return int(surfaces[-1].num_looks) - before

    assert drag(params.expression, 2) <= 2
    assert drag(params.pose, 6) <= 5
    assert len({id(surface) for surface in surfaces}) == 1
