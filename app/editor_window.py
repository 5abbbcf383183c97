"""The window together with the editor behind it: what is opened, kept and closed as one."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QEvent, QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from app.actions import Actions
from app.avatar_menu import AvatarMenu
from app.bindings import Bindings
from app.controllers.avatar_loader import Loader, load
from app.controllers.editor import Editor
from app.controllers.performance import Performance
from app.gui_thread import GuiDispatch
from app.main_window import LAYOUT_VERSION, MainWindow
from app.projects import Projects
from app.rendering.renderer import SessionMaker, make_session
from app.state.app_dirs import folder_problems
from app.state.journal import find_recoveries
from app.state.preferences import Preferences
from app.training_menu import TrainingMenu
from app.widgets.theme import apply_theme
from pegasus_runtime.video_names import is_video_name

_UNSEEN_MS = 300
"""A window that is minimised draws nothing: it has its panels so long after a picture is made. Less
makes them before a picture that comes late, more shows them later."""
_LAYOUT_MS = 1000
"""So long after it was changed last, the window's place is kept. Less writes while it is dragged,
more loses the last change at a crash."""
_LAYOUT_EVENTS = (QEvent.Type.Resize, QEvent.Type.Move, QEvent.Type.LayoutRequest)


class EditorWindow(MainWindow):
    """What `open_editor` shows."""

    is_populated = False
    """Whether the panels and the icons are there, for which the first picture does not wait."""

    def __init__(
        self,
        preferences: Preferences,
        make: SessionMaker = make_session,
        loader: Loader = load,
    ) -> None:
        self._apply_theme(preferences.theme)
        super().__init__()
        self._layout_timer = QTimer(self)
        self._layout_timer.setSingleShot(True)
        self._layout_timer.timeout.connect(self._keep_layout)
        self.preferences = preferences
        self.dispatch = GuiDispatch()
        self.editor = Editor(self.dispatch, preferences, make, loader)
        self.binding = Bindings(self, self.editor)
        self.projects = Projects(self, self.editor)
        self.actions_ = Actions(self.binding, self.projects, self.set_theme)
        self.training = TrainingMenu(self, self.editor, self.dispatch, self.projects.open)
        self.avatar_menu = AvatarMenu(self, self.editor, self.projects, self.dispatch)
        self.start_screen.video_asked.connect(self.training.new_video.trigger)
        self.start_screen.personal_asked.connect(self.training.new_personal.trigger)
        self.start_screen.training_asked.connect(self.training.new.trigger)
        self.start_screen.evaluation_asked.connect(self.avatar_menu.evaluate.trigger)
        self.performance = Performance(self.editor, self)
        self._may_close = self._keeps_journal = False
        self._has_thumbnail = False
        self._restore()
        self._tell_problems()
        self.viewport.picture_drawn.connect(lambda: self._populate_in(0))
        self.editor.live.picture_ready.connect(lambda _: self._populate_in(_UNSEEN_MS))
        for failed in (self.editor.avatar_loader.failed, self.editor.live.failed):
            failed.connect(lambda *_: self._populate())
        self.editor.avatar_loader.opened.connect(self._on_opened)
        self.editor.live.picture_ready.connect(lambda _: self._keep_thumbnail())
        self.editor.start()

    def _on_opened(self) -> None:
        self._has_thumbnail = False

    def _keep_thumbnail(self) -> None:
        if not self._has_thumbnail and self.is_populated and self.editor.live.is_settled:
            self._has_thumbnail = True
            self.editor.keep_thumbnail()

    def _populate_in(self, milliseconds: int) -> None:
        if not self.is_populated:
            QTimer.singleShot(milliseconds, self._populate)

    def _populate(self) -> None:
        """Once a face is there, or cannot be: what it need not wait for."""
        if not self.is_populated:
            self.is_populated = True
            self.binding.show_panels()
            self.actions_.show_icons()

    def set_theme(self, name: str) -> None:
        """Use another theme, "dark" or "light", from now on."""
        self.preferences.theme = name
        self.preferences.keep()
        self._apply_theme(name)
        self.actions_.show_icons()

    def offer_recovery(self) -> bool:
        """Ask about work that was not saved when an editor was ended, once a face is there.

        Returns:
            whether there is any.
        """
        found = find_recoveries()
        if found:
            QTimer.singleShot(0, lambda: self.projects.offer(found))
        return bool(found)

    def greet(self) -> None:
        """Let what is opened first play its greeting, unless the user wants none."""
        if self.preferences.plays_greeting:
            self.performance.play()

    def close_discarding(self) -> None:
        """Close without asking what becomes of unsaved work."""
        self._may_close = True
        self.close()

    def close_unasked(self) -> None:
        """The system wants the editor gone: unsaved work is offered at the next start."""
        self._keeps_journal = True
        self.close_discarding()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.editor.document.is_modified and not self._may_close:
            event.ignore()
            self.projects.when_saved(self.close_discarding)
            return
        self._layout_timer.stop()
        self.performance.stop()
        self._keep_layout()
        self.editor.keep_thumbnail()
        self.avatar_menu.jobs.cancel_all()
        self.editor.close(self._keeps_journal)
        self.dispatch.stop()
        super().closeEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() in _LAYOUT_EVENTS and self.is_populated:
            self._layout_timer.start(_LAYOUT_MS)
        return super().event(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped_file(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = _dropped_file(event)
        if path is not None:
            event.acceptProposedAction()
            if is_video_name(path):
                self.training.new_from_video(path)
            else:
                self.projects.open(str(path))

    def _restore(self) -> None:
        kept = self.preferences
        if kept.geometry and not self.restoreGeometry(_bytes(kept.geometry)):
            kept.with_problem("The window's place cannot be read.")
        layout = _bytes(kept.layout)
        if layout and not self.restoreState(layout, LAYOUT_VERSION) and not _is_older(layout):
            kept.with_problem("The layout of the window cannot be read.")

    def _keep_layout(self) -> None:
        kept = self.preferences
        before = kept.geometry, kept.layout
        kept.geometry = _text(self.saveGeometry())
        kept.layout = _text(self.saveState(LAYOUT_VERSION))
        if (kept.geometry, kept.layout) != before:
            kept.keep()

    def _tell_problems(self) -> None:
        log = self.editor.activity.log
        self.preferences.on_problem = lambda text: log(text, "error")
        for text in (*folder_problems(), self.preferences.problem):
            if text:
                log(text, "error")
                self.activity_dock.show()

    @staticmethod
    def _apply_theme(name: str) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        apply_theme(application, name)


def _dropped_file(event: QDropEvent) -> Path | None:
    paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
    return paths[0] if paths else None


def _is_older(layout: QByteArray) -> bool:
    """Whether an older editor kept it, which had other docks."""
    marker, version = layout.data()[:4], layout.data()[4:8]
    return marker == b"\0\0\0\xff" and int.from_bytes(version) < LAYOUT_VERSION


def _text(state: QByteArray) -> str:
    return bytes(state.toBase64().data()).decode("ascii")


def _bytes(text: str) -> QByteArray:
    return QByteArray.fromBase64(text.encode("ascii", "ignore"))
