"""From points' places on the canonical head to posed places and normals (numba).

`deform.surface` has the same formulas, in the order in which they stand here;
`placing_gradient_kernel` goes the way back.

All that is known of 64 points lies in the rows of one table, points side by side, so that eight
share a vector register; the names below are numbers of rows. What has three directions stands
direction after direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.numba_start import JOINED, inner, njit

Floats = NDArray[np.float32]
# The number of a row; in sums it does not mix with Python's own.
Row = Any
NUM_BONES = 6
LANES = 64
"""points that are worked on together"""
NONE, ONE = np.float32(0.0), np.float32(1.0)
SHORTEST = np.float32(1e-12)
"""A normal is divided by no less than this."""

# Typed, for numba compiles a loop anew for every plain number that it is called with.
# What is given of every point.
MOVED = np.int64(0)
"""3 rows: p'"""
MAPPED = MOVED + 3
"""6: offset to the head's surface, and the move by expression and pose"""
MAPPED_TANGENTS = MAPPED + 6
"""18"""
WEIGHTS = MAPPED_TANGENTS + 18
"""6: skinning"""
WEIGHT_TANGENTS = WEIGHTS + 6
"""18"""
GRADIENT = WEIGHT_TANGENTS + 18
"""3: of the signed distance"""
NUM_VARIED = GRADIENT + 3
"""All before have gradients."""
SHIFT = NUM_VARIED
"""3: by the head's shape"""
NUM_GIVEN = SHIFT + 3

# What is worked out on the way.
CANONICAL = NUM_GIVEN
"""12: blended bones of the canonical head"""
INVERSE = CANONICAL + 12
"""9: of their linear part"""
AWAY = INVERSE + 9
"""3: what the inverse is applied to"""
REST = AWAY + 3
"""3: places with the canonical bones undone"""
REST_TANGENTS = REST + 3
"""9"""
REST_IMAGES = REST_TANGENTS + 9
"""18: where each canonical bone takes them"""
BENT = REST_IMAGES + 18
"""3: rest places moved by expression, pose and shape"""
BENT_TANGENTS = BENT + 3
"""9"""
BENT_IMAGES = BENT_TANGENTS + 9
"""18: where each posed bone takes them"""
POSED = BENT_IMAGES + 18
"""12: blended bones of the posed head"""
JACOBIAN = POSED + 12
"""9: rows 3 i + d are ∂x_d/∂p'ᵢ"""
ACROSS = JACOBIAN + 9
"""9: jacobian 1 × jacobian 2, and so on round"""
CARRIED = ACROSS + 9
"""3: normals before they have length one"""
SCALE = CARRIED + 3
"""1: what these are multiplied with"""
PLACED = SCALE + 1
"""3: posed points"""
NORMALS = PLACED + 3
"""3"""
NUM_ROWS = NORMALS + 3

SQUARE, AFFINE = np.int64(3), np.int64(4)
"""numbers in a row of matrices (3, 3) and (3, 4)"""


@inner()
def read(source: Floats, start: int, table: Floats, first: Row) -> None:
    """Points from ``start`` on of source (R, n) into the rows from ``first`` on."""
    count = min(LANES, source.shape[1] - start)
    for row in range(len(source)):
        for lane in range(count):
            table[first + row, lane] = source[row, start + lane]


@inner()
def write(table: Floats, first: Row, start: int, target: Floats) -> None:
    """The rows from ``first`` on to points from ``start`` on of target (R, n)."""
    count = min(LANES, target.shape[1] - start)
    for row in range(len(target)):
        for lane in range(count):
            target[row, start + lane] = table[first + row, lane]


@inner(fastmath=JOINED)
def _blend(table: Floats, bones: Floats, out: Row) -> None:
    """Bones (6, 12) by the weights."""
    for entry in range(12):
        a, b, c = bones[0, entry], bones[1, entry], bones[2, entry]
        d, e, f = bones[3, entry], bones[4, entry], bones[5, entry]
        for lane in range(LANES):
            table[out + entry, lane] = (
                table[WEIGHTS, lane] * a
                + table[WEIGHTS + 1, lane] * b
                + table[WEIGHTS + 2, lane] * c
                + table[WEIGHTS + 3, lane] * d
                + table[WEIGHTS + 4, lane] * e
                + table[WEIGHTS + 5, lane] * f
            )


