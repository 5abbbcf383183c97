"""Opening avatars without making the window wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from app.controllers.dispatch import Dispatch, run_in_background
from app.state.activity import Activity, Job
from app.state.document import Document
from app.state.events import Event
from app.state.preferences import Preferences
from pegasus_runtime.avatar.avatar import Avatar

DEMO = "demo"
Loader = Callable[[str], Avatar]


def load(source: str) -> Avatar:
    """The runtime's own loader, imported late because it brings torch."""
    from pegasus_runtime.avatar.library import load_avatar

    return load_avatar(source)


def loader_with_head(head: Path | None) -> Loader:
    """A loader that tries ``head`` first, if one is given, and then the asset folder.

    An avatar opened later in the same window may need another head than the one given.
    """
    if head is None:
        return load

    def load_with(source: str) -> Avatar:
        from pegasus_runtime.avatar.library import load_avatar

        try:
            return load_avatar(source, head=head)
        except ValueError as refused:
            try:
                return load_avatar(source)
            except ValueError:
                raise refused from None

    return load_with


class EarlyLoader:
    """Loads one source at once, while the window that asks for it is still being made."""

    def __init__(self, loader: Loader, source: str) -> None:
        self._loader, self._source = loader, source
        self._found: Future[Avatar] | None = Future()
        threading.Thread(target=self._begin, args=(self._found,), name="load", daemon=True).start()

    def __call__(self, source: str) -> Avatar:
        """The avatar; from then on every source is loaded when it is asked for."""
        found, self._found = self._found, None
        return found.result() if found and source == self._source else self._loader(source)

    def _begin(self, found: Future[Avatar]) -> None:
        try:
            found.set_result(self._loader(self._source))
        except BaseException as error:
            found.set_exception(error)


class Opening:
    """Loads in the background; the avatar that is open stays until the new one is whole."""

    def __init__(
        self,
        document: Document,
        activity: Activity,
        preferences: Preferences,
        dispatch: Dispatch,
        loader: Loader = load,
    ) -> None:
        self.opened: Event[[]] = Event()
        self.failed: Event[[str, BaseException]] = Event()
        self._document, self._activity, self._preferences = document, activity, preferences
        self._dispatch, self._loader = dispatch, loader
        self._newest = 0

    def open(self, source: str, head: Path | None = None) -> None:
        """Open a path or "demo"; of two that are asked for, the later one wins.

        Args:
            source: what to open.
            head: tried first as the head that the avatar was made with.
        """
        self._newest += 1
        number = self._newest
        loader = loader_with_head(head) if head else self._loader
        job = self._activity.start(f"Opening {Path(source).name}")
        run_in_background(
            "open",
            lambda: loader(source),
            lambda avatar: self._done(number, job, avatar),
            lambda error: self._failed(job, source, error),
            self._dispatch,
        )

    def _done(self, number: int, job: Job, avatar: Avatar) -> None:
        self._activity.end(job)
        if number != self._newest:
            return
        self._document.open(avatar)
        self._activity.log(f"Opened {avatar.name}: {avatar.num_points:,} points")
        if avatar.path is not None:
            self._remember(avatar.path)
        self.opened.emit()

    def _remember(self, path: Path) -> None:
        if "resources" not in path.parts[-2:]:
            self._preferences.add_recent(path)
            self._preferences.last_folder = str(path.parent)

    def _failed(self, job: Job, source: str, error: BaseException) -> None:
        self._activity.end(job)
        self._activity.log(str(error), "error")
        self.failed.emit(source, error)
