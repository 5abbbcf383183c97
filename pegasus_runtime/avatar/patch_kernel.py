"""The deformer and the geometry network over a patch of points (numba)."""

from __future__ import annotations

import numpy as np

from pegasus_runtime.avatar.units_kernel import (
    WIDE,
    Floats,
    Indices,
    clear,
    copy_rows,
    count_up,
    gather,
    gather_columns,
    in_fours,
    multiply,
    next_layer,
    next_tangents,
    scale_rows,
    start_sums,
)
from pegasus_runtime.numba_start import JOINED, inner

_ZERO = np.float32(0.0)


@inner()
def lay_in_rows(source: Floats, start: int, rows: Floats) -> None:
    """Columns of points start… of (n, C) as rows (C in fours, WIDE); the last point fills up."""
    count, width = source.shape
    for column in range(width):
        for lane in range(WIDE):
            rows[column, lane] = source[min(start + lane, count - 1), column]
    clear(in_fours(width) - width, rows[width:])


@inner()
def read_out(
    weight: Floats, bias: Floats, units: Indices, num_units: int, values: Floats, part: Floats,
    results: Floats,
) -> None:  # fmt: skip
    """A map (M, D), M in fours, of the units that are left, with no softplus: results (M, WIDE)."""
    rows = len(bias)
    gather_columns(weight, rows, units, num_units, part)
    start_sums(bias, rows, results)
    multiply(part, rows, in_fours(num_units), values, results)


@inner()
def read_hidden(
    points: Floats, maps: Floats, biases: Floats, reading: Floats, reading_bias: Floats,
    values: Floats, slopes: Floats, units: Indices, part: Floats, results: Floats,
) -> tuple[int, int]:  # fmt: skip
    """What a map reads from the deformer's hidden layer over a patch.

    Args:
        points: (4, WIDE), the last row 0.
        maps: (layers, M, M) of the deformer, the last one for the skinning.
        biases: (layers, M)
        reading: (R, M), R in fours.
        reading_bias: (R,)
        values: scratch (3, M, WIDE).
        slopes: scratch (M, WIDE).
        units: scratch (2, M).
        part: scratch for a matrix.
        results: (R, WIDE) out.

    Returns:
        how many units of the layer are left, and a place p: they are in ``values[p]``, and
        ``units[p]`` says which they are.
    """
    num_rows = biases.shape[1]
    count, old, new = 3, 0, 1
    count_up(0, 3, units[old], 0)
    copy_rows(points, 0, 4, values[old], 0)
    for layer in range(len(maps) - 1):
        count = next_layer(
            maps[layer], biases[layer], num_rows, units[old], count, values[old], part, values[2],
            units[new], values[new], slopes,
        )  # fmt: skip
        old, new = new, old
    read_out(reading, reading_bias, units[old], count, values[old], part, results)
    return count, old


@inner()
def place_patch(
    points: Floats, maps: Floats, biases: Floats, reading: Floats, reading_bias: Floats,
    skinning: Floats, skinning_bias: Floats, values: Floats, slopes: Floats, units: Indices,
    part: Floats, results: Floats, weights: Floats,
) -> None:  # fmt: skip
    """What a map reads from the hidden layer over a patch, and the weights of the bones.

    Args as for `read_hidden`, and skinning, skinning_bias and weights as for `deform_patch`.
    """
    count, old = read_hidden(
        points, maps, biases, reading, reading_bias, values, slopes, units, part, results
    )
    last, new = len(maps) - 1, 1 - old
    found = next_layer(
        maps[last], biases[last], biases.shape[1], units[old], count, values[old], part, values[2],
        units[new], values[new], slopes,
    )  # fmt: skip
    read_out(skinning, skinning_bias, units[new], found, values[new], part, weights)
    _soften(weights)


