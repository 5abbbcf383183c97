"""One picture of a capture, a PNG or a JPEG whatever its name says.

Sizes are read before anything is decoded, so that a picture that declares 100,000 × 100,000 pixels
takes no memory, and checksums before that, for a decoder fills what is cut off with grey.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.documents import read_bytes
from pegasus_runtime.errors import InvalidInput

Bytes = npt.NDArray[np.uint8]
MAX_PICTURE_BYTES = 128 << 20
"""Of one file: more lets a damaged one take memory."""
MAX_PIXELS = 2**25
"""Of one picture, 33 million: more takes memory for detail that no training uses."""

_MAX_SEGMENTS = 200_000
"""Looked at before a header is given up; real pictures have a few, damaged ones could go on for
minutes."""
_PNG_START, _JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_ALPHA_TYPES, _PALETTE = (4, 6), 3
"""of a PNG's colours"""
_FRAME_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""of a JPEG, before its height and width"""
_BARE_MARKERS = {0x01, *range(0xD0, 0xD8)}
"""those that no length follows"""
_SCAN, _END = 0xDA, b"\xff\xd9"


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture that is whole and not too large, still encoded."""

    label: str
    """how messages call it: its folder and name"""
    raw: bytes
    width: int
    height: int
    has_alpha: bool
    has_palette: bool
    is_png: bool

    @classmethod
    def read(cls, path: Path, square: bool = True) -> PictureFile:
        """Look at a file without decoding it.

        Args:
            path: of the file.
            square: whether it has to be.

        Raises:
            ValueError: it is not there, no PNG or JPEG picture, cut off, too large or not square.
        """
        label = f"{path.parent.name}/{path.name}"
        try:
            raw = read_bytes(path, MAX_PICTURE_BYTES)
        except FileNotFoundError:
            raise ValueError(f"{label} is missing") from None
        except InvalidInput as error:
            raise ValueError(str(error).rstrip(".")) from None
        try:
            if raw.startswith(_PNG_START):
                raw, width, height, alpha, palette = _look_at_png(raw)
            elif raw.startswith(_JPEG_START):
                width, height = _look_at_jpeg(raw)
                alpha = palette = False
            else:
                raise ValueError("is not a PNG or JPEG picture" if raw else "is empty")
            if width * height > MAX_PIXELS:
                raise ValueError(
                    f"has {width:,}×{height:,} pixels, more than {MAX_PIXELS:,}; reduce it"
                )
            if square and width != height:
                raise ValueError(f"is {width}×{height}, not square")
        except ValueError as error:
            raise ValueError(f"{label} {error}") from None
        return cls(label, raw, width, height, alpha, palette, raw.startswith(_PNG_START))

    @property
    def side(self) -> int:
        """Of a square picture, in pixels."""
        return self.width

    def upright(self) -> Bytes:
        """(H, W, 3) RGB in its own size, as it is to be shown; ValueError as `colour`."""
        import cv2

        return self._decode(cv2.IMREAD_COLOR)[:, :, ::-1].copy()

    def colour(self, size: int) -> Bytes:
        """(size, size, 3) RGB; ValueError when it cannot be decoded."""
        import cv2

        return _resize(self._decode(cv2.IMREAD_COLOR), size)[:, :, ::-1].copy()

    def composite_over_white(self, size: int) -> Bytes:
        """As `colour`, with what is transparent white."""
        if not self.has_alpha:
            return self.colour(size)
        pixels = _to_bytes(self._decode_all())
        alpha = pixels[:, :, 3:].astype(np.uint16)
        mixed = (pixels[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
        return _resize(mixed.astype(np.uint8), size)[:, :, ::-1].copy()

    def matte(self, size: int) -> Bytes:
        """(size, size) 0..255, from the alpha where that has something to say, else from grey.

        Values may be stored as 0 and 1, or in 16 bits.
        """
        import cv2

        pixels = self._decode_all()
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            alpha = pixels[:, :, 3]
            pixels = alpha if alpha.min() < alpha.max() else pixels[:, :, :3]
        if pixels.ndim == 3:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        return _resize(_to_bytes(pixels), size)

    def alpha(self, size: int) -> Bytes | None:
        """(size, size) its alpha, None where it has none or the same everywhere."""
        pixels = self._decode_all() if self.has_alpha else None
        if pixels is None or pixels.ndim < 3 or pixels.shape[2] < 4:
            return None
        alpha = pixels[:, :, 3]
        return _resize(_to_bytes(alpha), size) if alpha.min() < alpha.max() else None

    def classes(self, size: int) -> Bytes:
        """(size, size) the number of each pixel's class."""
        if self.has_palette:
            raise ValueError(f"{self.label} has a palette; save the classes' numbers as grey")
        pixels = self._decode_all()
        if pixels.ndim == 3:
            if (pixels[:, :, :3].min(axis=2) != pixels[:, :, :3].max(axis=2)).any():
                raise ValueError(f"{self.label} has colours; save the classes' numbers as grey")
            pixels = pixels[:, :, 0]
        if pixels.max() > 255:
            raise ValueError(f"{self.label} has class {pixels.max()}, more than 255")
        return _resize(pixels.astype(np.uint8), size, nearest=True)

    def _decode_all(self) -> npt.NDArray[Any]:
        """All channels and bits that a PNG has; a JPEG as it is to be shown, turned upright."""
        import cv2

        return self._decode(cv2.IMREAD_UNCHANGED if self.is_png else cv2.IMREAD_COLOR)

    def _decode(self, flag: int) -> npt.NDArray[Any]:
        import cv2

        try:
            pixels: Any = cv2.imdecode(np.frombuffer(self.raw, np.uint8), flag)
        except cv2.error:
            pixels = None
        # A JPEG may be turned when it is decoded.
        sizes = ((self.height, self.width), (self.width, self.height))
        if pixels is None or pixels.shape[:2] not in sizes:
            raise ValueError(f"{self.label} cannot be decoded")
        return np.asarray(pixels)


def _look_at_png(raw: bytes) -> tuple[bytes, int, int, bool, bool]:
    """The picture without what shows nothing, width, height, whether with alpha, with a palette.

    OpenCV decodes an animation's first picture as black, and turns some by their EXIF.
    """
    if raw[12:16] != b"IHDR" or len(raw) < 33:
        raise ValueError("is cut off or damaged")
    width, height, _, colours = struct.unpack(">IIBB", raw[16:26])
    if not width or not height:
        raise ValueError("has no pixels")
    kept, transparency = [_PNG_START], False
    for kind, whole in _chunks(raw):
        # Small letters are chunks that a decoder may leave out.
        if kind[:1].isupper() and zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:]):
            raise ValueError("is damaged: a checksum is wrong")
        transparency = transparency or kind == b"tRNS"
        if kind[:1].isupper() or kind == b"tRNS":
            kept.append(whole)
    alpha = transparency or colours in _ALPHA_TYPES
    return b"".join(kept), width, height, alpha, colours == _PALETTE


