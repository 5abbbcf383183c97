"""Pictures and mattes at the size at which networks see them."""

from __future__ import annotations

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, FloatArray

COARSE_SIDE = 256
"""that of the networks"""


def coarse_matte(matte: FloatArray) -> FloatArray:
    """A matte (R, R) at that size."""
    import cv2

    method = cv2.INTER_AREA if len(matte) > COARSE_SIDE else cv2.INTER_LINEAR
    size = (COARSE_SIDE, COARSE_SIDE)
    return np.asarray(cv2.resize(matte.astype(np.float32), size, interpolation=method))


def coarse_picture(picture: Bytes) -> Bytes:
    """A picture (S, S, 3) at that size."""
    import cv2

    size = (COARSE_SIDE, COARSE_SIDE)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def dilated(matte: Array, radius: int) -> Array:
    """The largest value within a radius in pixels."""
    import cv2

    return np.asarray(cv2.dilate(matte, _disc(radius)))


def eroded(matte: Array, radius: int) -> Array:
    """The least value within a radius in pixels; what is beside the picture is not counted."""
    import cv2

    return np.asarray(cv2.erode(matte, _disc(radius), borderType=cv2.BORDER_REPLICATE))


def _disc(radius: int) -> Array:
    import cv2

    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))