@inner()
def deform_patch(
    points: Floats, maps: Floats, biases: Floats, surface: Floats, surface_bias: Floats,
    skinning: Floats, skinning_bias: Floats, values: Floats, slopes: Floats, tangents: Floats,
    units: Indices, part: Floats, onto: Floats, bent: Floats, weights: Floats, slants: Floats,
) -> tuple[int, int]:  # fmt: skip
    """What the deformer says of a patch.

    Args:
        points: (4, WIDE), the last row 0.
        maps, biases, values, slopes, units, part: as for `read_hidden`.
        surface: (4, M) from the hidden layer onto the head's surface.
        surface_bias: (4,)
        skinning: (8, M) to the weights' logits.
        skinning_bias: (8,)
        tangents: scratch (2, 3, M, WIDE).
        onto: (4, WIDE) out, offset onto the head's surface.
        bent: (3, 4, WIDE) out, its tangents.
        weights: (8, WIDE) out, of the six bones.
        slants: (3, 8, WIDE) out, their tangents.

    Returns:
        how many units of the hidden layer are left, and a place p: they are in ``values[p]``, their
        tangents in ``tangents[p]``, and ``units[p]`` says which they are.
    """
    num_rows = biases.shape[1]
    count_up(0, 3, units[0], 0)
    copy_rows(points, 0, 4, values[0], 0)
    for axis in range(3):
        for row in range(4):
            for lane in range(WIDE):
                tangents[0, axis, row, lane] = np.float32(row == axis)
    count, left, old, new = 3, 0, 0, 1
    for layer in range(len(maps)):
        if layer == len(maps) - 1:
            left = count
            read_out(surface, surface_bias, units[old], count, values[old], part, onto)
            for axis in range(3):
                clear(4, bent[axis])
                multiply(part, 4, in_fours(count), tangents[old, axis], bent[axis])
        found = next_layer(
            maps[layer], biases[layer], num_rows, units[old], count, values[old], part, values[2],
            units[new], values[new], slopes,
        )  # fmt: skip
        next_tangents(
            maps[layer], units[new], found, units[old], count, slopes, tangents[old], part,
            tangents[new],
        )  # fmt: skip
        count, old, new = found, new, old
    read_out(skinning, skinning_bias, units[old], count, values[old], part, weights)
    for axis in range(3):
        clear(8, slants[axis])
        multiply(part, 8, in_fours(count), tangents[old, axis], slants[axis])
    _soften(weights)
    _soften_tangents(weights, slants)
    return left, new


@inner(fastmath=JOINED, error_model="numpy")
def _soften(weights: Floats) -> None:
    """Softmax of six logits (8, WIDE) in place."""
    for lane in range(WIDE):
        highest = weights[0, lane]
        for bone in range(1, 6):
            highest = max(highest, weights[bone, lane])
        total = _ZERO
        for bone in range(6):
            weights[bone, lane] = np.exp(weights[bone, lane] - highest)
            total += weights[bone, lane]
        for bone in range(6):
            weights[bone, lane] /= total


@inner(fastmath=JOINED, error_model="numpy")
def _soften_tangents(weights: Floats, slants: Floats) -> None:
    """Tangents (3, 8, WIDE) of six logits to those of their softmax (8, WIDE), in place."""
    for axis in range(3):
        for lane in range(WIDE):
            mean = _ZERO
            for bone in range(6):
                mean += weights[bone, lane] * slants[axis, bone, lane]
            for bone in range(6):
                slants[axis, bone, lane] = weights[bone, lane] * (slants[axis, bone, lane] - mean)


@inner()
def geometry_patch(
    local: Floats, num_local: int, skip: int, widths: Indices, maps: Floats, turned: Floats,
    biases: Floats, output: Floats, output_bias: Floats, reading: Floats, reading_bias: Floats,
    values: Floats, slopes: Floats, units: Indices, counts: Indices, part: Floats,
    found: Floats, region: Floats, gradient: Floats,
) -> None:  # fmt: skip
    """What the geometry network says of a patch.

    Args:
        local: (C in fours, WIDE) encoded points.
        num_local: C.
        skip: number of the map that reads ``concat(previous, local)``; 0 for none.
        widths: (layers,) units of each.
        maps: (layers, M, K)
        turned: (layers, K, M) the same, transposed.
        biases: (layers, M), of units that are none so low that they are off.
        output: (4, M) to distance and colours.
        output_bias: (4,)
        reading: (4, K), row 0 from what the last map reads to the part's logit.
        reading_bias: (4,)
        values: scratch (3, K, WIDE).
        slopes: scratch (layers, M, WIDE).
        units: scratch (layers + 1, K).
        counts: scratch (layers + 1,).
        part: scratch for a matrix.
        found: (4, WIDE) out, distance and logits of the colours.
        region: (4, WIDE) out, row 0 the part's logit.
        gradient: (C in fours, WIDE) out, of the distance along the encoding.
    """
    layers = len(maps)
    at = _go_forward(
        local, num_local, skip, widths, maps, biases, reading, reading_bias, values, slopes, units,
        counts, part, region,
    )  # fmt: skip
    last, count = units[layers], int(counts[layers])
    read_out(output, output_bias, last, count, values[at], part, found)
    for row in range(in_fours(count)):
        share = output[0, last[row]] if row < count else _ZERO
        for lane in range(WIDE):
            values[at, row, lane] = share * slopes[layers - 1, row, lane]
    _go_back(num_local, skip, turned, values, at, slopes, units, counts, part, gradient)