def _chunks(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each chunk up to the last; ValueError when it is not there."""
    position = len(_PNG_START)
    for _ in range(_MAX_SEGMENTS):
        if position + 12 > len(raw):
            break
        length, kind = struct.unpack(">I4s", raw[position : position + 8])
        end = position + length + 12
        if end > len(raw):
            break
        yield kind, raw[position:end]
        if kind == b"IEND":
            return
        position = end
    raise ValueError("is cut off")


def _look_at_jpeg(raw: bytes) -> tuple[int, int]:
    """Width and height."""
    position, size = 2, None
    for _ in range(_MAX_SEGMENTS):
        if position + 4 > len(raw) or raw[position] != 0xFF:
            break
        marker = raw[position + 1]
        if marker == 0xFF or marker in _BARE_MARKERS:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_MARKERS and position + 9 <= len(raw):
            height, width = struct.unpack(">HH", raw[position + 5 : position + 9])
            size = width, height
        if marker == _SCAN:
            break
        position += 2 + int.from_bytes(raw[position + 2 : position + 4], "big")
    if size is None or not size[0] or not size[1] or raw.find(_END, position) < 0:
        raise ValueError("is cut off or damaged")
    return size


def _to_bytes(pixels: npt.NDArray[Any]) -> Bytes:
    """Values 0..255 of 8 or 16 bits, or of a matte that is stored as 0 and 1."""
    largest = int(pixels.max())
    if largest <= 1:
        pixels = pixels * 255
    elif largest > 255:
        pixels = pixels // 257
    return pixels.astype(np.uint8)


def _resize(pixels: npt.NDArray[Any], size: int, nearest: bool = False) -> Bytes:
    import cv2

    if pixels.shape[0] == size:
        return np.ascontiguousarray(pixels)
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=method))
