"""Pictures of frames, decoded in threads and kept while there is room."""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.memory import free_memory_bytes

Bytes = npt.NDArray[np.uint8]
BYTES_PER_PIXEL = 9
"""of a frame with all its pictures"""
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_SHARE_OF_FREE_MEMORY = 0.5
_ASSUMED_FREE = 8 << 30
"""where the system does not say"""


@dataclass(frozen=True, eq=False)
class Pictures:
    """One frame's pictures as bytes."""

    image: Bytes
    """(H, W, 3) RGB"""
    mask: Bytes
    """(H, W)"""
    part_mask: Bytes | None
    """(H, W) where the subject's attribute is seen"""
    normals: Bytes | None
    """(H, W, 3) world normals as n · 0.5 + 0.5"""
    parts: Bytes | None
    """(H, W) class of each pixel"""


class PictureCache:
    """The pictures used last, as many as fit; more are decoded when they are asked for."""

    def __init__(self, size: int, max_gb: float = 0.0) -> None:
        """
        Args:
            size: side to which pictures are resized.
            max_gb: memory for all processes of this machine; 0 for half of what is free.
        """
        room = max_gb * 2**30 or (free_memory_bytes() or _ASSUMED_FREE) * _SHARE_OF_FREE_MEMORY
        self.room = room / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        """bytes"""
        self.max_frames = max(int(self.room / (size**2 * BYTES_PER_PIXEL)), 2)
        self._size = size
        self._kept: OrderedDict[tuple[Path, str], Future[Pictures]] = OrderedDict()
        self._threads = ThreadPoolExecutor(thread_name_prefix="pictures")

    def ask(self, folder: Path, name: str) -> Future[Pictures]:
        """The pictures of a subject's frame, perhaps still being decoded.

        The result may be a ValueError that says what is wrong with them.
        """
        key = folder, name
        if key not in self._kept:
            self._kept[key] = self._threads.submit(decode_frame, folder, name, self._size)
        self._kept.move_to_end(key)
        if len(self._kept) > self.max_frames:
            self._kept.popitem(last=False)
        return self._kept[key]


def decode_frame(folder: Path, name: str, size: int) -> Pictures:
    """All pictures of a frame; ValueError when they cannot be used."""

    def read(kind: str, colour: bool, required: bool = False) -> Bytes | None:
        path = folder / kind / f"{name}.png"
        if not required and not path.is_file():
            return None
        return _read_picture(path, colour, size, nearest=kind == "semantic")

    image, mask = read("image", True, True), read("mask", False, True)
    assert image is not None and mask is not None
    return Pictures(
        image,
        mask,
        part_mask=read("mask_object", False),
        normals=read("normal_rendering", True),
        parts=read("semantic", False),
    )


def frame_side(folder: Path, name: str) -> int:
    """The side of a frame's picture in pixels, from its first and last bytes alone.

    Raises:
        ValueError: it cannot be used.
    """
    sides = [_png_side(folder / kind / f"{name}.png", kind) for kind in ("image", "mask")]
    if sides[0] != sides[1]:
        raise ValueError(f"the picture has {sides[0]} px, its mask {sides[1]} px")
    return sides[0]


def _png_side(path: Path, kind: str) -> int:
    with path.open("rb") as stream:
        head = stream.read(24)
        stream.seek(-min(len(_PNG_END), path.stat().st_size), os.SEEK_END)
        end = stream.read()
    if head[:8] != _PNG_START or len(head) < 24:
        raise ValueError(f"{kind}/{path.name} is not a PNG picture")
    if end != _PNG_END:
        raise ValueError(f"{kind}/{path.name} is cut off")
    width, height = struct.unpack(">II", head[16:24])
    if width != height:
        raise ValueError(f"{kind}/{path.name} is {width}×{height}, not square")
    return int(width)


def _read_picture(path: Path, colour: bool, size: int, nearest: bool = False) -> Bytes:
    import cv2

    raw = np.fromfile(path, np.uint8)
    flag = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    picture: Any = cv2.imdecode(raw, flag) if raw.size else None
    if picture is None:
        raise ValueError(f"{path.parent.name}/{path.name} cannot be decoded")
    if picture.shape[0] != picture.shape[1]:
        height, width = picture.shape[:2]
        raise ValueError(f"{path.parent.name}/{path.name} is {width}×{height}, not square")
    if picture.shape[0] != size:
        method = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA
        picture = cv2.resize(picture, (size, size), interpolation=method)
    return np.ascontiguousarray(picture[:, :, ::-1] if colour else picture)
