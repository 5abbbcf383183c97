"""The render thread: one slot in which the newest request replaces the one that waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from app.rendering.renderer import Renderer, SessionMaker, make_session
from app.rendering.request import Picture, RenderRequest
from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.errors import Interrupted

_SETTLE_S = 0.04
"""After a draft, so long without a new request and the full picture is begun. Less begins pictures
that the next request interrupts, more shows drafts for longer."""
BackgroundTask = Callable[[Renderer], None]


class RenderLoop:
    """Renders on a thread of its own. Every callback is called on that thread.

    Order of work: an avatar to open, the newest request, the full picture that follows a draft,
    and only when nothing else waits a background task such as a thumbnail.
    """

    def __init__(
        self,
        on_picture: Callable[[Picture], None],
        on_opened: Callable[[Avatar, str], None],
        on_error: Callable[[BaseException], None],
        make: SessionMaker = make_session,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._on_picture, self._on_opened, self._on_error = on_picture, on_opened, on_error
        self._make, self._clock = make, clock
        self._wake = threading.Condition()
        self._avatar: Avatar | None = None
        self._request: RenderRequest | None = None
        self._background: deque[BackgroundTask] = deque()
        self._stopping = False
        self._renderer: Renderer | None = None
        self._unrefined: RenderRequest | None = None
        self._thread = threading.Thread(target=self._run, name="render", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the picture that is being made, and end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    def open(self, avatar: Avatar) -> None:
        """Render this avatar from now on; what waited for the old one is dropped."""
        with self._wake:
            self._avatar, self._request = avatar, None
            self._background.clear()
            self._wake.notify()

    def submit(self, request: RenderRequest) -> None:
        """Ask for a picture; replaces a request that has not been started."""
        with self._wake:
            self._request = request
            self._wake.notify()

    def submit_background(self, task: BackgroundTask) -> None:
        """Do this when there is nothing better to do."""
        with self._wake:
            self._background.append(task)
            self._wake.notify()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except BaseException as error:
                self._on_error(error)

    def _next(self) -> Callable[[], None] | None:
        with self._wake:
            if self._unrefined is not None and not self._has_news():
                self._wake.wait(_SETTLE_S)
            while True:
                if self._stopping:
                    return None
                work = self._take()
                if work is not None:
                    return work
                self._wake.wait()

    def _has_news(self) -> bool:
        return self._stopping or self._avatar is not None or self._request is not None

    def _take(self) -> Callable[[], None] | None:
        if self._avatar is not None:
            avatar, self._avatar = self._avatar, None
            self._unrefined = None
            return lambda: self._open(avatar)
        renderer = self._renderer
        if renderer is None:
            return None
        if self._request is not None:
            request, self._request = self._request, None
            return lambda: self._render(renderer, request)
        if self._unrefined is not None:
            unrefined, self._unrefined = self._unrefined, None
            return lambda: self._refine(renderer, unrefined)
        if self._background:
            task = self._background.popleft()
            return lambda: task(renderer)
        return None

    def _open(self, avatar: Avatar) -> None:
        self._renderer = None
        self._renderer = Renderer(avatar, self._make, self._clock)
        self._on_opened(avatar, self._renderer.device)

    def _render(self, renderer: Renderer, request: RenderRequest) -> None:
        # Until there is a full picture: one that fails is tried once more.
        self._unrefined = request
        if renderer.is_slow(request):
            self._on_picture(renderer.render_draft(request))
        else:
            self._on_picture(renderer.render_full(request))
            self._unrefined = None

    def _refine(self, renderer: Renderer, request: RenderRequest) -> None:
        # Once interrupted nothing is lost: the request that did it has a full picture of its own.
        with suppress(Interrupted):
            self._on_picture(renderer.render_full(request, self._has_news))
