"""A rendered picture with its passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import Refused

PASSES = ("rgb", "albedo", "shading", "normal", "depth", "alpha", "segmentation")
FloatArray = npt.NDArray[np.float32]


@dataclass
class Frame:
    """Pictures of one render, by pass: ``frame["rgb"]`` is (H, W, 3) float32 in 0..1.

    ``alpha`` and ``segmentation`` are (H, W, 1) in 0..1; ``depth`` is (H, W, 1) in the camera's
    units, 0 where nothing is seen.
    """

    images: dict[str, FloatArray]
    points: FloatArray
    """(N, 3) posed points in the world"""
    normals: FloatArray
    """(N, 3) their unit normals"""

    def __getitem__(self, name: str) -> FloatArray:
        if name not in self.images:
            raise KeyError(f"{name!r} was not rendered; this frame has {', '.join(self.images)}")
        return self.images[name]

    def __contains__(self, name: object) -> bool:
        return name in self.images


def check_passes(passes: object) -> tuple[str, ...]:
    """The passes asked for.

    Raises:
        Refused: one of them does not exist.
    """
    names = (passes,) if isinstance(passes, str) else tuple(passes)  # type: ignore[arg-type]
    for name in names:
        if name not in PASSES:
            raise Refused(f"pass {name!r}: use one of {', '.join(PASSES)}.")
    return names
