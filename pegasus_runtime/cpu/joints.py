"""A head's joints for one frame (numba); `skinning.pose_joints` has the same formulas.

Torch takes a millisecond for these few hundred numbers, a hundred calls of next to no work each.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import device_function, njit

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]
_NONE, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_SMALL = np.float32(1e-8)
"""Angle² below which a series stands in: with more it is seen to be one, with less a division by
almost nothing loses digits."""


@device_function(error_model="numpy")
def _rotate(axis_angle: Floats, rotation: Floats) -> None:
    """As `skinning.rotation_matrices`, of one joint: (3,) to (3, 3)."""
    x, y, z = axis_angle
    squared = x * x + y * y + z * z
    sine, versine = _ONE - squared / np.float32(6.0), np.float32(0.5) - squared / np.float32(24.0)
    if squared >= _SMALL:
        angle = np.sqrt(squared)
        half_sine = np.float32(math.sin(angle / _TWO)) / angle
        sine, versine = np.float32(math.sin(angle)) / angle, _TWO * half_sine * half_sine
    rotation[0, 0] = _ONE - versine * (y * y + z * z)
    rotation[1, 1] = _ONE - versine * (x * x + z * z)
    rotation[2, 2] = _ONE - versine * (x * x + y * y)
    rotation[0, 1], rotation[1, 0] = versine * x * y - sine * z, versine * x * y + sine * z
    rotation[0, 2], rotation[2, 0] = versine * x * z + sine * y, versine * x * z - sine * y
    rotation[1, 2], rotation[2, 1] = versine * y * z - sine * x, versine * y * z + sine * x


@device_function()
def _multiply(left: Floats, right: Floats, product: Floats) -> None:
    """Product (3, C) of left (3, 3) and right (3, C)."""
    for row in range(3):
        for column in range(right.shape[1]):
            value = _NONE
            for k in range(3):
                value += left[row, k] * right[k, column]
            product[row, column] = value


@njit(cache=True, nogil=True, error_model="numpy")
def pose_joints(
    template: Floats, identity: Floats, face: Floats, parents: Numbers, shape: Floats,
    expression: Floats, pose: Floats, joints: Floats, transforms: Floats, feature: Floats,
) -> None:  # fmt: skip
    """Joints, their transforms and the pose feature.

    Args:
        template: (J, 3) joints of the template.
        identity: (J, 3, S) how identity moves them.
        face: (J, 3, E) how expression does.
        parents: (J,) of each joint, before it in the order; -1 for the root.
        shape: (S,)
        expression: (E,)
        pose: (J, 3) axis-angle in radians.
        joints: (J, 3) out.
        transforms: (J, 4, 4) out.
        feature: (J - 1, 3, 3) out.
    """
    num_joints = len(template)
    rotation = np.empty((3, 3), np.float32)
    world = np.zeros((num_joints, 3, 4), np.float32)
    local = np.empty((3, 4), np.float32)
    for joint in range(num_joints):
        parent = parents[joint]
        _rotate(pose[joint], rotation)
        for axis in range(3):
            value = template[joint, axis]
            for i in range(len(shape)):
                value += identity[joint, axis, i] * shape[i]
            for i in range(len(expression)):
                value += face[joint, axis, i] * expression[i]
            joints[joint, axis] = value
            local[axis, :3] = rotation[axis]
            local[axis, 3] = value - (joints[parent, axis] if parent >= 0 else _NONE)
            if joint:
                feature[joint - 1, axis] = rotation[axis]
                feature[joint - 1, axis, axis] -= _ONE
        if parent < 0:
            world[joint] = local
        else:
            _multiply(world[parent, :, :3], local, world[joint])
            world[joint, :, 3] += world[parent, :, 3]
        transforms[joint] = _NONE
        transforms[joint, :3] = world[joint]
        transforms[joint, 3, 3] = _ONE
        for row in range(3):
            for k in range(3):
                transforms[joint, row, 3] -= world[joint, row, k] * joints[joint, k]
