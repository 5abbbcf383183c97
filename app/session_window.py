"""The window together with the editor behind it: what is opened, kept and closed as one."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from app.actions import Actions
from app.application import GuiDispatch
from app.binding import Binding
from app.controllers.editor import Editor
from app.controllers.opening import Loader, load
from app.main_window import LAYOUT_VERSION, MainWindow
from app.rendering.renderer import SessionMaker, make_session
from app.state.preferences import Preferences
from app.training_menu import TrainingMenu
from app.widgets.theme import apply_theme

_UNSEEN_MS = 300
"""A window that is minimised draws nothing: it has its panels so long after a picture is made."""


class EditorWindow(MainWindow):
    """What `open_editor` shows."""

    def __init__(
        self,
        preferences: Preferences,
        make: SessionMaker = make_session,
        loader: Loader = load,
    ) -> None:
        self._apply_theme(preferences.theme)
        super().__init__()
        self.preferences = preferences
        self.dispatch = GuiDispatch()
        self.editor = Editor(self.dispatch, preferences, make, loader)
        self.binding = Binding(self, self.editor)
        self.actions_ = Actions(self.binding, self.set_theme)
        self.training = TrainingMenu(self, self.editor, self.dispatch)
        self._restore()
        self.is_dressed = False
        """Whether the panels and the icons are there, for which the first picture does not wait."""
        self.viewport.picture_drawn.connect(lambda: self._dress_in(0))
        self.editor.live.picture_ready.connect(lambda _: self._dress_in(_UNSEEN_MS))
        for failed in (self.editor.opening.failed, self.editor.live.failed):
            failed.connect(lambda *_: self._dress())
        self.editor.start()

    def _dress_in(self, milliseconds: int) -> None:
        if not self.is_dressed:
            QTimer.singleShot(milliseconds, self._dress)

    def _dress(self) -> None:
        """Once a face is there, or cannot be: what it need not wait for."""
        if not self.is_dressed:
            self.is_dressed = True
            self.binding.show_panels()
            self.actions_.show_icons()

    def set_theme(self, name: str) -> None:
        """Use another theme, "dark" or "light", from now on."""
        self.preferences.theme = name
        self._apply_theme(name)
        self.actions_.show_icons()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.preferences.geometry = _text(self.saveGeometry())
        self.preferences.layout = _text(self.saveState(LAYOUT_VERSION))
        self.editor.close()
        self.dispatch.stop()
        super().closeEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped_file(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = _dropped_file(event)
        if path is not None:
            event.acceptProposedAction()
            self.editor.opening.open(str(path))

    def _restore(self) -> None:
        if self.preferences.geometry:
            self.restoreGeometry(_bytes(self.preferences.geometry))
        if self.preferences.layout:
            self.restoreState(_bytes(self.preferences.layout), LAYOUT_VERSION)

    @staticmethod
    def _apply_theme(name: str) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        apply_theme(application, name)


def _dropped_file(event: QDropEvent) -> Path | None:
    paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
    return paths[0] if paths else None


def _text(state: QByteArray) -> str:
    return bytes(state.toBase64().data()).decode("ascii")


def _bytes(text: str) -> QByteArray:
    return QByteArray.fromBase64(text.encode("ascii", "ignore"))
