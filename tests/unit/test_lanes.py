"""Eight numbers as one, in a compiled loop."""

from __future__ import annotations

import numpy as np
import pytest

from pegasus_runtime.lanes import NUM_LANES, any_less, eight, load, store, where_less
from pegasus_runtime.numba_start import njit


@njit
def _work(numbers, factor, results) -> int:  # type: ignore[no-untyped-def]
    count = 0
    for start in range(np.uint64(0), np.uint64(len(numbers)), np.uint64(NUM_LANES)):
        values, limit = load(numbers, start), eight(np.float32(1.0))
        scaled = (values - limit) * eight(factor) + values
        store(results, start, where_less(values, limit, scaled, limit))
        count += any_less(values, limit)
    return count


def test_lanes_do_as_numbers_one_by_one() -> None:
    numbers = np.linspace(-2, 3, 5 * NUM_LANES, dtype=np.float32)
    results = np.zeros_like(numbers)
    factor = np.float32(0.5)
    count = _work(numbers, factor, results)
    scaled = (numbers - np.float32(1)) * factor + numbers
    assert np.array_equal(results, np.where(numbers < 1, scaled, np.float32(1)))
    assert count == (numbers.reshape(-1, NUM_LANES) < 1).any(axis=1).sum() == 3


@pytest.mark.parametrize("lane", range(NUM_LANES))
def test_what_is_no_number_is_not_less(lane: int) -> None:
    numbers = np.full(NUM_LANES, 5, np.float32)
    numbers[lane] = np.nan
    results = np.zeros_like(numbers)
    assert _work(numbers, np.float32(1), results) == 0
    assert (results == 1).all()
    numbers[lane] = 0.5
    assert _work(numbers, np.float32(1), results) == 1 and results[lane] == 0