@inner(fastmath=JOINED)
def _carry(table: Floats, places: Row, bones: Floats, images: Row) -> None:
    """Where each of the bones (6, 12) takes places."""
    for row in range(3 * NUM_BONES):
        bone, entry = row // 3, 4 * (row % 3)
        a, b = bones[bone, entry], bones[bone, entry + 1]
        c, d = bones[bone, entry + 2], bones[bone, entry + 3]
        for lane in range(LANES):
            turned = a * table[places, lane] + b * table[places + 1, lane]
            table[images + row, lane] = turned + c * table[places + 2, lane] + d


@inner(fastmath=JOINED)
def _mix(table: Floats, weights: Row, images: Row, out: Row) -> None:
    """Images by the bones, weighted by six rows."""
    for axis in range(3):
        image = images + axis
        for lane in range(LANES):
            table[out + axis, lane] = (
                table[weights, lane] * table[image, lane]
                + table[weights + 1, lane] * table[image + 3, lane]
                + table[weights + 2, lane] * table[image + 6, lane]
                + table[weights + 3, lane] * table[image + 9, lane]
                + table[weights + 4, lane] * table[image + 12, lane]
                + table[weights + 5, lane] * table[image + 15, lane]
            )


@inner(fastmath=JOINED)
def cross(table: Floats, a: Row, b: Row, out: Row) -> None:
    """Cross products of two times three rows."""
    for lane in range(LANES):
        ax, ay, az = table[a, lane], table[a + 1, lane], table[a + 2, lane]
        bx, by, bz = table[b, lane], table[b + 1, lane], table[b + 2, lane]
        table[out, lane] = ay * bz - az * by
        table[out + 1, lane] = az * bx - ax * bz
        table[out + 2, lane] = ax * by - ay * bx


@inner(fastmath=JOINED)
def _turn(table: Floats, matrix: Row, width: Row, vector: Row, out: Row) -> None:
    """Matrices, of rows of ``width`` numbers, times vectors."""
    for axis in range(3):
        entry = matrix + width * axis
        for lane in range(LANES):
            table[out + axis, lane] = (
                table[entry, lane] * table[vector, lane]
                + table[entry + 1, lane] * table[vector + 1, lane]
                + table[entry + 2, lane] * table[vector + 2, lane]
            )


@inner(fastmath=JOINED, error_model="numpy")
def _invert(table: Floats) -> None:
    """The canonical bones' linear part, by cross products of its columns."""
    m, n = CANONICAL, INVERSE
    for lane in range(LANES):
        a, b, c = table[m, lane], table[m + 1, lane], table[m + 2, lane]
        d, e, f = table[m + 4, lane], table[m + 5, lane], table[m + 6, lane]
        g, h, i = table[m + 8, lane], table[m + 9, lane], table[m + 10, lane]
        p, q, r = e * i - f * h, c * h - b * i, b * f - c * e
        scale = ONE / (a * p + d * q + g * r)
        table[n, lane], table[n + 1, lane], table[n + 2, lane] = p * scale, q * scale, r * scale
        table[n + 3, lane] = (f * g - d * i) * scale
        table[n + 4, lane] = (a * i - c * g) * scale
        table[n + 5, lane] = (c * d - a * f) * scale
        table[n + 6, lane] = (d * h - e * g) * scale
        table[n + 7, lane] = (b * g - a * h) * scale
        table[n + 8, lane] = (a * e - b * d) * scale


@inner(fastmath=JOINED)
def _undo_canonical(table: Floats, bones: Floats) -> None:
    """Rest places and their tangents, as `surface.undo_transforms`."""
    _blend(table, bones, CANONICAL)
    _invert(table)
    for axis in range(3):
        for lane in range(LANES):
            on_head = table[MOVED + axis, lane] + table[MAPPED + axis, lane]
            table[AWAY + axis, lane] = on_head - table[CANONICAL + 4 * axis + 3, lane]
    _turn(table, INVERSE, SQUARE, AWAY, REST)
    _carry(table, REST, bones, REST_IMAGES)
    for i in range(3):
        _mix(table, WEIGHT_TANGENTS + 6 * i, REST_IMAGES, AWAY)
        for axis in range(3):
            along = ONE if axis == i else NONE
            for lane in range(LANES):
                moved = along + table[MAPPED_TANGENTS + 6 * i + axis, lane]
                table[AWAY + axis, lane] = moved - table[AWAY + axis, lane]
        _turn(table, INVERSE, SQUARE, AWAY, REST_TANGENTS + 3 * i)


