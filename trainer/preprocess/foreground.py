"""The person apart from the background at the rim: foreground colours, and a mask further in."""

from __future__ import annotations

import numpy as np

from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, FloatArray

NOMINAL_SIZE = 512
"""The side that pixels here are told for."""
_RIM_PX, _HAIR_RIM_PX = 3, 2
"""of 512, by which mattes are taken in: there a picture shows something of what is behind; fewer
leave background in the rim, more take colour off the person"""
_REACH_PX = 14
"""of 512, how far from the outline colours beside it are taken: farther ones are steadier, and less
those of the place"""
_ALIKE = 24.0
"""of 255: colours of person and background nearer to one another are not told apart. Less of it
amplifies noise, more leaves a rim of background."""
_SURELY = 0.98
"""of a matte, from which a colour is the person's, and less its rest the background's; less mixes
both into either, more finds no pure colour at soft hair"""


def foreground_mask(matte: FloatArray, hair: Array) -> FloatArray:
    """A matte whose edge lies further in, less so at hair, which is thin."""
    import cv2

    size = matte.shape[0]

    def eroded(pixels: int) -> FloatArray:
        width = 2 * max(round(pixels * size / NOMINAL_SIZE), 1) + 1
        shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        return np.asarray(cv2.erode(matte, shape, borderType=cv2.BORDER_REPLICATE))

    near = cv2.dilate(hair.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return np.where(near, eroded(_HAIR_RIM_PX), eroded(_RIM_PX))


def foreground_colours(picture: Bytes, matte: FloatArray) -> Bytes:
    """A picture whose rim has no background in its colours.

    How much of a pixel near the edge is background is told by its colour: where it lies between
    that of the person and that of the background near by. That much is taken off, also where the
    matte says that all is the person's: videos keep colours coarser than light.
    """
    import cv2

    size = picture.shape[0]
    side = max(size // 2, 1)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    inner = cv2.resize(matte, (side, side), interpolation=cv2.INTER_AREA)
    rim = max(round(_RIM_PX * side / NOMINAL_SIZE), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * rim + 1, 4 * rim + 1))
    own = (cv2.erode(inner, disc) > _SURELY).astype(np.float32)
    behind = (cv2.dilate(inner, disc[rim:-rim, rim:-rim]) < 1 - _SURELY).astype(np.float32)
    radius = max(round(_REACH_PX * side / NOMINAL_SIZE), 2)
    both = [cv2.resize(_mean_where(small, w, radius), (size, size)) for w in (own, behind)]
    band = cv2.resize(own + behind, (size, size)) < 0.999
    rows, columns = np.nonzero(band)
    colours, front, back = (c[rows, columns].astype(np.float32) for c in (picture, *both))
    line = front - back
    length = np.square(line).sum(axis=1)
    share = ((colours - back) * line).sum(axis=1) / np.maximum(length, 1.0)
    # Alike colours tell nothing, and need nothing.
    weight = (np.clip(length / _ALIKE**2 - 1, 0, 1) * (1 - share.clip(0, 1)))[:, None]
    # What lies off the line between them is the background's, too, as far as the pixel is: left as
    # it is, a bright halo beside dark hair before a blue wall became a red rim.
    off = colours - back - share[:, None] * line
    found = picture.copy()
    found[rows, columns] = (colours + weight * (line - off)).clip(0, 255).round()
    return found


def _mean_where(colours: FloatArray, weight: FloatArray, radius: int) -> FloatArray:
    """Mean colour of weighted pixels near each pixel, farther ones where there is none near."""
    import cv2

    weighted, means = colours * weight[..., None], []
    for factor in (1, 4):
        side = 2 * radius * factor + 1
        total = cv2.boxFilter(weighted, -1, (side, side), normalize=False)
        count = cv2.boxFilter(weight, -1, (side, side), normalize=False)
        means.append((total / np.maximum(count, 1e-3)[..., None], count > 0.5))
    (near, is_near), (far, is_far) = means
    far = np.where(is_far[..., None], far, colours)
    return np.where(is_near[..., None], near, far).astype(np.float32)