@inner()
def _go_forward(
    local: Floats, num_local: int, skip: int, widths: Indices, maps: Floats, biases: Floats,
    reading: Floats, reading_bias: Floats, values: Floats, slopes: Floats, units: Indices,
    counts: Indices, part: Floats, region: Floats,
) -> int:  # fmt: skip
    """From the encoding to the last layer; returns a place p: its values are in ``values[p]``."""
    layers, num_rows = biases.shape
    # Units and counts are kept one place on: those of place 0 are the inputs.
    counts[0] = num_local
    old, new = 0, 1
    count_up(0, num_local, units[0], 0)
    copy_rows(local, 0, len(local), values[old], 0)
    for layer in range(layers):
        reads = int(counts[layer])
        if layer and layer == skip:
            reads = _read_again(
                local, num_local, widths[layer - 1], reads, units[layer], values[old]
            )
        if layer == layers - 1:
            read_out(reading, reading_bias, units[layer], reads, values[old], part, region)
        counts[layer + 1] = next_layer(
            maps[layer], biases[layer], num_rows, units[layer], reads, values[old], part, values[2],
            units[layer + 1], values[new], slopes[layer],
        )  # fmt: skip
        old, new = new, old
    return old


@inner()
def _go_back(
    num_local: int, skip: int, turned: Floats, values: Floats, old: int, slopes: Floats,
    units: Indices, counts: Indices, part: Floats, gradient: Floats,
) -> None:  # fmt: skip
    """From the derivatives of the last layer, in ``values[old]``, to those of the encoding."""
    layers, new = len(turned), 1 - old
    clear(len(gradient), gradient)
    for layer in range(layers - 1, 0, -1):
        before, count = int(counts[layer]), int(counts[layer + 1])
        reads = before + num_local if layer == skip else before
        gather(turned[layer], units[layer], reads, units[layer + 1], count, part)
        back = values[new]
        clear(in_fours(reads), back)
        multiply(part, in_fours(reads), in_fours(count), values[old], back)
        if layer == skip:
            copy_rows(back, before, num_local, gradient, 0)
        clear(in_fours(before) - before, back[before:])
        scale_rows(in_fours(before), slopes[layer - 1], back)
        old, new = new, old
    count = int(counts[1])
    gather(turned[0], units[0], num_local, units[1], count, part)
    multiply(part, in_fours(num_local), in_fours(count), values[old], gradient)


@inner()
def _read_again(
    local: Floats, num_local: int, width: int, count: int, units: Indices, values: Floats
) -> int:
    """Put the inputs behind the units that are left before a map; returns how many it reads."""
    copy_rows(local, 0, num_local, values, count)
    count_up(width, num_local, units, count)
    total = count + num_local
    clear(in_fours(total) - total, values[total:])
    return total


@inner(fastmath=JOINED)
def back_through_encoding(
    gradient: Floats, local: Floats, num_frequencies: int, slope: Floats
) -> None:
    """As `encoding.through_encoding`; slope (3, WIDE) out."""
    for axis in range(3):
        for lane in range(WIDE):
            slope[axis, lane] = gradient[axis, lane]
        scale = np.float32(1.0)
        for number in range(num_frequencies):
            sine = 3 + 6 * number + axis
            cosine = sine + 3
            for lane in range(WIDE):
                slope[axis, lane] += scale * (
                    gradient[sine, lane] * local[cosine, lane]
                    - gradient[cosine, lane] * local[sine, lane]
                )
            scale *= np.float32(2.0)
