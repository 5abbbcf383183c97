"""One avatar, rendered fully, quickly while the user drags, and small for thumbnails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from app.rendering.draft_size import DraftSize
from app.rendering.request import Picture, Pixels, RenderRequest, on_host
from app.state.face import Face
from app.state.framing import Framing
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.export.display import passes_for, to_pixels
from pegasus_runtime.frame import Frame

Interrupted = Callable[[], bool]
SLOW_S = 0.07
"""A picture that takes longer than this is drawn as a draft first while the user drags; less shows
drafts where none is needed, more lets the drag stutter."""
_DRAFT_SIDE = 512
"""Of a draft's picture: more is sharper while dragging, and slower on large screens."""
_SMALL_AVATAR_POINTS = 24_000
"""Up to so many no draft is drawn before anything was timed: with more the first drag may
stutter."""
_THUMBNAIL_POINTS = 100_000
"""Of a whole head; more only takes longer: a thumbnail shows no more of them."""


class SessionLike(Protocol):
    """What of `pegasus_runtime.Session` is used here; tests bring their own."""

    device: Any

    def render(
        self,
        params: Any,
        camera: Any,
        passes: Any = ("rgb",),
        background: Any = (1.0, 1.0, 1.0),
        max_points: int | None = None,
        interrupted: Interrupted | None = None,
    ) -> Frame:
        """See `pegasus_runtime.Session.render`."""


SessionMaker = Callable[[Avatar], SessionLike]


def make_session(avatar: Avatar) -> SessionLike:
    """A session on the best device."""
    from pegasus_runtime.session import Session

    return Session(avatar)


class Renderer:
    """Three sessions of one avatar, because each keeps the work of its latest request.

    A draft must not throw away what the full picture can use again, and a thumbnail neither.
    """

    def __init__(
        self,
        avatar: Avatar,
        make: SessionMaker = make_session,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.avatar = avatar
        self._make, self._clock = make, clock
        self._sessions: dict[str, SessionLike] = {}
        self._draft_size = DraftSize(avatar.num_points, avatar.legible_points)
        self._seconds: dict[str, float] = {}
        self._last: RenderRequest | None = None

    @property
    def device(self) -> str:
        """The device's name for the user."""
        return str(self._session("draft").device)

    def _session(self, use: str) -> SessionLike:
        """One of the three, made when it is first needed: the first picture waits for one only."""
        session = self._sessions.get(use)
        if session is None:
            session = self._sessions[use] = self._make(self.avatar)
        return session

    def is_slow(self, request: RenderRequest) -> bool:
        """Whether a full picture of this request would make a drag stutter."""
        kind = self._kind(request)
        # The first picture of a large avatar comes as a draft, so that a face is there soon; where
        # a draft leaves out less than half, it would come no sooner.
        is_large = self.avatar.num_points > _SMALL_AVATAR_POINTS
        is_large = is_large and 2 * self.avatar.legible_points < self.avatar.num_points
        unknown = 1.0 if is_large else 0.0
        return self._seconds.get(kind, unknown) > SLOW_S

    def render_full(
        self, request: RenderRequest, interrupted: Interrupted | None = None
    ) -> Picture:
        """All points, at the size asked for.

        Raises:
            pegasus_runtime.errors.Interrupted: ``interrupted`` said so; what was done is kept.
        """
        kind = self._kind(request)
        picture = self._render("full", request, request.image_size, None, interrupted)
        self._seconds[kind] = picture.seconds
        self._last = request
        return picture

    def render_draft(self, request: RenderRequest) -> Picture:
        """Fewer points and pixels; as many as the time allows that a drag leaves."""
        size = _limited(request.image_size, _DRAFT_SIDE)
        worn = request.face.attributes
        picture = self._render("draft", request, size, self._draft_size.count(worn))
        self._draft_size.learn(worn, picture.seconds)
        return picture

    def render_thumbnail(self, face: Face, framing: Framing, side: int) -> Pixels:
        """A small square picture (side, side, 4) of what is framed."""
        # Cut out of a larger picture: a closer camera would part points of a set size.
        whole, rows, columns = framing.square(side)
        points = min(round(_THUMBNAIL_POINTS * (whole / side) ** 2), self.avatar.num_points)
        request = RenderRequest(face, framing.view(self.avatar), (whole, whole))
        pixels = on_host(self._render("small", request, request.image_size, points).pixels)
        return np.ascontiguousarray(pixels[rows, columns])

    def _render(
        self,
        use: str,
        request: RenderRequest,
        size: tuple[int, int],
        max_points: int | None,
        interrupted: Interrupted | None = None,
    ) -> Picture:
        started = self._clock()
        name = request.pass_name
        frame = self._session(use).render(
            request.face.parameters(),
            request.view.camera(size),
            passes=passes_for(name),
            background=None,
            max_points=max_points,
            interrupted=interrupted,
        )
        pixels = to_pixels(frame, name)
        seconds = self._clock() - started
        return Picture(pixels, request, max_points is not None, seconds, frame.num_points)

    def _kind(self, request: RenderRequest) -> str:
        # What has changed since the last full picture decides what has to be computed again.
        last = self._last
        if last is None or last.face.attributes != request.face.attributes:
            return "attributes"
        return "view" if last.face == request.face else "pose"


def _limited(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
