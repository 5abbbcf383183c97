"""The document's picture: every change asks for a new one, and only newer ones are shown."""

from __future__ import annotations

from app.controllers.dispatch import Dispatch
from app.rendering.render_loop import RenderLoop
from app.rendering.renderer import SessionMaker, make_session
from app.rendering.request import Picture, RenderRequest
from app.state.document import Document
from app.state.face import Face
from app.state.signal import Signal
from pegasus_runtime.avatar.avatar import Avatar

MAX_SIDE = 1600
"""Pixels of the longer side; a larger viewport shows the picture enlarged."""


class LiveView:
    """Asks the render loop for pictures of the document and hands them on in order."""

    def __init__(
        self, document: Document, dispatch: Dispatch, make: SessionMaker = make_session
    ) -> None:
        self.picture_ready: Signal[[Picture]] = Signal()
        self.device_known: Signal[[str]] = Signal()
        self.failed: Signal[[BaseException]] = Signal()
        self.device = ""
        self.latest: Picture | None = None
        self._document = document
        self._size = (512, 512)
        self._asked: RenderRequest | None = None
        self._instead: Face | None = None
        self._generation = 0
        self._shown = 0
        self.loop = RenderLoop(
            on_picture=lambda picture: dispatch(lambda: self._show(picture)),
            on_opened=lambda avatar, device: dispatch(lambda: self._opened(avatar, device)),
            on_error=lambda error: dispatch(lambda: self._fail(error)),
            make=make,
        )
        document.avatar_changed.connect(self._open)
        for event in (document.face_changed, document.view_changed, document.display_changed):
            event.connect(self.request)

    def start(self) -> None:
        """Start rendering."""
        self.loop.start()

    def stop(self) -> None:
        """Stop; waits for the picture that is being made."""
        self.loop.stop()

    def set_size(self, width: int, height: int) -> None:
        """The viewport has that many pixels."""
        scale = min(1.0, MAX_SIDE / max(width, height))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        if size != self._size:
            self._size = size
            self.request()

    def show_instead(self, face: Face | None) -> None:
        """Show another face than the document's, until told None."""
        self._instead = face
        self.request()

    def request(self) -> None:
        """Ask for a picture of the document as it is, unless the last one asked for was of that."""
        document = self._document
        if document.avatar is None:
            return
        request = RenderRequest(
            document.face if self._instead is None else self._instead,
            document.view,
            self._size,
            document.display.pass_name,
            self._generation + 1,
        )
        if request == self._asked:
            return
        self._asked = request
        self._generation += 1
        self.loop.submit(request)

    @property
    def is_settled(self) -> bool:
        """Whether what is shown is the full picture of the document as it is."""
        latest = self.latest
        return (
            self._instead is None
            and latest is not None
            and not latest.is_draft
            and latest.request.generation == self._generation
        )

    def _open(self) -> None:
        avatar = self._document.avatar
        self.latest = None
        if avatar is None:
            self._generation += 1
            self._shown, self._asked = self._generation, None
        else:
            # Pictures of the avatar before this one that are still under way are older than this.
            self._generation += 1
            self._shown, self._asked = self._generation, None
            self.loop.open(avatar)
            # At once: the window takes a while to show what else has changed with the avatar.
            self.request()

    def _opened(self, avatar: Avatar, device: str) -> None:
        if avatar is self._document.avatar:
            self.device = device
            self.device_known.emit(device)

    def _fail(self, error: BaseException) -> None:
        self._asked = None
        self.failed.emit(error)

    def _show(self, picture: Picture) -> None:
        if picture.request.generation >= self._shown:
            self._shown = picture.request.generation
            if self._instead is None or picture.request.face == self._document.face:
                self.latest = picture
            self.picture_ready.emit(picture)
