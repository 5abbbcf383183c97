"""Layers of a network over a patch of points, without the units that are off there (numba).

A softplus with β = 100 is nearly a hinge, and over a patch of a face about half of a layer's units
are off. Such a unit gives less than 1e-11 to what reads it: the network without it is the same in
float32, and its products of matrices are a half as large, and a quarter where derivatives go
through. Units lie one after the other and the points of a patch side by side, so that every loop
runs along vector registers, and a core works in its own cache without a call in between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.avatar.softplus_kernel import OFF, Floats, softplus_and_slope
from pegasus_runtime.numba_start import JOINED, inner

WIDE = 256
"""points of a patch, side by side"""
_ZERO = np.float32(0.0)

Indices = NDArray[np.int64]


@inner()
def in_fours(count: int) -> int:
    """The next multiple of four: `multiply` takes rows and columns four by four."""
    return (count + 3) // 4 * 4


@inner(fastmath=JOINED)
def multiply(weight: Floats, num_rows: int, num_columns: int, values: Floats, sums: Floats) -> None:
    """Add weight (M, K) times values (K, WIDE) to sums (M, WIDE); M and K in fours.

    Sixteen products for every eight numbers read and four written.
    """
    for r in range(0, num_rows, 4):
        for c in range(0, num_columns, 4):
            a0, a1, a2, a3 = weight[r, c], weight[r, c + 1], weight[r, c + 2], weight[r, c + 3]
            b0, b1 = weight[r + 1, c], weight[r + 1, c + 1]
            b2, b3 = weight[r + 1, c + 2], weight[r + 1, c + 3]
            c0, c1 = weight[r + 2, c], weight[r + 2, c + 1]
            c2, c3 = weight[r + 2, c + 2], weight[r + 2, c + 3]
            d0, d1 = weight[r + 3, c], weight[r + 3, c + 1]
            d2, d3 = weight[r + 3, c + 2], weight[r + 3, c + 3]
            for lane in range(WIDE):
                u, v = values[c, lane], values[c + 1, lane]
                w, x = values[c + 2, lane], values[c + 3, lane]
                sums[r, lane] += a0 * u + a1 * v + a2 * w + a3 * x
                sums[r + 1, lane] += b0 * u + b1 * v + b2 * w + b3 * x
                sums[r + 2, lane] += c0 * u + c1 * v + c2 * w + c3 * x
                sums[r + 3, lane] += d0 * u + d1 * v + d2 * w + d3 * x


@inner()
def gather(
    weight: Floats, rows: Indices, num_rows: int, columns: Indices, num_columns: int, part: Floats
) -> None:
    """Rows and columns of a matrix, and zeros up to the next four of each."""
    for r in range(in_fours(num_rows)):
        for c in range(in_fours(num_columns)):
            inside = r < num_rows and c < num_columns
            part[r, c] = weight[rows[r], columns[c]] if inside else _ZERO


@inner()
def gather_columns(
    weight: Floats, num_rows: int, columns: Indices, num_columns: int, part: Floats
) -> None:
    """Columns of a matrix (num_rows, …), in fours, and zeros up to the next four."""
    for r in range(num_rows):
        for c in range(num_columns):
            part[r, c] = weight[r, columns[c]]
        for c in range(num_columns, in_fours(num_columns)):
            part[r, c] = _ZERO


@inner()
def start_sums(bias: Floats, num_rows: int, sums: Floats) -> None:
    """Fill rows (num_rows, WIDE) with their biases."""
    for r in range(num_rows):
        for lane in range(WIDE):
            sums[r, lane] = bias[r]


@inner()
def clear(num_rows: int, sums: Floats) -> None:
    """Fill rows (num_rows, WIDE) with nothing."""
    for r in range(num_rows):
        for lane in range(WIDE):
            sums[r, lane] = _ZERO


@inner()
def copy_rows(source: Floats, first: int, count: int, target: Floats, to: int) -> None:
    """Copy rows first… of (…, WIDE) to rows to… of another."""
    for row in range(count):
        for lane in range(WIDE):
            target[to + row, lane] = source[first + row, lane]


@inner()
def count_up(first: int, count: int, target: Indices, to: int) -> None:
    """Write first, first + 1, … to places to…"""
    for number in range(count):
        target[to + number] = first + number


@inner(fastmath=JOINED, error_model="numpy")
def activate_units(
    logits: Floats, num_rows: int, units: Indices, values: Floats, slopes: Floats
) -> int:
    """Softplus and slope of the rows that are not off everywhere, one after the other.

    Args:
        logits: (num_rows, WIDE)
        num_rows: of the layer.
        units: out, the rows that are left.
        values: out, their softplus, and zeros up to the next four rows.
        slopes: out, its derivative likewise.

    Returns:
        how many are left.
    """
    count = 0
    for row in range(num_rows):
        on = 0
        for lane in range(WIDE):
            on += int(logits[row, lane] > OFF)
        if on:
            for lane in range(WIDE):
                values[count, lane], slopes[count, lane] = softplus_and_slope(logits[row, lane])
            units[count] = row
            count += 1
    rest = in_fours(count) - count
    clear(rest, values[count:])
    clear(rest, slopes[count:])
    return count


@inner()
def next_layer(
    weight: Floats, bias: Floats, num_rows: int, reads: Indices, num_reads: int,
    values: Floats, part: Floats, logits: Floats, units: Indices, results: Floats, slopes: Floats,
) -> int:  # fmt: skip
    """A map and its softplus, from the units before it that are left to its own.

    Args:
        weight: (M, K)
        bias: (M,)
        num_rows: M, in fours.
        reads: columns of the units that are left before it.
        num_reads: how many.
        values: (num_reads in fours, WIDE) of them.
        part: scratch for a matrix.
        logits: scratch (M, WIDE).
        units, results, slopes: as for `activate_units`.

    Returns:
        how many units are left.
    """
    gather_columns(weight, num_rows, reads, num_reads, part)
    start_sums(bias, num_rows, logits)
    multiply(part, num_rows, in_fours(num_reads), values, logits)
    return activate_units(logits, num_rows, units, results, slopes)


@inner(fastmath=JOINED)
def scale_rows(num_rows: int, slopes: Floats, values: Floats) -> None:
    """Multiply rows (num_rows, WIDE) by slopes."""
    for r in range(num_rows):
        for lane in range(WIDE):
            values[r, lane] *= slopes[r, lane]


@inner()
def next_tangents(
    weight: Floats, rows: Indices, num_rows: int, reads: Indices, num_reads: int,
    slopes: Floats, tangents: Floats, part: Floats, results: Floats,
) -> None:  # fmt: skip
    """What `next_layer` makes of tangents (3, K, WIDE) along three directions.

    Args:
        weight: (M, K)
        rows: its rows that are left.
        num_rows: how many.
        reads: its columns that are.
        num_reads: how many.
        slopes: (num_rows in fours, WIDE) of its softplus.
        tangents: (3, num_reads in fours, WIDE) of what it reads.
        part: scratch for a matrix.
        results: (3, num_rows in fours, WIDE) out.
    """
    gather(weight, rows, num_rows, reads, num_reads, part)
    for axis in range(3):
        clear(in_fours(num_rows), results[axis])
        multiply(part, in_fours(num_rows), in_fours(num_reads), tangents[axis], results[axis])
        scale_rows(in_fours(num_rows), slopes, results[axis])
