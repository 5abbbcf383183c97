"""Projecting points in one pass (numba); `Camera.project` has the same formulas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pegasus_runtime.cpu.jit import parallel_kernel, prange

Floats = NDArray[np.float32]


@parallel_kernel(error_model="numpy")
def project_points(
    points: Floats, rotation: Floats, translation: Floats, intrinsics: Floats, num_workers: int,
    projected: Floats,
) -> None:  # fmt: skip
    """World points to NDC x, NDC y and view z.

    Products and sums are rounded one by one, in the order in which torch takes them.

    Args:
        points: (N, 3)
        rotation: (3, 3), applied to rows.
        translation: (3,)
        intrinsics: (4, 4)
        num_workers: into how many shares the points are cut.
        projected: (N, 3) out.
    """
    share = (len(points) + num_workers - 1) // num_workers
    r, t = rotation, translation
    focal_x, focal_y = intrinsics[0, 0], intrinsics[1, 1]
    centre_x, centre_y = intrinsics[0, 2], intrinsics[1, 2]
    for worker in prange(num_workers):
        for point in range(worker * share, min((worker + 1) * share, len(points))):
            a, b, c = points[point, 0], points[point, 1], points[point, 2]
            x = a * r[0, 0] + b * r[1, 0] + c * r[2, 0] + t[0]
            y = a * r[0, 1] + b * r[1, 1] + c * r[2, 1] + t[1]
            z = a * r[0, 2] + b * r[1, 2] + c * r[2, 2] + t[2]
            projected[point, 0] = x * focal_x / z + centre_x
            projected[point, 1] = y * focal_y / z + centre_y
            projected[point, 2] = z
