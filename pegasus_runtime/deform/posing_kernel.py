"""Posing points in one pass over memory, many points to a vector register (numba).

Torch's dozen small operations for this are bound by memory: each reads and writes all points. Here
what a frame needs of 64 points lies together, one number after another with the points side by
side, and is read once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.deform.folding_kernel import LANES, Floats
from pegasus_runtime.numba_start import JOINED, inner, on_all_cores, prange

NUM_BONES = 6
REST_ROW = 4 * NUM_BONES
GRADIENT_ROW = REST_ROW + 12
NUM_SMALL_ROWS = GRADIENT_ROW + 3
"""rows behind the hidden layer: skinning and rest position with their tangents, gradient"""

Indices = NDArray[np.int64]


@inner(fastmath=JOINED)
def _carry_by_bones(rest: Floats, matrices: Floats, images: Floats) -> None:
    """Where each bone alone would take points rest (3, LANES): images (NUM_BONES, 3, LANES)."""
    for bone in range(NUM_BONES):
        for row in range(3):
            a, b = matrices[bone, 4 * row], matrices[bone, 4 * row + 1]
            c, d = matrices[bone, 4 * row + 2], matrices[bone, 4 * row + 3]
            for lane in range(LANES):
                turned = a * rest[0, lane] + b * rest[1, lane] + c * rest[2, lane]
                images[bone, row, lane] = turned + d


@inner(fastmath=JOINED)
def _blend_images(block: Floats, first: int, images: Floats, out: Floats) -> None:
    """Images of the bones, weighted by the rows first… of a block: out (3, LANES)."""
    for row in range(3):
        for lane in range(LANES):
            out[row, lane] = (
                block[first, lane] * images[0, row, lane]
                + block[first + 1, lane] * images[1, row, lane]
                + block[first + 2, lane] * images[2, row, lane]
                + block[first + 3, lane] * images[3, row, lane]
                + block[first + 4, lane] * images[4, row, lane]
                + block[first + 5, lane] * images[5, row, lane]
            )


@inner(fastmath=JOINED)
def _blend_linear(block: Floats, first: int, matrices: Floats, linear: Floats) -> None:
    """Linear parts of the bones, weighted by the rows first… of a block: linear (3, 3, LANES)."""
    for row in range(3):
        for column in range(3):
            entry = 4 * row + column
            a, b, c = matrices[0, entry], matrices[1, entry], matrices[2, entry]
            d, e, f = matrices[3, entry], matrices[4, entry], matrices[5, entry]
            for lane in range(LANES):
                linear[row, column, lane] = (
                    block[first, lane] * a
                    + block[first + 1, lane] * b
                    + block[first + 2, lane] * c
                    + block[first + 3, lane] * d
                    + block[first + 4, lane] * e
                    + block[first + 5, lane] * f
                )


@inner(fastmath=JOINED)
def _add_turned(linear: Floats, vectors: Floats, out: Floats) -> None:
    """Add linear (3, 3, LANES) times vectors (3, LANES) to out (3, LANES)."""
    for row in range(3):
        for lane in range(LANES):
            out[row, lane] += (
                linear[row, 0, lane] * vectors[0, lane]
                + linear[row, 1, lane] * vectors[1, lane]
                + linear[row, 2, lane] * vectors[2, lane]
            )


@inner(error_model="numpy", fastmath=JOINED)
def _carry_normals(t: Floats, block: Floats, first: int, out: Floats) -> None:
    """As `deform.surface.carry_normals`; t (3, 3, LANES), t[i] = ∂x_d/∂p'ᵢ; out (3, LANES)."""
    for lane in range(LANES):
        a, b, c = t[0, 0, lane], t[0, 1, lane], t[0, 2, lane]
        d, e, f = t[1, 0, lane], t[1, 1, lane], t[1, 2, lane]
        g, h, i = t[2, 0, lane], t[2, 1, lane], t[2, 2, lane]
        u, v, w = block[first, lane], block[first + 1, lane], block[first + 2, lane]
        p, q, r = e * i - f * h, f * g - d * i, d * h - e * g
        side = np.float32(-1.0) if a * p + b * q + c * r < 0 else np.float32(1.0)
        x = side * (u * p + v * (h * c - i * b) + w * (b * f - c * e))
        y = side * (u * q + v * (i * a - g * c) + w * (c * d - a * f))
        z = side * (u * r + v * (g * b - h * a) + w * (a * e - b * d))
        length = max(np.sqrt(x * x + y * y + z * z), np.float32(1e-12))
        out[0, lane], out[1, lane], out[2, lane] = x / length, y / length, z / length


