"""Putting attributes on surfels in one pass (numba).

`Wardrobe.dressed`, then `rotation_matrices`, are the same formulas in torch.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import FASTMATH, device_function, parallel_kernel, prange
from pegasus_runtime.cpu.surfel_pose import Floats, Indices

Flags = NDArray[np.bool_]
# What a difference changes: offset, logits of colour and opacity, axis-angle, logarithms of radii.
NUM_CHANGED = 12
ROTATION, LOG_RADIUS = 7, 10
_ONE, _HALF = np.float32(1.0), np.float32(0.5)
_SMALL = np.float32(1e-8)
"""As in `joints`."""


@device_function(fastmath=FASTMATH, error_model="numpy")
def _write_axes(changed: Floats, surfel: int, axes: Floats) -> None:
    """The columns of a turn (Rodrigues' formula), the first two times their radii."""
    x, y, z = changed[ROTATION], changed[ROTATION + 1], changed[ROTATION + 2]
    squared = x * x + y * y + z * z
    sine, versine = _ONE - squared / np.float32(6.0), _HALF - squared / np.float32(24.0)
    if squared >= _SMALL:
        angle = np.float32(math.sqrt(squared))
        half_sine = np.float32(math.sin(angle * _HALF)) / angle
        sine = np.float32(math.sin(angle)) / angle
        versine = np.float32(2.0) * half_sine * half_sine
    first = np.float32(math.exp(changed[LOG_RADIUS]))
    second = np.float32(math.exp(changed[LOG_RADIUS + 1]))
    axes[surfel, 0, 0] = (_ONE - versine * (y * y + z * z)) * first
    axes[surfel, 1, 0] = (versine * x * y + sine * z) * first
    axes[surfel, 2, 0] = (versine * x * z - sine * y) * first
    axes[surfel, 0, 1] = (versine * x * y - sine * z) * second
    axes[surfel, 1, 1] = (_ONE - versine * (x * x + z * z)) * second
    axes[surfel, 2, 1] = (versine * y * z + sine * x) * second
    axes[surfel, 0, 2] = versine * x * z + sine * y
    axes[surfel, 1, 2] = versine * y * z - sine * x
    axes[surfel, 2, 2] = _ONE - versine * (x * x + y * y)


@parallel_kernel(fastmath=FASTMATH, error_model="numpy")
def wear(
    starts: Indices, attribute: Indices, differences: Floats, share: Floats, base: Floats,
    strengths: Floats, is_stale: Flags, num_workers: int, moving: Floats, axes: Floats,
) -> None:  # fmt: skip
    """Write what surfels are with all that is worn, of those alone that something new changes.

    Args:
        starts: (N + 1,) where the differences of each surfel begin.
        attribute: (E,) whose difference it is.
        differences: (E, NUM_CHANGED)
        share: (E,) how much of it is left beside what else is worn.
        base: (N, NUM_CHANGED) with nothing on.
        strengths: (A,)
        is_stale: (A,) which attributes are worn otherwise than at the last call.
        num_workers: into how many shares the surfels are cut.
        moving: (at least N, NUM_MOVING) in and out, as `pose_surfels` takes it.
        axes: (at least N, 3, 3) in and out, as `pose_surfels` takes it.
    """
    count = len(base)
    portion = (count + num_workers - 1) // num_workers
    for worker in prange(num_workers):
        changed = np.empty(NUM_CHANGED, np.float32)
        for surfel in range(worker * portion, min((worker + 1) * portion, count)):
            first, end = starts[surfel], starts[surfel + 1]
            needed = False
            for entry in range(first, end):
                needed |= is_stale[attribute[entry]]
            if not needed:
                continue
            changed[:] = base[surfel]
            for entry in range(first, end):
                strength = strengths[attribute[entry]] * share[entry]
                if strength != np.float32(0.0):
                    for number in range(NUM_CHANGED):
                        changed[number] += strength * differences[entry, number]
            for number in range(ROTATION):
                moving[surfel, number] = changed[number]
            _write_axes(changed, surfel, axes)
