"""Posing and projecting surfels in one pass each (numba); `pose` has the same formulas in torch.

Torch's forty small operations each read and write all surfels. Here a surfel's numbers are read
once and its few results written once: 100,000 of them take 3 ms on two cores instead of 60.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import FASTMATH, device_function, parallel_kernel, prange
from pegasus_runtime.cpu.simd import NUM_LANES, load, splat, store

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]
NUM_MOVING = np.uint64(NUM_LANES)
"""Numbers of a surfel that states add to: offset, colour's and opacity's logits; one is not used,
so that they are eight."""
OPACITY = 6
_NONE, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_TINY = np.float32(1e-24)
"""Length² of an edge: a larger one bends the frames of small triangles, and with none a triangle
without an area makes NaN."""


@parallel_kernel(fastmath=FASTMATH, error_model="numpy")
def make_triangle_frames(
    vertices: Floats, faces: Indices, num_workers: int, frames: Floats
) -> None:
    """As `binding.triangle_frames`: vertices (V, 3) and faces (F, 3) to frames (F, 3, 3)."""
    share = (len(faces) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        for face in range(worker * share, min((worker + 1) * share, len(faces))):
            a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
            x1 = vertices[b, 0] - vertices[a, 0]
            y1 = vertices[b, 1] - vertices[a, 1]
            z1 = vertices[b, 2] - vertices[a, 2]
            x2 = vertices[c, 0] - vertices[a, 0]
            y2 = vertices[c, 1] - vertices[a, 1]
            z2 = vertices[c, 2] - vertices[a, 2]
            nx, ny, nz = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
            along = _ONE / np.sqrt(max(x1 * x1 + y1 * y1 + z1 * z1, _TINY))
            upright = _ONE / np.sqrt(max(nx * nx + ny * ny + nz * nz, _TINY))
            x1, y1, z1 = x1 * along, y1 * along, z1 * along
            nx, ny, nz = nx * upright, ny * upright, nz * upright
            frames[face, 0, 0], frames[face, 1, 0], frames[face, 2, 0] = x1, y1, z1
            frames[face, 0, 1] = ny * z1 - nz * y1
            frames[face, 1, 1] = nz * x1 - nx * z1
            frames[face, 2, 1] = nx * y1 - ny * x1
            frames[face, 0, 2], frames[face, 1, 2], frames[face, 2, 2] = nx, ny, nz


@device_function(fastmath=FASTMATH, error_model="numpy")
def _sigmoid(value: np.float32) -> np.float32:
    return _ONE / (_ONE + np.float32(math.exp(-value)))


@device_function(fastmath=FASTMATH, error_model="numpy")
def _add_states(
    moving: Floats, residuals: Floats, states: Floats, surfel: np.uint64, now: Floats
) -> None:
    """What a surfel's numbers are in these states, into ``now`` (NUM_MOVING,)."""
    num_states = np.uint64(len(states))
    total, residual = load(moving, surfel * NUM_MOVING), surfel * num_states * NUM_MOVING
    for state in range(num_states):
        total = total + splat(states[state]) * load(residuals, residual)
        residual += NUM_MOVING
    store(now, np.uint64(0), total)


@device_function(fastmath=FASTMATH, error_model="numpy")
def _turned(
    frames: Floats, face: np.int32, row: int, axes: Floats, surfel: np.uint64, column: int
) -> np.float32:
    """A row of a triangle's frame times a column of a surfel's axes."""
    p, q, r = frames[face, row, 0], frames[face, row, 1], frames[face, row, 2]
    x, y, z = axes[surfel, 0, column], axes[surfel, 1, column], axes[surfel, 2, column]
    return np.float32(p * x + q * y + r * z)


