"""Opening avatars without making the window wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.controllers.dispatch import Dispatch, run_in_background
from app.state.display import Display
from app.state.document import Document, Snapshot
from app.state.jobs import Activity, Job
from app.state.journal import Recovery, Restored
from app.state.preferences import Preferences
from app.state.project import (
    AvatarNotFound,
    OtherAvatar,
    Project,
    find_avatar,
    is_demo,
    is_project,
    read_project,
)
from app.state.records import FaceReading
from app.state.signal import Signal
from pegasus_runtime.assets import file_sha256
from pegasus_runtime.avatar.avatar import Avatar

Loader = Callable[[str], Avatar]
Retry = Callable[[Path], None]


@dataclass(frozen=True)
class _Loaded:
    avatar: Avatar
    project: Project | None = None
    kept: Snapshot | None = None
    reading: FaceReading | None = None
    has_other_avatar: bool = False


def load(source: str) -> Avatar:
    """The runtime's own loader, imported late because it brings torch."""
    from pegasus_runtime.avatar_file import load_avatar

    return load_avatar(source)


def loader_with_head(head: Path | None) -> Loader:
    """A loader that tries ``head`` first, if one is given, and then the asset folder.

    An avatar opened later in the same window may need another head than the one given.
    """
    if head is None:
        return load

    def load_with(source: str) -> Avatar:
        from pegasus_runtime.avatar_file import load_avatar

        try:
            return load_avatar(source, head=head)
        except ValueError as refused:
            try:
                return load_avatar(source)
            except ValueError:
                raise refused from None

    return load_with


class Preloader:
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


def avatar_source(source: str) -> str | None:
    """What has to be loaded for a path; None where that is found out while it is opened."""
    if not is_project(source):
        return source
    try:
        return find_avatar(read_project(source))
    except (OSError, ValueError):
        return None


