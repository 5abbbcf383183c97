"""Gradients back through `placing_kernel` (numba).

They are the derivatives of its formulas written out: with z = A⁻ᵀ g for a gradient g of A⁻¹ v, v
receives z and A receives −z ⊗ A⁻¹ v. The way there is worked out anew, which costs less than
keeping it. The table has further rows for this; names are numbers of rows.
"""

from __future__ import annotations

import numpy as np

from pegasus_runtime.deform.placing_kernel import (
    ACROSS,
    AFFINE,
    BENT_IMAGES,
    BENT_TANGENTS,
    CARRIED,
    GRADIENT,
    INVERSE,
    JACOBIAN,
    LANES,
    MAPPED,
    MAPPED_TANGENTS,
    MOVED,
    NONE,
    NUM_BONES,
    NUM_ROWS,
    NUM_VARIED,
    ONE,
    POSED,
    REST_IMAGES,
    REST_TANGENTS,
    SCALE,
    SHORTEST,
    SQUARE,
    WEIGHT_TANGENTS,
    WEIGHTS,
    Floats,
    Row,
    cross,
    place,
    read,
    write,
)
from pegasus_runtime.numba_start import JOINED, inner, njit

_FOUND = NUM_ROWS
"""NUM_VARIED: gradients of what is given; the row of one is this and its own"""
_OF_PLACED = _FOUND + NUM_VARIED
"""3: gradients of posed points"""
_OF_NORMALS = _OF_PLACED + 3
"""3"""
_OF_CARRIED = _OF_NORMALS + 3
"""3: of normals before they have length one"""
_BESIDE = _OF_CARRIED + 3
"""3: what these are multiplied across with"""
_OF_JACOBIAN = _BESIDE + 3
"""9"""
_OF_BENT = _OF_JACOBIAN + 9
"""9: of tangents of bent places"""
_OF_AWAY = _OF_BENT + 9
"""9: of tangents that the inverse is applied to, with the sign turned"""
_OF_PLACE = _OF_AWAY + 9
"""3: of bent, then of rest places"""
_OUTER = _OF_PLACE + 3
"""9: of blended linear parts"""
_MIXED = _OUTER + 9
"""3"""
_NUM_ROWS = _MIXED + 3


@inner(fastmath=JOINED)
def _turn_back(table: Floats, matrix: Row, width: Row, vector: Row, out: Row) -> None:
    """Transposed matrices, of rows of ``width`` numbers, times vectors."""
    for axis in range(3):
        entry = matrix + axis
        for lane in range(LANES):
            table[out + axis, lane] = (
                table[entry, lane] * table[vector, lane]
                + table[entry + width, lane] * table[vector + 1, lane]
                + table[entry + 2 * width, lane] * table[vector + 2, lane]
            )


@inner(fastmath=JOINED, error_model="numpy")
def _normals_back(table: Floats) -> None:
    """Gradients of the signed distance's gradient and of the Jacobian."""
    for lane in range(LANES):
        x, y, z = table[CARRIED, lane], table[CARRIED + 1, lane], table[CARRIED + 2, lane]
        u, v = table[_OF_NORMALS, lane], table[_OF_NORMALS + 1, lane]
        w, scale = table[_OF_NORMALS + 2, lane], table[SCALE, lane]
        along = scale * scale * (u * x + v * y + w * z)
        # What is too short is divided by a constant.
        along = along if abs(scale) * SHORTEST < ONE else NONE
        table[_OF_CARRIED, lane] = scale * (u - along * x)
        table[_OF_CARRIED + 1, lane] = scale * (v - along * y)
        table[_OF_CARRIED + 2, lane] = scale * (w - along * z)
    for i in range(3):
        across = ACROSS + 3 * i
        for lane in range(LANES):
            table[_FOUND + GRADIENT + i, lane] = (
                table[_OF_CARRIED, lane] * table[across, lane]
                + table[_OF_CARRIED + 1, lane] * table[across + 1, lane]
                + table[_OF_CARRIED + 2, lane] * table[across + 2, lane]
            )
        # Jacobian i stands in two of the products across, once on either side.
        first, second = (i + 1) % 3, (i + 2) % 3
        for axis in range(3):
            for lane in range(LANES):
                table[_BESIDE + axis, lane] = (
                    table[GRADIENT + first, lane] * table[JACOBIAN + 3 * second + axis, lane]
                    - table[GRADIENT + second, lane] * table[JACOBIAN + 3 * first + axis, lane]
                )
        cross(table, _OF_CARRIED, _BESIDE, _OF_JACOBIAN + 3 * i)


@inner(fastmath=JOINED)
def _images_back(table: Floats, pull: Row, sign: np.float32, images: Row) -> None:
    """What a gradient of Σ_b w_b images_b says of the weights."""
    for bone in range(NUM_BONES):
        image = images + 3 * bone
        for lane in range(LANES):
            table[_FOUND + WEIGHTS + bone, lane] += sign * (
                table[pull, lane] * table[image, lane]
                + table[pull + 1, lane] * table[image + 1, lane]
                + table[pull + 2, lane] * table[image + 2, lane]
            )


