"""Pictures of frames, decoded in threads and kept while there is room."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pegasus_runtime.memory import free_memory_bytes
from trainer.data.capture_folder import FrameRecord
from trainer.data.image_file import Bytes, PictureFile

BYTES_PER_PIXEL = 9
"""of a frame with all its pictures"""
_SHARE_OF_FREE_MEMORY = 0.5
"""For decoded pictures: more reads fewer of them twice, and leaves less for the training itself."""
_ASSUMED_FREE = 8 << 30
"""where the system does not say; more may run out of memory there, less reads pictures twice"""


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
    stored_side: int = 0
    """of the picture before it was resized"""
    has_matte: bool = True
    """False where there is none, and the mask is everything"""


class PictureCache:
    """The pictures used last, as many as fit; more are decoded when they are asked for."""

    def __init__(self, size: int, max_gb: float = 0.0, needs_matte: bool = True) -> None:
        """
        Args:
            size: side to which pictures are resized.
            max_gb: memory for all processes of this machine; 0 for half of what is free.
            needs_matte: whether a frame without a matte is bad.
        """
        room = max_gb * 2**30 or (free_memory_bytes() or _ASSUMED_FREE) * _SHARE_OF_FREE_MEMORY
        self.room = room / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        """bytes"""
        self.max_frames = max(int(self.room / (size**2 * BYTES_PER_PIXEL)), 2)
        self.num_ahead = min(self.max_frames, 2 * (os.cpu_count() or 1))
        """frames that may be decoded before the first of them is looked at"""
        self._size, self._needs_matte = size, needs_matte
        self._kept: OrderedDict[tuple[str, str], Future[Pictures]] = OrderedDict()
        self._threads = ThreadPoolExecutor(thread_name_prefix="pictures")

    def ask(self, record: FrameRecord) -> Future[Pictures]:
        """The pictures of a frame, perhaps still being decoded.

        The result may be a ValueError that says what is wrong with them.
        """
        key = record.subject, record.name
        if key not in self._kept:
            self._kept[key] = self._threads.submit(
                decode_frame, record.files, self._size, self._needs_matte
            )
        self._kept.move_to_end(key)
        if len(self._kept) > self.max_frames:
            self._kept.popitem(last=False)
        return self._kept[key]


def decode_frame(files: Mapping[str, Path], size: int, needs_matte: bool = True) -> Pictures:
    """All pictures of a frame.

    A picture whose matte is in its alpha needs no mask.

    Args:
        files: by kind.
        size: side to which pictures are resized.
        needs_matte: whether a frame without a matte is bad.

    Raises:
        ValueError: one of them is gone or cannot be used.
    """
    read = {kind: PictureFile.read(path) for kind, path in files.items()}
    image, mask = read["image"], read.get("mask")
    matte = mask.matte(size) if mask else image.alpha(size)
    has_matte = matte is not None
    if matte is None:
        if needs_matte:
            raise ValueError(f"mask/{files['image'].stem}.png is missing")
        matte = np.full((size, size), 255, np.uint8)
    if not matte.any():
        raise ValueError(f"{(mask or image).label} shows nothing: its matte is black")
    part_mask, normals, parts = map(read.get, ("mask_object", "normal_rendering", "semantic"))
    return Pictures(
        image.composite_over_white(size) if mask else image.colour(size),
        matte,
        part_mask=part_mask.matte(size) if part_mask else None,
        normals=normals.colour(size) if normals else None,
        parts=parts.classes(size) if parts else None,
        stored_side=image.side,
        has_matte=has_matte,
    )
