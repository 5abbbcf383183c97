"""Single pictures: 8 bit sRGB as the avatar gives it, alpha straight."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import output_file, replace_file

Picture = npt.NDArray[np.uint8]

_WITHOUT_ALPHA = (".jpg", ".jpeg")
IMAGE_SUFFIXES = (".png", *_WITHOUT_ALPHA)
_JPEG_QUALITY = 95
"""Higher makes larger files, lower shows blocks in hair first."""


def carries_alpha(path: str | os.PathLike[str]) -> bool:
    """Whether a picture of that name can be transparent."""
    return Path(path).suffix.lower() not in _WITHOUT_ALPHA


def check_image_path(path: str | os.PathLike[str], *, with_alpha: bool = False) -> None:
    """Whether a picture can be written under this name, asked before anything is rendered.

    Raises:
        InvalidInput: the format is not known or cannot carry the alpha wanted, or the place is not
            for output (see `files.output_file`).
    """
    output_file(path)
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise InvalidInput(f"{path}: unknown kind of picture; end the name in .png or .jpg.")
    if with_alpha and not carries_alpha(path):
        raise InvalidInput(f"{path}: {suffix} cannot carry transparency; use .png or a background.")


def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture (H, W, 3), or (H, W, 4) with straight alpha; see `write_image`."""
    write_image(path, picture[..., :3], picture[..., 3] if picture.shape[2] == 4 else None)


def write_image(
    path: str | os.PathLike[str], rgb: npt.ArrayLike, alpha: npt.ArrayLike | None = None
) -> None:
    """Write a picture; an older file stays until the new one is complete.

    Args:
        path: ends in .png or .jpg.
        rgb: (H, W, 3) or (H, W, 1), uint8 or floats in 0..1; not multiplied by alpha.
        alpha: (H, W) or (H, W, 1) in the same type, or None for an opaque picture.

    Raises:
        InvalidInput: the format is unknown or has no alpha, the arrays do not fit together, or the
            file cannot be written.
    """
    check_image_path(path, with_alpha=alpha is not None)
    picture = _stacked(_bytes8(rgb), None if alpha is None else _bytes8(alpha), path)
    encoded = encode_picture(picture, Path(path).suffix.lower())
    with replace_file(path) as partial:
        partial.write_bytes(encoded)


def _bytes8(values: npt.ArrayLike) -> Picture:
    from pegasus_runtime.cpu.image import to_bytes

    array = np.asarray(values)
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == np.uint8:
        return array
    result = np.empty(array.shape, np.uint8)
    if array.size:
        rows = np.ascontiguousarray(array, np.float32).reshape(len(array), -1)
        to_bytes(rows, result.reshape(len(array), -1))
    return result


def _stacked(colour: Picture, alpha: Picture | None, name: Any) -> Picture:
    if colour.ndim != 3 or colour.shape[2] not in (1, 3) or not colour.size:
        raise InvalidInput(f"{name}: a picture is (H, W, 3) or (H, W, 1), not {colour.shape}.")
    if colour.shape[2] == 1:
        colour = np.repeat(colour, 3, axis=2)
    if alpha is None:
        return np.ascontiguousarray(colour)
    if alpha.shape != (*colour.shape[:2], 1):
        raise InvalidInput(
            f"{name}: alpha {alpha.shape} is not of the picture's size {colour.shape}."
        )
    return np.concatenate([colour, alpha], axis=2)


def encode_picture(picture: Picture, suffix: str) -> bytes:
    """A picture (H, W, 3 or 4) as the bytes of a .png or .jpg file."""
    import cv2

    swapped = picture[..., [2, 1, 0, *range(3, picture.shape[2])]]
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix in _WITHOUT_ALPHA else []
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(swapped), quality)
    assert done, "the encoder refused an 8 bit picture"
    return bytes(encoded.tobytes())
