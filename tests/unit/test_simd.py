"""Eight numbers as one, in a compiled loop."""

from __future__ import annotations

import numpy as np
import pytest

from pegasus_runtime.cpu.jit import njit
from pegasus_runtime.cpu.simd import (
    NUM_LANES,
    any_less,
    load,
    power_of_two,
    root,
    splat,
    store,
    total,
    where_less,
    which_less,
)


@njit
def _work(numbers, factor, results) -> int:  # type: ignore[no-untyped-def]
    count = 0
    for start in range(np.uint64(0), np.uint64(len(numbers)), np.uint64(NUM_LANES)):
        values, limit = load(numbers, start), splat(np.float32(1.0))
        scaled = (values - limit) * splat(factor) + values
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


@njit
def _raise_and_add(numbers, divisor, results) -> float:  # type: ignore[no-untyped-def]
    added = np.float32(0.0)
    for start in range(np.uint64(0), np.uint64(len(numbers)), np.uint64(NUM_LANES)):
        values = load(numbers, start)
        store(results, start, power_of_two(values) / splat(divisor))
        added += total(values)
    return added


def test_powers_of_two_quotients_and_totals() -> None:
    # Down to the smallest normal number: below it, libraries for pictures switch to zeros.
    numbers = np.linspace(-125, 126, 500 * NUM_LANES, dtype=np.float32)
    numbers[::7] = np.round(numbers[::7])
    results = np.zeros_like(numbers)
    added = _raise_and_add(numbers, np.float32(2), results)
    expected = 2.0 ** (numbers.astype(np.float64) - 1)
    assert np.abs(results / expected - 1).max() < 4e-7
    assert (results == expected)[numbers == np.round(numbers)].all()
    assert added == pytest.approx(numbers.sum(dtype=np.float64), abs=0.1)


@njit
def _roots(numbers, limit, results) -> int:  # type: ignore[no-untyped-def]
    values = load(numbers, np.uint64(0))
    store(results, np.uint64(0), root(values))
    return which_less(values, splat(limit))


def test_roots_and_which_lanes_are_less() -> None:
    numbers = np.array([0, 9, 2, 16, 1, 100, 3, np.nan], np.float32)
    results = np.zeros_like(numbers)
    assert _roots(numbers, np.float32(3), results) == 0b10101
    np.testing.assert_array_equal(results, np.sqrt(numbers))