@parallel_kernel(fastmath=FASTMATH, error_model="numpy")
def pose_surfels(
    active: Indices, triangle: Indices, barycentric: Floats, moving: Floats, axes: Floats,
    presence: Floats, residuals: Floats, states: Floats, vertices: Floats, faces: Indices,
    frames: Floats, num_workers: int, points: Floats, tangents: Floats, normals: Floats,
    albedo: Floats, opacities: Floats,
) -> None:  # fmt: skip
    """Surfels on a posed head.

    Args:
        active: (M,) which surfels.
        triangle: (N,)
        barycentric: (N, 3)
        moving: (N · NUM_MOVING,) of what is worn: offset, logits of colour and opacity.
        axes: (N, 3, 3), columns: both tangents times their radii, and the unit normal, all in the
            triangle's frame.
        presence: (N,)
        residuals: (N · R · NUM_MOVING,) what states add to them.
        states: (R,)
        vertices: (V, 3) of the posed head.
        faces: (F, 3)
        frames: (F, 3, 3) of the triangles.
        num_workers: into how many shares the surfels are cut.
        points: (M, 3) out.
        tangents: (M, 3, 2) out, times the radii.
        normals: (M, 3) out.
        albedo: (M, 3) out.
        opacities: (M,) out.
    """
    share = (len(active) + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        now = np.empty(NUM_LANES, np.float32)
        for place in range(worker * share, min((worker + 1) * share, len(active))):
            surfel = np.uint64(active[place])
            _add_states(moving, residuals, states, surfel, now)
            x, y, z = now[0], now[1], now[2]
            face = triangle[surfel]
            a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
            u, v, w = barycentric[surfel, 0], barycentric[surfel, 1], barycentric[surfel, 2]
            for row in range(3):
                p, q, r = frames[face, row, 0], frames[face, row, 1], frames[face, row, 2]
                foot = u * vertices[a, row] + v * vertices[b, row] + w * vertices[c, row]
                points[place, row] = foot + (p * x + q * y + r * z)
                tangents[place, row, 0] = _turned(frames, face, row, axes, surfel, 0)
                tangents[place, row, 1] = _turned(frames, face, row, axes, surfel, 1)
                normals[place, row] = _turned(frames, face, row, axes, surfel, 2)
                albedo[place, row] = _sigmoid(now[3 + row])
            opacities[place] = presence[surfel] * _sigmoid(now[OPACITY])


@parallel_kernel(fastmath=FASTMATH, error_model="numpy")
def project_surfels(
    points: Floats, tangents: Floats, rotation: Floats, translation: Floats, intrinsics: Floats,
    pixels: np.float32, low_pass: np.float32, near: np.float32, factor: np.float32,
    num_workers: int, projected: Floats, conics: Floats,
) -> None:  # fmt: skip
    """Ellipses of surfels in a picture.

    Args:
        points: (M, 3)
        tangents: (M, 3, 2), times the radii.
        rotation: (3, 3), applied to rows.
        translation: (3,)
        intrinsics: (4, 4)
        pixels: half the picture's shorter side.
        low_pass: variance in square pixels that is added.
        near: least depth.
        factor: of all radii.
        num_workers: into how many shares the surfels are cut.
        projected: (M, 3) out.
        conics: (M, 3) out.
    """
    share = (len(points) + num_workers - 1) // num_workers
    r, t = rotation, translation
    focal_x, focal_y = intrinsics[0, 0], intrinsics[1, 1]
    centre_x, centre_y = intrinsics[0, 2], intrinsics[1, 2]
    for worker in prange(num_workers):
        for place in range(worker * share, min((worker + 1) * share, len(points))):
            a, b, c = points[place, 0], points[place, 1], points[place, 2]
            x = a * r[0, 0] + b * r[1, 0] + c * r[2, 0] + t[0]
            y = a * r[0, 1] + b * r[1, 1] + c * r[2, 1] + t[1]
            depth = a * r[0, 2] + b * r[1, 2] + c * r[2, 2] + t[2]
            z = max(depth, near)
            x, y = x / z, y / z
            scale_x, scale_y = -focal_x * pixels * factor / z, -focal_y * pixels * factor / z
            xx, xy, yy = low_pass, _NONE, low_pass
            for axis in range(2):
                d, e = tangents[place, 0, axis], tangents[place, 1, axis]
                f = tangents[place, 2, axis]
                forward = d * r[0, 2] + e * r[1, 2] + f * r[2, 2]
                across = scale_x * (d * r[0, 0] + e * r[1, 0] + f * r[2, 0] - x * forward)
                down = scale_y * (d * r[0, 1] + e * r[1, 1] + f * r[2, 1] - y * forward)
                xx, xy, yy = xx + across * across, xy + across * down, yy + down * down
            shrink = _ONE / (xx * yy - xy * xy)
            conics[place, 0], conics[place, 1] = yy * shrink, -xy * shrink
            conics[place, 2] = xx * shrink
            projected[place, 0] = x * focal_x + centre_x
            projected[place, 1] = y * focal_y + centre_y
            projected[place, 2] = depth