@inner(fastmath=JOINED)
def _bend(table: Floats, bones: Floats) -> None:
    """Move by expression, pose and shape, and take the Jacobian of what the posed bones do."""
    for axis in range(3):
        for lane in range(LANES):
            moved = table[MAPPED + 3 + axis, lane] + table[SHIFT + axis, lane]
            table[BENT + axis, lane] = table[REST + axis, lane] + moved
            for i in range(3):
                slope = table[MAPPED_TANGENTS + 6 * i + 3 + axis, lane]
                rest = table[REST_TANGENTS + 3 * i + axis, lane]
                table[BENT_TANGENTS + 3 * i + axis, lane] = rest + slope
    _carry(table, BENT, bones, BENT_IMAGES)
    _blend(table, bones, POSED)
    for i in range(3):
        _turn(table, POSED, AFFINE, BENT_TANGENTS + 3 * i, JACOBIAN + 3 * i)
        _mix(table, WEIGHT_TANGENTS + 6 * i, BENT_IMAGES, AWAY)
        for axis in range(3):
            for lane in range(LANES):
                table[JACOBIAN + 3 * i + axis, lane] += table[AWAY + axis, lane]


@inner(fastmath=JOINED, error_model="numpy")
def _carry_normals(table: Floats) -> None:
    """As `surface.carry_normals`, before they have length one; and what gives them that."""
    for i in range(3):
        cross(table, JACOBIAN + (3 * i + 3) % 9, JACOBIAN + (3 * i + 6) % 9, ACROSS + 3 * i)
    for axis in range(3):
        for lane in range(LANES):
            table[CARRIED + axis, lane] = (
                table[GRADIENT, lane] * table[ACROSS + axis, lane]
                + table[GRADIENT + 1, lane] * table[ACROSS + 3 + axis, lane]
                + table[GRADIENT + 2, lane] * table[ACROSS + 6 + axis, lane]
            )
    for lane in range(LANES):
        x, y, z = table[CARRIED, lane], table[CARRIED + 1, lane], table[CARRIED + 2, lane]
        volume = (
            table[JACOBIAN, lane] * table[ACROSS, lane]
            + table[JACOBIAN + 1, lane] * table[ACROSS + 1, lane]
            + table[JACOBIAN + 2, lane] * table[ACROSS + 2, lane]
        )
        side = -ONE if volume < NONE else ONE
        table[SCALE, lane] = side / max(np.sqrt(x * x + y * y + z * z), SHORTEST)


@inner()
def place(table: Floats, canonical: Floats, posed: Floats) -> None:
    """Everything but the last step, from what is given."""
    _undo_canonical(table, canonical)
    _bend(table, posed)
    _carry_normals(table)


@njit(cache=True, nogil=True)
def place_points(
    given: Floats, canonical: Floats, posed: Floats, placed: Floats, normals: Floats
) -> None:
    """Posed points and unit normals.

    Args:
        given: (NUM_GIVEN, n) what is known of n points.
        canonical: (6, 12) upper three rows of the canonical head's bones.
        posed: (6, 12) of the posed head's.
        placed: (3, n) out.
        normals: (3, n) out.
    """
    table = np.zeros((NUM_ROWS, LANES), np.float32)
    for start in range(0, given.shape[1], LANES):
        read(given, start, table, MOVED)
        place(table, canonical, posed)
        _mix(table, WEIGHTS, BENT_IMAGES, PLACED)
        for axis in range(3):
            for lane in range(LANES):
                table[NORMALS + axis, lane] = table[SCALE, lane] * table[CARRIED + axis, lane]
        write(table, PLACED, start, placed)
        write(table, NORMALS, start, normals)
