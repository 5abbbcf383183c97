"""Small pictures of each attribute, made in the background from the avatar and kept on disk.

Each shows the region of its category, so that what differs is seen.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from app.controllers.dispatch import Dispatch
from app.controllers.live_view import LiveView
from app.rendering.renderer import Renderer
from app.rendering.request import Pixels
from app.state.app_dirs import cache_folder
from app.state.document import Document
from app.state.face import Face
from app.state.framing import Framing
from app.state.signal import Signal
from pegasus_runtime.assets import file_sha256
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.files import replace_file
from pegasus_runtime.parameters import AttributeBlend

SIDE = 144
"""Pixels; twice what a gallery shows, for screens with two pixels a point."""
SOURCE = ""
"""The name under which the source person's own picture is announced, once for each category."""
_VERSION = 2
"""Count up when thumbnails look different, so that kept ones are made again."""
_WHOLE = Framing()


class Thumbnails:
    """Announces (category, attribute, picture) one after the other for the avatar that is open."""

    def __init__(self, document: Document, live: LiveView, dispatch: Dispatch) -> None:
        self.ready: Signal[[str, str, Pixels]] = Signal()
        self.num_pending = 0
        self._document, self._live, self._dispatch = document, live, dispatch
        document.avatar_changed.connect(self._start)

    def _start(self) -> None:
        avatar = self._document.avatar
        if avatar is None:
            return
        worn = {category: avatar.attributes_of(category) for category in avatar.categories}
        wanted = [(c, name) for c, names in worn.items() if names for name in (SOURCE, *names)]
        self.num_pending = len(wanted)
        neutral = self._document.neutral
        for category, name in wanted:
            face = neutral.wearing(category, AttributeBlend(name)) if name else neutral
            self._live.loop.submit_background(partial(self._make, avatar, category, name, face))

    def _make(
        self, avatar: Avatar, category: str, name: str, face: Face, renderer: Renderer
    ) -> None:
        if renderer.avatar is not avatar:
            return
        # Not the document's view, which may be a project's: these pictures are kept by avatar.
        framing = Framing.of(avatar, category)
        file = thumbnail_file(avatar, name, framing)
        pixels = _read(file)
        if pixels is None:
            pixels = renderer.render_thumbnail(face, framing, SIDE)
            _write(file, pixels)
        finished = pixels
        self._dispatch(lambda: self._announce(avatar, category, name, finished))

    def _announce(self, avatar: Avatar, category: str, name: str, pixels: Pixels) -> None:
        if avatar is self._document.avatar:
            self.num_pending -= 1
            self.ready.emit(category, name, pixels)


def thumbnail_file(avatar: Avatar, name: str, framing: Framing = _WHOLE) -> Path | None:
    """Where a thumbnail of that framing is kept, None where it cannot be.

    Names come from a file that anyone may have made, and never become part of a path.
    """
    # An avatar with no file has nothing by which its pictures could be found again.
    if avatar.path is None or not avatar.path.is_file():
        return None
    what = hashlib.sha256(f"{framing} {name}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
    with suppress(OSError):
        version = f"{file_sha256(avatar.path)[:24]}-v{_VERSION}-{SIDE}"
        folder = cache_folder() / "thumbnails" / version
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{what}.png"
    return None


def _read(file: Path | None) -> Pixels | None:
    import cv2

    if file is None or not file.is_file():
        return None
    with suppress(OSError, cv2.error):
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is not None and image.shape == (SIDE, SIDE, 4):
            return np.ascontiguousarray(image[..., [2, 1, 0, 3]]).astype(np.uint8)
    return None


def _write(file: Path | None, pixels: Pixels) -> None:
    import cv2

    if file is None:
        return
    fine, data = cv2.imencode(".png", pixels[..., [2, 1, 0, 3]])
    # A cache that cannot be written is made again next time; nothing is lost.
    with suppress(OSError, ValueError), replace_file(file) as partial_file:
        if fine:
            data.tofile(partial_file)