class AvatarLoader:
    """Loads in the background; the avatar that is open stays until the new one is whole."""

    def __init__(
        self,
        document: Document,
        activity: Activity,
        preferences: Preferences,
        dispatch: Dispatch,
        loader: Loader = load,
    ) -> None:
        self.opened: Signal[[]] = Signal()
        self.failed: Signal[[str, BaseException]] = Signal()
        self.left_out: Signal[[Project, list[str]]] = Signal()
        """what a project says that its avatar does not have"""
        self.avatar_wanted: Signal[[AvatarNotFound | OtherAvatar, Retry]] = Signal()
        """an avatar is missing or another one; call again with the file to take"""
        self.recovered: Signal[[Path]] = Signal()
        """what this journal held is open"""
        self._document, self._activity, self._preferences = document, activity, preferences
        self._dispatch, self._loader = dispatch, loader
        self._newest = 0
        self.num_opening = 0
        self._heads: list[Path] = []

    def add_head(self, head: Path) -> None:
        """Try a head file, too, for avatars whose head is not found otherwise."""
        self._heads.append(head)

    def head_file(self, sha256: str) -> Path | None:
        """Which of these files is the head with a checksum; None for the free head and others."""
        from pegasus_runtime.assets import file_sha256

        for head in reversed(self._heads):
            with suppress(OSError):
                if file_sha256(head) == sha256:
                    return head
        return None

    @property
    def newest_head(self) -> Path | None:
        """The one that was given last."""
        return self._heads[-1] if self._heads else None

    def open(self, source: str, avatar: Path | None = None) -> None:
        """Open the path of an avatar or a project, or "demo".

        Args:
            source: of two that are asked for, the later one wins.
            avatar: the file that a project shall take as its avatar, whatever it names.
        """
        number, job = self._begin(f"Opening {Path(source).name}")
        run_in_background(
            "open",
            lambda: self._load(source, avatar),
            lambda loaded: self._done(number, job, loaded),
            lambda error: self._failed(job, source, error, partial(self.open, source)),
            self._dispatch,
        )

    def reload(self, source: str) -> None:
        """Take a newer state of the avatar that is open, from a file that was written anew."""
        number, job = self._begin(f"Opening {Path(source).name}")
        run_in_background(
            "reload",
            lambda: self._load_avatar(source),
            lambda avatar: self._reloaded(number, job, avatar),
            lambda error: self._failed(job, source, error, partial(self.open, source)),
            self._dispatch,
        )

    def recover(self, recovery: Recovery, accepted: Path | None = None) -> None:
        """Open what an earlier editor had open when it ended, with its history.

        Args:
            recovery: its journal, which is this process's now.
            accepted: the file to take as its avatar, whatever the journal names.
        """
        number, job = self._begin(f"Restoring {recovery.title}")

        def work() -> tuple[Avatar, Restored]:
            avatar = self._loader(recovery.avatar_source(accepted))
            return avatar, recovery.restored(avatar)

        run_in_background(
            "recover",
            work,
            lambda found: self._recovered(number, job, recovery, *found),
            lambda error: self._failed(job, recovery.title, error, partial(self.recover, recovery)),
            self._dispatch,
        )

    def _begin(self, title: str) -> tuple[int, Job]:
        self._newest += 1
        self.num_opening += 1
        return self._newest, self._activity.start(title)

    def _load(self, source: str, accepted: Path | None) -> _Loaded:
        if not is_project(source):
            return _Loaded(self._load_avatar(source))
        project = read_project(source)
        avatar = self._load_avatar(find_avatar(project, accepted))
        kept, reading = project.snapshot(avatar, Display())
        return _Loaded(avatar, project, kept, reading, accepted is not None)

    def _load_avatar(self, source: str) -> Avatar:
        try:
            return self._loader(source)
        except ValueError:
            for head in reversed(self._heads):
                with suppress(ValueError, OSError):
                    return loader_with_head(head)(source)
            raise

    def _done(self, number: int, job: Job, loaded: _Loaded) -> None:
        self._end(job)
        if number != self._newest:
            return
        avatar, project = loaded.avatar, loaded.project
        if project is None:
            self._document.open(avatar)
        else:
            assert loaded.kept is not None and loaded.reading is not None
            path = project.path.absolute()
            self._document.open_project(avatar, path, loaded.kept, loaded.reading.unknown)
            if loaded.has_other_avatar:
                self._document.mark_unsaved()
        self._announce(avatar)
        if loaded.reading is not None and loaded.reading.missing:
            assert project is not None
            self._activity.log(f"Left out: {', '.join(loaded.reading.missing)}", "error")
            self.left_out.emit(project, loaded.reading.missing)

    def _reloaded(self, number: int, job: Job, avatar: Avatar) -> None:
        self._end(job)
        if number == self._newest:
            self._document.replace(avatar)
            self._announce(avatar)

    def _recovered(
        self, number: int, job: Job, recovery: Recovery, avatar: Avatar, restored: Restored
    ) -> None:
        self._end(job)
        if number != self._newest:
            return
        kept, project = restored.kept, restored.project
        self._document.open_project(avatar, project, kept, restored.unknown)
        self._document.restore(kept, restored.entries, restored.position)
        self._document.mark_unsaved()
        self.recovered.emit(recovery.path)
        self._announce(avatar)

    def _announce(self, avatar: Avatar) -> None:
        self._activity.log(f"Opened {avatar.name}: {avatar.num_points:,} points")
        path = self._document.project or avatar.path
        if path is not None and not is_demo(path):
            self._preferences.add_recent(path)
            self._preferences.last_folder = str(path.parent)
            self._preferences.keep()
        self._find_checksum(avatar)
        self.opened.emit()

    def _find_checksum(self, avatar: Avatar) -> None:
        """What a project names its avatar by: of the bytes that were loaded, so at once."""
        path = avatar.path
        if path is None:
            return

        def keep(sha256: str) -> None:
            if avatar is self._document.avatar:
                self._document.set_avatar_sha256(sha256)

        run_in_background(
            "checksum", lambda: file_sha256(path), keep, lambda _: None, self._dispatch
        )

    def _failed(self, job: Job, source: str, error: BaseException, retry: Retry) -> None:
        self._end(job)
        self._activity.log(str(error), "error")
        self.failed.emit(source, error)
        if isinstance(error, AvatarNotFound | OtherAvatar):
            self.avatar_wanted.emit(error, retry)

    def _end(self, job: Job) -> None:
        self.num_opening -= 1
        self._activity.end(job)
