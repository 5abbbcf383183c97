"""Menus, their actions and shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QActionGroup, QIcon, QKeySequence, QPixmap
from PySide6.QtWidgets import QFileDialog, QMenu, QToolButton

from app.bindings import Bindings
from app.help_menu import HelpMenu
from app.projects import Projects
from app.state.app_dirs import home_folder
from app.state.view import PRESET_KEYS
from app.widgets.start_screen import recent_icon
from app.widgets.theme import colours
from pegasus_runtime.files import suggested_name

PICTURE_FILTER = "PNG picture (*.png);;JPEG picture (*.jpg)"
_Keys = QKeySequence.StandardKey
_ICON_SIDE = 18
"""Points; about the height of the words beside them."""


class Actions:
    """What the user can do from the menus and by keys."""

    def __init__(
        self, binding: Bindings, projects: Projects, set_theme: Callable[[str], None]
    ) -> None:
        self._projects = projects
        self._binding, self._window, self._editor = binding, binding.window, binding.editor
        self._set_theme = set_theme
        self._make_file()
        self._make_edit()
        self._make_view()
        self.help = HelpMenu(self._window, self._editor.preferences)
        self._make_toolbar()
        self._editor.document.history.changed.connect(self._show_history)
        self._editor.document.avatar_changed.connect(self._show_avatar)
        self._show_history()
        self._show_avatar()

    def _make_file(self) -> None:
        menu, projects, keys = self._window.menuBar().addMenu("&File"), self._projects, _Keys
        self.open = self._add(menu, "&Open …", projects.ask_open, keys.Open)
        self.recent = menu.addMenu("Open &recent")
        self.recent.setObjectName("recent")
        self.recent.aboutToShow.connect(self._fill_recent)
        self._add(menu, "Open &demo avatar", lambda: projects.open("demo"))
        self.close = self._add(menu, "&Close", projects.close, keys.Close)
        menu.addSeparator()
        self.save = self._add(menu, "&Save project", projects.save, keys.Save)
        self.save_as = self._add(menu, "Save project &as …", projects.save_as, "Ctrl+Shift+S")
        menu.addSeparator()
        self.picture = self._add(menu, "Save &picture …", self.ask_picture, "P")
        self.turntable = self._add(menu, "Export &turntable …", self._binding.show_export, "T")
        menu.addSeparator()
        self._add(menu, "&Quit", self._window.close, keys.Quit)

    def _make_edit(self) -> None:
        document, menu = self._editor.document, self._window.menuBar().addMenu("&Edit")
        self.undo = self._add(menu, "&Undo", document.undo, QKeySequence.StandardKey.Undo)
        self.redo = self._add(menu, "&Redo", document.redo, QKeySequence.StandardKey.Redo)
        menu.addSeparator()
        self._add(menu, "Reset &expression", document.reset_expression)
        self._add(menu, "Reset &pose", document.reset_pose)
        self.reset = self._add(menu, "Reset &all", document.reset_face, "Ctrl+R")
        menu.addSeparator()
        self.undo_camera = self._add(menu, "Undo includes &camera and display", _nothing)
        self.undo_camera.setCheckable(True)
        self.undo_camera.setChecked(self._editor.preferences.undo_camera)
        self.undo_camera.toggled.connect(self._editor.set_undo_camera)

    def _make_view(self) -> None:
        document, menu = self._editor.document, self._window.menuBar().addMenu("&View")
        self.frame = self._add(menu, "&Frame head", document.frame_head, "F")
        self._add(menu, "&Reset camera", document.reset_view, "Home")
        presets = menu.addMenu("Look from")
        for name, key in PRESET_KEYS.items():
            self._add(presets, name, partial(self._turn_to, name), key)
        menu.addSeparator()
        for dock in self._window.docks:
            menu.addAction(dock.toggleViewAction())
        menu.addSeparator()
        self._make_themes(menu)

    def _make_toolbar(self) -> None:
        bar = self._window.addToolBar("Tools")
        bar.setObjectName("tools")
        bar.setMovable(False)
        bar.setIconSize(QSize(_ICON_SIDE, _ICON_SIDE))
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._buttons = {
            "mdi6.folder-open-outline": (self.open, "Open"),
            "mdi6.content-save-outline": (self.save, "Save"),
            "mdi6.undo": (self.undo, ""),
            "mdi6.redo": (self.redo, ""),
            "mdi6.restore": (self.reset, "Reset all"),
            "mdi6.image-filter-center-focus": (self.frame, "Frame"),
            "mdi6.camera-outline": (self.picture, "Picture"),
            "mdi6.rotate-orbit": (self.turntable, "Turntable"),
        }
        # Icons come later (`show_icons`); until then their places are kept.
        place = QPixmap(_ICON_SIDE, _ICON_SIDE)
        place.fill(Qt.GlobalColor.transparent)
        for action, title in self._buttons.values():
            action.setIcon(QIcon(place))
            bar.addAction(action)
            action.setIconText(title)
            button = bar.widgetForAction(action)
            if not title and isinstance(button, QToolButton):
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)

    def show_icons(self) -> None:
        """Draw the icons in the theme's colours."""
        # Its fonts take a quarter of a second to read.
        import qtawesome

        c = colours()
        for name, (action, _) in self._buttons.items():
            action.setIcon(qtawesome.icon(name, color=c.text, color_disabled=c.disabled))

    def _turn_to(self, preset: str) -> None:
        document = self._editor.document
        document.end_gesture()
        document.set_view(document.view.turned_to(preset))
        document.end_gesture()

    def _make_themes(self, menu: QMenu) -> None:
        group = QActionGroup(menu)
        for name, title in (("dark", "&Dark theme"), ("light", "&Light theme")):
            action = self._add(menu, title, partial(self._set_theme, name))
            action.setCheckable(True)
            action.setChecked(self._editor.preferences.theme == name)
            group.addAction(action)

    def _add(
        self,
        menu: QMenu,
        title: str,
        run: Callable[[], object],
        key: str | QKeySequence.StandardKey | None = None,
    ) -> QAction:
        action = QAction(title, menu)
        action.setWhatsThis(title)
        if key is not None:
            action.setShortcut(QKeySequence(key))
            text = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
            action.setToolTip(f"{title.replace('&', '').strip(' …')} ({text})")
        action.triggered.connect(lambda _=False: run())
        menu.addAction(action)
        return action

    def ask_picture(self) -> None:
        """Let the user choose where the picture goes, and write it."""
        avatar = self._editor.document.avatar
        if avatar is None:
            return
        folder = Path(self._editor.preferences.last_folder or home_folder())
        chosen, _ = QFileDialog.getSaveFileName(
            self._window,
            "Save picture",
            str(folder / f"{suggested_name(avatar.name)}.png"),
            PICTURE_FILTER,
        )
        if chosen:
            self._binding.save_picture(Path(chosen))

    def _fill_recent(self) -> None:
        self.recent.clear()
        files = self._projects.recent_files()
        for recent in files:
            action = self._add(self.recent, recent.title, partial(self._projects.open, recent.path))
            action.setIcon(recent_icon(recent))
            action.setIconVisibleInMenu(True)
            action.setToolTip(recent.path)
        self.recent.setToolTipsVisible(True)
        if not files:
            self.recent.addAction("Nothing opened yet").setEnabled(False)

    def _show_history(self) -> None:
        history = self._editor.document.history
        for action, word, label in (
            (self.undo, "&Undo", history.undo_label),
            (self.redo, "&Redo", history.redo_label),
        ):
            action.setText(f"{word} {label}" if label else word)
            action.setIconText(word.strip("&"))
            key = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            action.setToolTip(f"{action.text().strip('&')} ({key})")
            action.setEnabled(label is not None)

    def _show_avatar(self) -> None:
        has_avatar = self._editor.document.avatar is not None
        for action in (self.close, self.save, self.save_as, self.picture, self.turntable):
            action.setEnabled(has_avatar)


def _nothing() -> None:
    """What an action does whose being checked is all."""
