"""Everything behind the window, put together. Runs with no window at all."""

from __future__ import annotations

from app.controllers.dispatch import Dispatch
from app.controllers.exporting import Exporting
from app.controllers.live_view import LiveView
from app.controllers.opening import Loader, Opening, load
from app.controllers.precision import Precision
from app.controllers.thumbnails import Thumbnails
from app.rendering.renderer import SessionMaker, make_session
from app.state.activity import Activity
from app.state.display import BACKGROUNDS, Display
from app.state.document import Document
from app.state.preferences import Preferences


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
        self._precision = Precision(preferences, dispatch)
        self.live = LiveView(self.document, dispatch, self._precision.maker(make))
        self.thumbnails = Thumbnails(self.document, self.live, dispatch)
        self.opening = Opening(self.document, self.activity, preferences, dispatch, loader)
        self.exporting = Exporting(self.document, self.activity, dispatch, make)
        # After the thumbnails, which somebody waits for.
        self.document.avatar_changed.connect(self._measure_precision)
        self._restore_display()
        self.live.failed.connect(lambda error: self.activity.log(str(error), "error"))

    def start(self) -> None:
        """Start rendering."""
        self.live.start()

    def close(self) -> None:
        """Stop everything and keep the preferences."""
        self.exporting.cancel_all()
        self.live.stop()
        display = self.document.display
        self.preferences.background = display.background
        self.preferences.background_colour = list(display.colour)
        self.preferences.save()

    def _measure_precision(self) -> None:
        if self.document.avatar is not None:
            self._precision.measure(self.document.avatar, self.live.loop)

    def _restore_display(self) -> None:
        kept = self.preferences
        if kept.background in BACKGROUNDS and len(kept.background_colour) == 3:
            red, green, blue = (min(max(float(x), 0.0), 1.0) for x in kept.background_colour)
            self.document.set_display(
                Display(background=kept.background, colour=(red, green, blue))
            )
