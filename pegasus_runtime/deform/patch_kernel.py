"""Points of one latent code from p' to rows ready to be posed, patch by patch (numba)."""

from __future__ import annotations

import numpy as np

from pegasus_runtime.avatar.patch_kernel import (
    back_through_encoding,
    deform_patch,
    geometry_patch,
    lay_in_rows,
    place_patch,
    read_hidden,
)
from pegasus_runtime.avatar.units_kernel import WIDE, Floats, Indices
from pegasus_runtime.deform.folding_kernel import LANES
from pegasus_runtime.deform.posing_kernel import GRADIENT_ROW, NUM_BONES, NUM_SMALL_ROWS, REST_ROW
from pegasus_runtime.numba_start import JOINED, inner, njit

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@njit(cache=True, nogil=True)
def move_points(
    points: Floats, maps: Floats, biases: Floats, offset: Floats, offset_bias: Floats,
    values: Floats, slopes: Floats, units: Indices, part: Floats, rows: Floats, moved: Floats,
) -> None:  # fmt: skip
    """p' (n, 3) of stored points (n, 3).

    Args as for `read_hidden`, of a map to the offset, and: rows scratch (2, 4, WIDE), moved out.
    """
    for start in range(0, len(points), WIDE):
        lay_in_rows(points, start, rows[0])
        read_hidden(
            rows[0], maps, biases, offset, offset_bias, values, slopes, units, part, rows[1]
        )
        for lane in range(min(WIDE, len(points) - start)):
            for axis in range(3):
                moved[start + lane, axis] = points[start + lane, axis] + rows[1, axis, lane]


@njit(cache=True, nogil=True)
def place_points(
    points: Floats, maps: Floats, biases: Floats, reading: Floats, reading_bias: Floats,
    skinning: Floats, skinning_bias: Floats, values: Floats, slopes: Floats, units: Indices,
    part: Floats, rows: Floats, results: Floats,
) -> None:  # fmt: skip
    """Where points p' (n, 3) go: six numbers that are read, and the weights of six bones.

    Args as for `place_patch`, and: rows scratch (20, WIDE), results (n, 12) out.
    """
    for start in range(0, len(points), WIDE):
        lay_in_rows(points, start, rows[:4])
        place_patch(
            rows[:4], maps, biases, reading, reading_bias, skinning, skinning_bias, values, slopes,
            units, part, rows[4:12], rows[12:],
        )  # fmt: skip
        for lane in range(min(WIDE, len(points) - start)):
            for number in range(6):
                results[start + lane, number] = rows[4 + number, lane]
                results[start + lane, 6 + number] = rows[12 + number, lane]


@njit(cache=True, nogil=True)
def deform_points(
    points: Floats, maps: Floats, biases: Floats, surface: Floats, surface_bias: Floats,
    skinning: Floats, skinning_bias: Floats, matrices: Floats, values: Floats, slopes: Floats,
    tangents: Floats, units: Indices, part: Floats, rows: Floats, packed: Floats,
    packed_slopes: Floats, places: Floats,
) -> None:  # fmt: skip
    """What posing needs of points p' (n, 3).

    Args:
        points: (n, 3)
        maps, …, part: as for `deform_patch`.
        matrices: (6, 12) upper three rows of the canonical transforms.
        rows: scratch (49, WIDE).
        packed: (blocks, D + NUM_SMALL_ROWS, LANES) out, but for the gradient; see `PackedRows`.
        packed_slopes: (blocks, 3 D, LANES) out.
        places: (n, 3) out, on the canonical head.
    """
    width = packed_slopes.shape[1] // 3
    every = np.arange(9)
    bent, slants = np.empty((3, 4, WIDE), np.float32), np.empty((3, 8, WIDE), np.float32)
    onto, weights, rest, tilted = rows[4:8], rows[8:16], rows[16:19], rows[19:28]
    blended, inverse = rows[28:40], rows[40:49]
    for start in range(0, len(points), WIDE):
        lay_in_rows(points, start, rows[:4])
        left, at = deform_patch(
            rows[:4], maps, biases, surface, surface_bias, skinning, skinning_bias, values, slopes,
            tangents, units, part, onto, bent, weights, slants,
        )  # fmt: skip
        for row in range(3):
            for lane in range(WIDE):
                onto[row, lane] += rows[row, lane]
        _blend(weights, matrices, blended)
        _invert(blended, inverse)
        _undo(onto, blended, inverse, rest)
        for axis in range(3):
            _blend(slants[axis], matrices, blended)
            _undo_tangent(axis, bent[axis], blended, inverse, rest, tilted[3 * axis : 3 * axis + 3])
        first = start // LANES
        store_rows(values[at], units[at], left, 0, first, packed)
        store_rows(weights, every, NUM_BONES, width, first, packed)
        for axis in range(3):
            store_rows(tangents[at, axis], units[at], left, axis * width, first, packed_slopes)
            slant_row = width + NUM_BONES * (axis + 1)
            store_rows(slants[axis], every, NUM_BONES, slant_row, first, packed)
        store_rows(rest, every, 3, width + REST_ROW, first, packed)
        store_rows(tilted, every, 9, width + REST_ROW + 3, first, packed)
        for lane in range(min(WIDE, len(points) - start)):
            for axis in range(3):
                places[start + lane, axis] = onto[axis, lane]


