"""Sorting a tile's points: the order of a stable sort by depth, however the depths lie."""

from __future__ import annotations

import numpy as np
import pytest

from pegasus_runtime.raster.numba import sorting

CROWD = 30_000
RANDOM = np.random.default_rng(3)
DEPTHS = {
    "none": np.empty(0),
    "one": np.array([2.0]),
    "spread": RANDOM.uniform(1.5, 2.5, 500),
    "all equal": np.full(400, 2.0),
    "few values": RANDOM.integers(1, 5, 600) / 2,
    "front and back": np.concatenate([RANDOM.normal(2, 1e-3, 300), RANDOM.normal(2.4, 1e-3, 300)]),
    "both zeros": np.tile([0.0, -0.0, 1.0], 50),
    "from nothing to the largest": np.geomspace(1e-44, 3e38, 700)[::-1],
    "a crowd and one far away": np.append(2 + 1e-4 * RANDOM.random(CROWD), 1e30),
}


def order(depths: np.ndarray, starts: list[int]) -> np.ndarray:
    points = np.zeros((len(depths), 3), np.float32)
    points[:, 2] = depths
    entries = np.empty(len(depths), np.int32)
    sorting.sort_tiles(
        points.view(np.uint32), np.array(starts), np.arange(len(depths), dtype=np.int32), 2,
        np.empty(len(depths), np.uint32), np.empty(len(depths), np.uint64), entries,
    )  # fmt: skip
    return entries


@pytest.mark.parametrize("name", DEPTHS)
def test_a_tile_is_in_the_order_of_a_stable_sort(name: str) -> None:
    depths = DEPTHS[name].astype(np.float32)
    assert np.array_equal(order(depths, [0, len(depths)]), np.argsort(depths, kind="stable"))


def test_each_tile_is_sorted_for_itself() -> None:
    depths = RANDOM.uniform(1, 3, 900).astype(np.float32)
    starts = [0, 200, 200, 201, 900]
    wanted = np.concatenate([
        start + np.argsort(depths[start:end], kind="stable")
        for start, end in zip(starts, starts[1:], strict=False)
    ])  # fmt: skip
    assert np.array_equal(order(depths, starts), wanted)
