"""Textures of human assets: checked, and brought to one form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.human_assets import HumanAssets

ByteArray = npt.NDArray[np.uint8]
_SIDES = (256, 512, 1024, 2048, 4096)
"""of a picture once it is scaled to a power of two; larger ones take memory for what no frame
shows"""
_MAX_BYTES = 64 << 20
"""Of one file; MakeHuman's have less, more lets a wrong one take more memory."""
_OPAQUE = 250
"""Of 255: a picture without a pixel below shows no hair; less refuses short, dense brows."""
_FINE_SIDE = 2048
"""of a skin that has pores of its own; less leaves coarse skins smooth, more gives fine ones two
kinds of pores"""
_PORE_BLUR_PX, _PORE_GREY, _PORE_RANGE = 5.0, 4.0, (0.8, 1.15)
"""What of a skin is pores: finer than so many pixels, without what is nearly black, and by how much
they darken or lighten. More takes folds and spots of the other person along, less is smooth."""


def garment_texture(garment: Path) -> Path:
    """The picture that a garment's material names, or else one beside it.

    It is looked for by its name alone, in the folder of the garment's kind.

    Raises:
        InvalidInput: there is none.
    """
    kind = garment.parent.parent
    material = _named_in(garment, "material")
    for path in sorted(kind.rglob(material)) if material else []:
        texture = _named_in(path, "diffuseTexture")
        found = sorted(kind.rglob(texture)) if texture else []
        if found:
            return found[0]
    beside = sorted(garment.parent.glob("*.png"))
    if not beside:
        raise InvalidInput(f"{garment}: has no texture (a .png beside it).")
    return beside[0]


def _named_in(path: Path, word: str) -> str:
    """The last part of the file that a line of a MakeHuman file names, or nothing."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == word:
            name = Path(words[1].replace("\\", "/")).name
            return name if not set(name) & set("*?[]") else ""
    return ""


def read_texture(path: Path, with_alpha: bool = False) -> ByteArray:
    """A texture (S, S, 4) RGBA, whatever its mode; S is a power of two.

    Args:
        path: a PNG or JPEG.
        with_alpha: it shows hair, which is nothing without transparency.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is no picture, too large, not square, or opaque where it may not be.
    """
    import cv2

    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    if path.stat().st_size > _MAX_BYTES:
        raise InvalidInput(f"{path}: is larger than {_MAX_BYTES >> 20} MiB; use a smaller texture.")
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        pixels: Any = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if len(raw) else None
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise InvalidInput(f"{path}: is no picture that can be read; use a PNG of 8 bits.")
    height, width = pixels.shape[:2]
    if height != width or not 16 <= width <= 8192:
        raise InvalidInput(
            f"{path}: is {width}x{height}; a texture is square, of 16 to 8192 pixels."
        )
    rgba: Any = _as_rgba(pixels)
    if with_alpha and rgba[..., 3].min() > _OPAQUE:
        raise InvalidInput(f"{path}: has no transparency, which hair needs; use a PNG with alpha.")
    side = min(_SIDES, key=lambda known: abs(known - width))
    if side != width:
        rgba = cv2.resize(rgba, (side, side), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(rgba, np.uint8)


def _as_rgba(pixels: Any) -> ByteArray:
    import cv2

    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    if pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA), np.uint8)


def skin_texture(assets: HumanAssets, name: str) -> ByteArray:
    """A skin (S, S, 4), with pores and fine hairs of the finest one where it is coarser itself."""
    import cv2

    own = read_texture(assets.find("skins", name))
    fine = assets.detail_skin()
    if fine is None or len(own) >= _FINE_SIDE:
        return own
    grey = cv2.cvtColor(read_texture(fine)[..., :3], cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey += _PORE_GREY
    detail = grey / cv2.GaussianBlur(grey, (0, 0), _PORE_BLUR_PX)
    large = cv2.resize(own, detail.shape[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)
    large[..., :3] *= np.clip(detail, *_PORE_RANGE)[..., None]
    return np.clip(large, 0, 255).astype(np.uint8)
