"""Filling in a part of a picture from what is around it.

A network of LaMa's signature (Suvorov et al. 2022) where the asset folder has one, as it is
exported: ``image`` (1, 3, 512, 512) 0..1 and ``mask`` (1, 1, 512, 512), 1 where something is
missing, to a picture of 0..1 or 0..255. Without it, OpenCV's method after Telea (2004), which is
smooth.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from pegasus_runtime.errors import InvalidInput
from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, FloatArray, Network
from trainer.preprocess.model_files import INPAINTER_NAMES, find_asset, read_onnx

_SIDE = 512
"""That such networks are exported for; they take no other."""
_AROUND = 2.0
"""Side of what the network sees, over that of what is missing: less shows it too little to go on
from, more leaves fewer of its pixels for the gap."""
_RADIUS = 5
"""Pixels around a gap that Telea's method mixes: more blur, fewer streak."""


def inpaint(image: Bytes, mask: Array) -> Bytes:
    """A picture whose missing pixels are filled in; all others stay as they are.

    Args:
        image: (H, W, 3) RGB.
        mask: (H, W) truth, or numbers that are not 0, where it is missing.

    Raises:
        InvalidInput: the shapes differ, everything is missing, or the network of the asset folder
            is none of this kind.
    """
    missing = np.asarray(mask) != 0
    if image.ndim != 3 or image.shape[2] != 3 or missing.shape != image.shape[:2]:
        raise InvalidInput(
            f"inpainting: a picture {image.shape} and a mask {missing.shape} do not belong "
            "together; give them (H, W, 3) and (H, W)."
        )
    if not missing.any():
        return image.copy()
    if missing.all():
        raise InvalidInput("inpainting: all of the picture is missing; leave something to go by.")
    path = find_asset(INPAINTER_NAMES)
    filled = _inpainter(path).fill(image, missing) if path else _smooth(image, missing)
    return np.where(missing[..., None], filled, image)


class Inpainter:
    """A network of LaMa's signature."""

    def __init__(self, path: Path) -> None:
        """Of an ONNX file."""
        self._network, self._path = Network(read_onnx(path), path.name), path

    def fill(self, image: Bytes, missing: Array) -> Bytes:
        """The picture (H, W, 3) with its missing pixels (H, W) filled in.

        Raises:
            InvalidInput: the network has another signature.
        """
        import cv2

        top, bottom, left, right = _surroundings(missing)
        part, gap = image[top:bottom, left:right], missing[top:bottom, left:right]
        small = cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        # What is missing in the least pixel is missing: its colours would be learned from.
        share = cv2.resize(gap.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        found = self._run(np.asarray(small, np.uint8), np.asarray(share > 0))
        size = right - left, bottom - top
        filled = image.copy()
        # Sharper ways overshoot at the gap's own border.
        filled[top:bottom, left:right] = cv2.resize(found, size, interpolation=cv2.INTER_LINEAR)
        return filled

    def _run(self, image: Bytes, missing: Array) -> Bytes:
        shown = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        holes = np.ascontiguousarray(missing[None, None], np.float32)
        outputs = self._network.run({"image": shown, "mask": holes})
        found = next(iter(outputs.values()))
        if len(outputs) != 1 or found.shape != shown.shape or not np.isfinite(found).all():
            raise InvalidInput(
                f"{self._path}: gives {found.shape}, not a picture (1, 3, {_SIDE}, {_SIDE}) of "
                "image and mask; is it the right network?"
            )
        levels = (found * _scale(found, shown, holes))[0].transpose(1, 2, 0)
        return np.asarray(levels.clip(0, 255).round(), np.uint8)


@lru_cache(maxsize=1)
def _inpainter(path: Path) -> Inpainter:
    """Kept, for reading one takes seconds."""
    return Inpainter(path)


def _scale(found: FloatArray, shown: FloatArray, holes: FloatArray) -> float:
    """255 where the output is of 0..1, told by the pixels that it has seen."""
    kept = holes[0, 0] == 0
    away = [np.abs(found - factor * shown)[..., kept].mean() for factor in (1.0, 255.0)]
    return 255.0 if away[0] < away[1] else 1.0


def _surroundings(missing: Array) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is looked at."""
    borders: list[int] = []
    for axis, length in enumerate(missing.shape):
        where = np.flatnonzero(missing.any(axis=1 - axis))
        reach = max(_AROUND * _extent(missing), 64)
        middle = (where[0] + where[-1] + 1) / 2
        borders += [max(int(middle - reach / 2), 0), min(int(np.ceil(middle + reach / 2)), length)]
    return borders[0], borders[1], borders[2], borders[3]


def _extent(missing: Array) -> int:
    """The larger side of what is missing."""
    return int(max(np.ptp(np.flatnonzero(missing.any(axis=axis))) + 1 for axis in (0, 1)))


def _smooth(image: Bytes, missing: Array) -> Bytes:
    import cv2

    holes = missing.astype(np.uint8)
    return np.asarray(cv2.inpaint(np.ascontiguousarray(image), holes, _RADIUS, cv2.INPAINT_TELEA))