@inner()
def _displace(displacements: Floats, nearest: Indices, start: int, rest: Floats) -> None:
    for lane in range(min(LANES, len(nearest) - start)):
        for axis in range(3):
            rest[axis, lane] += displacements[nearest[start + lane], axis]


@inner(fastmath=JOINED)
def _combine(folds: Floats, number: int, shares: Floats, block: Floats, combined: Floats) -> None:
    """Rest position and its tangents in rows… of a block, moved by folds (R, …): (12, LANES)."""
    for row in range(12):
        for lane in range(LANES):
            combined[row, lane] = block[row, lane]
    for fold in range(len(shares)):
        share, moved = shares[fold], folds[fold, number]
        for row in range(12):
            for lane in range(LANES):
                combined[row, lane] += share * moved[row, lane]


@on_all_cores()
def pose_folded(
    packed: Floats, folds: Floats, shares: Floats, bias: Floats, matrices: Floats,
    displacements: Floats, nearest: Indices, num_workers: int, points: Floats, normals: Floats,
) -> None:  # fmt: skip
    """Posed points and unit normals; `deform.surface.pose_surface` has the same formulas.

    Args:
        packed: (blocks, D + NUM_SMALL_ROWS, LANES) as `folding.PackedRows` lays them.
        folds: (at least R, blocks, 12, LANES) as `folding.FoldedMaps` keeps them.
        shares: (R,) of each of them in what expression and pose change.
        bias: (3,) that they add to every point.
        matrices: (B, 12) upper three rows of the bones' transforms.
        displacements: (V, 3) by the head's shape; V = 0 for none.
        nearest: (N,) vertex of each point, empty where V = 0.
        num_workers: into how many shares the blocks are cut.
        points: (N, 3) out.
        normals: (N, 3) out.
    """
    skinning = packed.shape[1] - NUM_SMALL_ROWS
    rest_row = skinning + REST_ROW
    for worker in prange(num_workers):
        combined = np.empty((12, LANES), np.float32)
        images = np.empty((NUM_BONES, 3, LANES), np.float32)
        linear = np.empty((3, 3, LANES), np.float32)
        jacobian = np.empty((3, 3, LANES), np.float32)
        posed, turned = np.empty((3, LANES), np.float32), np.empty((3, LANES), np.float32)
        for number in range(worker, len(packed), num_workers):
            block = packed[number]
            start = number * LANES
            _combine(folds, number, shares, block[rest_row : rest_row + 12], combined)
            rest = combined[:3]
            for axis in range(3):
                for lane in range(LANES):
                    rest[axis, lane] += bias[axis]
            if len(displacements):
                _displace(displacements, nearest, start, rest)
            _carry_by_bones(rest, matrices, images)
            _blend_images(block, skinning, images, posed)
            _blend_linear(block, skinning, matrices, linear)
            for i in range(3):
                # What the direction changes in the weights, and in the point that they carry.
                _blend_images(block, skinning + (i + 1) * NUM_BONES, images, jacobian[i])
                _add_turned(linear, combined[3 + 3 * i : 6 + 3 * i], jacobian[i])
            _carry_normals(jacobian, block, skinning + GRADIENT_ROW, turned)
            for lane in range(min(LANES, len(points) - start)):
                for axis in range(3):
                    points[start + lane, axis] = posed[axis, lane]
                    normals[start + lane, axis] = turned[axis, lane]
