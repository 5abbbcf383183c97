"""Frames of what a user films: a video file, or a folder of pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pegasus_runtime.assets import file_sha256
from pegasus_runtime.documents import require_file
from pegasus_runtime.errors import InvalidInput
from trainer.data.image_file import Bytes, PictureFile
from trainer.preprocess.video_decoder import VideoDecoder

MAX_FRAMES = 50_000
"""Half an hour at 25 a second; what is kept of them is about 100 GB."""
_MAX_VIDEO_BYTES = 1 << 40
"""Larger ones are told before they are read to their end."""
_PICTURE_FPS = 25.0
"""assumed of a folder of pictures, and of videos that do not say; less smooths over fewer frames,
more over more"""
_ENDINGS = (".png", ".jpg", ".jpeg")
_ONE_A_SECOND = "isnan(prev_selected_t)+gte(t-prev_selected_t,1)"


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame, upright as the file says."""

    index: int
    """among all frames of the source, from 0"""
    time_s: float
    pixels: Bytes
    """(H, W, 3) RGB"""


@dataclass(frozen=True)
class Selection:
    """Which frames of a source are used."""

    every: int = 1
    """one in so many"""
    limit: int = 0
    """most frames, 0 for all"""
    first: int = 0
    """of the chosen ones, how many are left out at the beginning"""

    @classmethod
    def spread(cls, count: int, most: int) -> Selection:
        """At most so many frames of a video, evenly spread over it.

        One in 1, 2, 4, 8 and so on: those of a smaller choice are among those of a larger one, so
        that what was made of them is not made again.
        """
        every = 1
        while every * most < count:
            every *= 2
        return cls(every, most)


class FrameSource(Protocol):
    """Something that gives frames, the same ones each time."""

    path: Path
    fps: float
    """frames a second; known once a frame was read"""

    def digest(self) -> str:
        """Of its content, whatever it is called."""

    def frames(self, selection: Selection) -> Iterator[Frame]:
        """The chosen frames in order; InvalidInput where there is none at all."""

    def samples(self, count: int) -> list[Frame]:
        """Up to so many frames, about a second apart."""

    def estimated_count(self, selection: Selection) -> int:
        """How many frames a selection has, 0 where nobody knows."""


def spread(numbers: list[int], most: int) -> list[int]:
    """At most so many of them, evenly from the first to the last."""
    if len(numbers) <= most:
        return numbers
    return [numbers[int(k)] for k in np.linspace(0, len(numbers) - 1, most)]


def open_source(path: Path) -> FrameSource:
    """A video or a folder of pictures.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is neither a file nor a folder of pictures.
    """
    if path.is_dir():
        return PictureFolder(path)
    require_file(path, _MAX_VIDEO_BYTES)
    return VideoFile(path)


class VideoFile:
    """Any file that ffmpeg reads."""

    def __init__(self, path: Path) -> None:
        self.path, self.fps, self._duration_s = path, _PICTURE_FPS, 0.0

    def digest(self) -> str:
        """SHA-256 of its bytes."""
        return file_sha256(self.path)

    def frames(self, selection: Selection) -> Iterator[Frame]:
        """See `FrameSource`. Times are those of the file, also where their rate varies."""
        start = selection.first * selection.every
        chosen = f"gte(n,{start})*not(mod(n,{selection.every}))"
        limit = max(selection.limit - selection.first, 1) if selection.limit else 0
        with VideoDecoder(self.path, chosen, limit) as decoder:
            for number, (time_s, pixels) in enumerate(decoder.frames()):
                self._learn(decoder)
                index = start + number * selection.every
                _check_count(self.path, index)
                yield Frame(index, index / self.fps if time_s is None else time_s, pixels)

    def samples(self, count: int) -> list[Frame]:
        """See `FrameSource`."""
        with VideoDecoder(self.path, _ONE_A_SECOND, count) as decoder:
            found = [Frame(0, time_s or 0.0, pixels) for time_s, pixels in decoder.frames()]
            self._learn(decoder)
        return found

    def estimated_count(self, selection: Selection) -> int:
        """See `FrameSource`."""
        count = -(-round(self._duration_s * self.fps) // selection.every)
        return min(count, selection.limit) if selection.limit else count

    def _learn(self, decoder: VideoDecoder) -> None:
        self.fps = decoder.facts.fps or _PICTURE_FPS
        self._duration_s = decoder.facts.duration_s


class PictureFolder:
    """A folder of PNG or JPEG pictures of one size, in the order of their names' numbers."""

    def __init__(self, path: Path) -> None:
        self.path, self.fps = path, _PICTURE_FPS
        try:
            found = [p for p in path.iterdir() if p.suffix.lower() in _ENDINGS]
        except OSError as error:
            raise InvalidInput(f"{path}: cannot be read ({error.strerror}).") from None
        self._pictures = sorted((p for p in found if p.name[0] != "."), key=_natural)
        if not self._pictures:
            raise InvalidInput(
                f"{path}: the folder holds no PNG or JPEG picture; name a video or a folder of "
                "pictures."
            )

    def digest(self) -> str:
        """SHA-256 over its pictures' names and bytes."""
        whole = hashlib.sha256()
        for path in self._pictures:
            whole.update(f"{path.name}\0{file_sha256(path)}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def frames(self, selection: Selection) -> Iterator[Frame]:
        """See `FrameSource`; refuses a picture that is damaged or of another size."""
        size: tuple[int, ...] | None = None
        stop = selection.limit * selection.every if selection.limit else len(self._pictures)
        for index in range(0, min(stop, len(self._pictures)), selection.every):
            if index < selection.first * selection.every:
                continue
            _check_count(self.path, index)
            pixels = self._read(index)
            size = size or pixels.shape
            if pixels.shape != size:
                raise InvalidInput(
                    f"{self._pictures[index]}: is {pixels.shape[1]}×{pixels.shape[0]} pixels, the "
                    f"pictures before it {size[1]}×{size[0]}; give them one size."
                )
            yield Frame(index, index / self.fps, pixels)

    def samples(self, count: int) -> list[Frame]:
        """See `FrameSource`."""
        chosen = range(0, len(self._pictures), round(self.fps))[:count]
        return [Frame(index, index / self.fps, self._read(index)) for index in chosen]

    def estimated_count(self, selection: Selection) -> int:
        """See `FrameSource`."""
        count = -(-len(self._pictures) // selection.every)
        return min(count, selection.limit) if selection.limit else count

    def _read(self, index: int) -> Bytes:
        try:
            return PictureFile.read(self._pictures[index], square=False).upright()
        except ValueError as error:
            raise InvalidInput(f"{self.path}: {error}; replace or remove it.") from None


def _check_count(path: Path, index: int) -> None:
    if index >= MAX_FRAMES:
        raise InvalidInput(f"{path}: has more than {MAX_FRAMES:,} frames; cut it, or use --limit.")


def _natural(path: Path) -> list[tuple[int, str]]:
    """2.png before 10.png."""
    parts = re.findall(r"\d{1,18}|\D+|\d+", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