@inner(fastmath=JOINED)
def _bones_back(table: Floats, bones: Floats, images: Row, pulls: Row, vectors: Row) -> None:
    """Back through Σ_b w_b L_b vᵢ + Σ_b ∂ᵢw_b images_b, for i = 0, 1, 2.

    Adds to the gradients of weights, of their tangents and of the places that the images are of.

    Args:
        table: with w and ∂w.
        bones: (6, 12), with linear parts L.
        images: where they take the places.
        pulls: gradients of the three sums.
        vectors: v.
    """
    for row in range(3):
        for column in range(3):
            a, b = pulls + row, vectors + column
            for lane in range(LANES):
                table[_OUTER + 3 * row + column, lane] = (
                    table[a, lane] * table[b, lane]
                    + table[a + 3, lane] * table[b + 3, lane]
                    + table[a + 6, lane] * table[b + 6, lane]
                )
    for bone in range(NUM_BONES):
        slope, image = WEIGHT_TANGENTS + bone, images + 3 * bone
        for row in range(3):
            a, b = bones[bone, 4 * row], bones[bone, 4 * row + 1]
            c, outer = bones[bone, 4 * row + 2], _OUTER + 3 * row
            for lane in range(LANES):
                table[_FOUND + WEIGHTS + bone, lane] += (
                    a * table[outer, lane] + b * table[outer + 1, lane] + c * table[outer + 2, lane]
                )
                table[_MIXED + row, lane] = (
                    table[slope, lane] * table[pulls + row, lane]
                    + table[slope + 6, lane] * table[pulls + 3 + row, lane]
                    + table[slope + 12, lane] * table[pulls + 6 + row, lane]
                )
        for i in range(3):
            a, b, c = bones[bone, i], bones[bone, 4 + i], bones[bone, 8 + i]
            pull = pulls + 3 * i
            for lane in range(LANES):
                table[_FOUND + slope + 6 * i, lane] += (
                    table[pull, lane] * table[image, lane]
                    + table[pull + 1, lane] * table[image + 1, lane]
                    + table[pull + 2, lane] * table[image + 2, lane]
                )
                table[_OF_PLACE + i, lane] += (
                    a * table[_MIXED, lane]
                    + b * table[_MIXED + 1, lane]
                    + c * table[_MIXED + 2, lane]
                )


@inner(fastmath=JOINED)
def _bend_back(table: Floats, bones: Floats) -> None:
    """Back through `_bend` and what follows it, to rest places and their tangents."""
    _images_back(table, _OF_PLACED, ONE, BENT_IMAGES)
    _turn_back(table, POSED, AFFINE, _OF_PLACED, _OF_PLACE)
    _bones_back(table, bones, BENT_IMAGES, _OF_JACOBIAN, BENT_TANGENTS)
    for i in range(3):
        _turn_back(table, POSED, AFFINE, _OF_JACOBIAN + 3 * i, _OF_BENT + 3 * i)
    for axis in range(3):
        for lane in range(LANES):
            table[_FOUND + MAPPED + 3 + axis, lane] = table[_OF_PLACE + axis, lane]
            for i in range(3):
                pull = table[_OF_BENT + 3 * i + axis, lane]
                table[_FOUND + MAPPED_TANGENTS + 6 * i + 3 + axis, lane] = pull


@inner(fastmath=JOINED)
def _undo_back(table: Floats, bones: Floats, still: bool) -> None:
    """Back through `_undo_canonical`."""
    if not still:
        for i in range(3):
            _turn_back(table, INVERSE, SQUARE, _OF_BENT + 3 * i, _OF_AWAY + 3 * i)
        for row in range(9):
            found = _FOUND + MAPPED_TANGENTS + row + row // 3 * 3
            for lane in range(LANES):
                table[found, lane] = table[_OF_AWAY + row, lane]
                table[_OF_AWAY + row, lane] = -table[_OF_AWAY + row, lane]
        _bones_back(table, bones, REST_IMAGES, _OF_AWAY, REST_TANGENTS)
    _turn_back(table, INVERSE, SQUARE, _OF_PLACE, _FOUND + MOVED)
    for axis in range(3):
        for lane in range(LANES):
            table[_FOUND + MAPPED + axis, lane] = table[_FOUND + MOVED + axis, lane]
    _images_back(table, _FOUND + MOVED, -ONE, REST_IMAGES)


@njit(cache=True, nogil=True)
def place_points_back(
    given: Floats, canonical: Floats, posed: Floats, of_placed: Floats, of_normals: Floats,
    still: bool, found: Floats,
) -> None:  # fmt: skip
    """Gradients of what is given of the points.

    Args:
        given, canonical, posed: as `place_points` was given them.
        of_placed: (3, n) gradients of the posed points.
        of_normals: (3, n) of the normals.
        still: take the tangents of rest places as they are.
        found: (NUM_VARIED, n) out.
    """
    table = np.zeros((_NUM_ROWS, LANES), np.float32)
    for start in range(0, given.shape[1], LANES):
        read(given, start, table, MOVED)
        read(of_placed, start, table, _OF_PLACED)
        read(of_normals, start, table, _OF_NORMALS)
        table[_FOUND : _FOUND + NUM_VARIED] = NONE
        place(table, canonical, posed)
        _normals_back(table)
        _bend_back(table, posed)
        _undo_back(table, canonical, still)
        write(table, _FOUND, start, found)