@njit(cache=True, nogil=True)
def find_geometry(
    encoded: Floats, num_frequencies: int, skip: int, widths: Indices, maps: Floats,
    turned: Floats, biases: Floats, output: Floats, output_bias: Floats, reading: Floats,
    reading_bias: Floats, values: Floats, slopes: Floats, units: Indices, counts: Indices,
    part: Floats, rows: Floats, packed: Floats, found: Floats,
) -> None:  # fmt: skip
    """Distance, colours, part and gradient of encoded points (n, C).

    Args:
        encoded: (n, C)
        num_frequencies: of the encoding.
        skip, …, part: as for `geometry_patch`.
        rows: scratch (2 C in fours + 12, WIDE).
        packed: as for `deform_points`; the gradient goes there.
        found: (n, 5) out: distance, logits of the three colours and of the part.
    """
    count, num_local = encoded.shape
    padded = (len(rows) - 12) // 2
    local, gradient = rows[:padded], rows[padded : 2 * padded]
    values_out, region, slope = (
        rows[2 * padded : 2 * padded + 4], rows[2 * padded + 4 : 2 * padded + 8],
        rows[2 * padded + 8 : 2 * padded + 12],
    )  # fmt: skip
    every = np.arange(3)
    gradient_row = packed.shape[1] - NUM_SMALL_ROWS + GRADIENT_ROW
    for start in range(0, count, WIDE):
        lay_in_rows(encoded, start, local)
        geometry_patch(
            local, num_local, skip, widths, maps, turned, biases, output, output_bias, reading,
            reading_bias, values, slopes, units, counts, part, values_out, region, gradient,
        )  # fmt: skip
        back_through_encoding(gradient, local, num_frequencies, slope)
        store_rows(slope, every, 3, gradient_row, start // LANES, packed)
        for lane in range(min(WIDE, count - start)):
            for row in range(4):
                found[start + lane, row] = values_out[row, lane]
            found[start + lane, 4] = region[0, lane]


@inner()
def store_rows(
    source: Floats, targets: Indices, count: int, first_row: int, first_block: int, packed: Floats
) -> None:
    """Rows (count, WIDE) to rows first_row + targets of the blocks of a patch."""
    for block in range(min(WIDE // LANES, len(packed) - first_block)):
        target = packed[first_block + block]
        for row in range(count):
            for lane in range(LANES):
                target[first_row + targets[row], lane] = source[row, block * LANES + lane]


@inner(fastmath=JOINED)
def _blend(weights: Floats, matrices: Floats, blended: Floats) -> None:
    """Bones (6, 12) blended by weights (6…, WIDE): (12, WIDE)."""
    for entry in range(12):
        for lane in range(WIDE):
            blended[entry, lane] = _ZERO
        for bone in range(NUM_BONES):
            share = matrices[bone, entry]
            for lane in range(WIDE):
                blended[entry, lane] += weights[bone, lane] * share


@inner(fastmath=JOINED, error_model="numpy")
def _invert(blended: Floats, inverse: Floats) -> None:
    """Inverses (9, WIDE) of the linear parts of (12, WIDE)."""
    for lane in range(WIDE):
        a, b, c = blended[0, lane], blended[1, lane], blended[2, lane]
        d, e, f = blended[4, lane], blended[5, lane], blended[6, lane]
        g, h, i = blended[8, lane], blended[9, lane], blended[10, lane]
        p, q, r = e * i - f * h, f * g - d * i, d * h - e * g
        scale = _ONE / (a * p + b * q + c * r)
        inverse[0, lane], inverse[3, lane], inverse[6, lane] = p * scale, q * scale, r * scale
        inverse[1, lane], inverse[4, lane], inverse[7, lane] = (
            (c * h - b * i) * scale, (a * i - c * g) * scale, (b * g - a * h) * scale,
        )  # fmt: skip
        inverse[2, lane], inverse[5, lane], inverse[8, lane] = (
            (b * f - c * e) * scale, (c * d - a * f) * scale, (a * e - b * d) * scale,
        )  # fmt: skip


@inner(fastmath=JOINED)
def _undo(places: Floats, blended: Floats, inverse: Floats, rest: Floats) -> None:
    """M⁻¹ (y − shift) of places y (3, WIDE)."""
    for lane in range(WIDE):
        x = places[0, lane] - blended[3, lane]
        y = places[1, lane] - blended[7, lane]
        z = places[2, lane] - blended[11, lane]
        for row in range(3):
            rest[row, lane] = (
                inverse[3 * row, lane] * x
                + inverse[3 * row + 1, lane] * y
                + inverse[3 * row + 2, lane] * z
            )


@inner(fastmath=JOINED)
def _undo_tangent(
    axis: int, bent: Floats, drift: Floats, inverse: Floats, rest: Floats, tilted: Floats
) -> None:
    """M⁻¹ (t − Σ ∂w M rest) of the tangent t = e + bent (3, WIDE) along an axis."""
    u, v, w = np.float32(axis == 0), np.float32(axis == 1), np.float32(axis == 2)
    for lane in range(WIDE):
        a, b, c = rest[0, lane], rest[1, lane], rest[2, lane]
        x = (
            u
            + bent[0, lane]
            - (drift[0, lane] * a + drift[1, lane] * b + drift[2, lane] * c + drift[3, lane])
        )
        y = (
            v
            + bent[1, lane]
            - (drift[4, lane] * a + drift[5, lane] * b + drift[6, lane] * c + drift[7, lane])
        )
        z = (
            w
            + bent[2, lane]
            - (drift[8, lane] * a + drift[9, lane] * b + drift[10, lane] * c + drift[11, lane])
        )
        for row in range(3):
            tilted[row, lane] = (
                inverse[3 * row, lane] * x
                + inverse[3 * row + 1, lane] * y
                + inverse[3 * row + 2, lane] * z
            )
