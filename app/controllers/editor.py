"""Everything behind the window, put together. Runs with no window at all."""

from __future__ import annotations

import threading
from pathlib import Path

from app.controllers.autosave import Autosave
from app.controllers.avatar_loader import AvatarLoader, Loader, load
from app.controllers.dispatch import Dispatch
from app.controllers.exporter import Exporter
from app.controllers.live_view import LiveView
from app.controllers.preparation import Preparation
from app.controllers.recent_pictures import keep_picture
from app.controllers.thumbnails import Thumbnails
from app.rendering.renderer import SessionMaker, make_session
from app.rendering.request import on_host
from app.state.display import BACKGROUNDS, Display
from app.state.document import Document
from app.state.jobs import Activity
from app.state.preferences import Preferences
from app.state.project import save_project
from pegasus_runtime.assets import file_sha256
from pegasus_runtime.files import sweep_leftovers


class Editor:
    """The document and what works on it."""

    def __init__(
        self,
        dispatch: Dispatch,
        preferences: Preferences,
        make: SessionMaker = make_session,
        loader: Loader = load,
    ) -> None:
        self.preferences = preferences
        self.document = Document()
        self.activity = Activity()
        self.live = LiveView(self.document, dispatch, make)
        self.thumbnails = Thumbnails(self.document, self.live, dispatch)
        self.avatar_loader = AvatarLoader(
            self.document, self.activity, preferences, dispatch, loader
        )
        self.exporter = Exporter(self.document, self.activity, dispatch, make)
        self.autosave = Autosave(self.document, self.activity, dispatch)
        self.avatar_loader.recovered.connect(self.autosave.supersede)
        self.document.undoes_camera = preferences.undo_camera
        self._restore_display()
        self.live.failed.connect(lambda error: self.activity.log(str(error), "error"))
        self.preparation = Preparation(self.activity, dispatch)
        self.live.picture_ready.connect(lambda _: self.preparation.end())
        self.live.failed.connect(lambda _: self.preparation.end())

    def start(self) -> None:
        """Start rendering and keeping the journal."""
        self.live.start()
        self.autosave.start()
        # Where the last files were: a killed export may have left something there.
        folder = self.preferences.last_folder
        if folder:
            threading.Thread(target=sweep_leftovers, args=(Path(folder),), daemon=True).start()

    def close(self, keeps_journal: bool = False) -> None:
        """Stop everything and keep the preferences; see `Autosave.close`."""
        self.preparation.end()
        self.exporter.cancel_all()
        self.autosave.close(keeps_journal)
        self.live.stop()
        self.preferences.keep()

    def set_undo_camera(self, included: bool) -> None:
        """Whether camera and display belong to undo from now on."""
        self.document.undoes_camera = self.preferences.undo_camera = included
        self.preferences.keep()

    def save(self, path: Path) -> None:
        """Write the document as a project, which it is from now on.

        Raises:
            InvalidInput: the avatar is no file, or the project cannot be written.
        """
        document = self.document
        assert document.avatar is not None
        if not document.avatar_sha256 and document.avatar.path is not None:
            document.avatar_sha256 = file_sha256(document.avatar.path)
        kept = document.snapshot
        save_project(path, document.avatar, kept, document.unknown, document.avatar_sha256)
        document.mark_saved(path, kept)
        self.preferences.add_recent(path)
        self.preferences.last_folder = str(path.parent)
        self.preferences.keep()
        self.keep_thumbnail()
        self.activity.log(f"Saved {path}")

    def keep_thumbnail(self) -> None:
        """Keep a small picture of what is open, for the list of recent files."""
        document, latest = self.document, self.live.latest
        if document.avatar is not None and latest is not None:
            path = document.project or document.avatar.path
            if path is not None:
                keep_picture(path, on_host(latest.pixels), document.display)

    def choose_display(self, display: Display) -> None:
        """Show another pass or background; the background is the usual one from now on.

        What a project brings, or undo brings back, is its own.
        """
        self.document.set_display(display)
        self.document.usual_display, kept = display, self.preferences
        colour = list(display.colour)
        if (kept.background, kept.background_colour) != (display.background, colour):
            kept.background, kept.background_colour = display.background, colour
            kept.keep()

    def _restore_display(self) -> None:
        kept = self.preferences
        if kept.background in BACKGROUNDS and len(kept.background_colour) == 3:
            red, green, blue = (min(max(float(x), 0.0), 1.0) for x in kept.background_colour)
            usual = Display(background=kept.background, colour=(red, green, blue))
            self.document.usual_display = usual
            self.document.set_display(usual)
