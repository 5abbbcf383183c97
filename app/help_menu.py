"""What the keys do, and what this program is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from platform import platform, python_version

from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QAction, QIcon, QKeySequence
from PySide6.QtWidgets import QApplication, QMainWindow, QMessageBox

from app.state.preferences import Preferences

_MOUSE = (
    ("Left drag", "turn around the head"),
    ("Shift + left drag, middle drag", "move the picture"),
    ("Wheel", "zoom"),
    ("Double-click a slider", "back to its default"),
    ("Drop an avatar or a project", "open it"),
)


class HelpMenu:
    """The last menu of the window."""

    def __init__(self, window: QMainWindow, preferences: Preferences) -> None:
        self._window, self._preferences = window, preferences
        menu = window.menuBar().addMenu("&Help")
        self.shortcuts = menu.addAction("&Keys and mouse", self.show_shortcuts)
        self.shortcuts.setShortcut(QKeySequence("F1"))
        self.greeting = menu.addAction("&Play a greeting at the start")
        self.greeting.setCheckable(True)
        self.greeting.setChecked(preferences.plays_greeting)
        self.greeting.toggled.connect(self._set_greeting)
        menu.addAction("&About", self.show_about)

    def show_shortcuts(self) -> QMessageBox:
        """A list of every key, read from the menus, so that it is never out of date."""
        keys = [(_key(action), _title(action)) for action in self._actions() if _key(action)]
        return self._show("Keys and mouse", _table([*_MOUSE, *keys]))

    def show_about(self) -> QMessageBox:
        """What a report of a problem should name; a button copies it."""
        facts = diagnostics()
        text = "\n".join(f"{name}: {value}" for name, value in facts)
        return self._show("About the PEGASUS editor", _table(facts), text)

    def _set_greeting(self, plays: bool) -> None:
        self._preferences.plays_greeting = plays
        self._preferences.keep()

    def _actions(self) -> list[QAction]:
        return [
            action
            for action in self._window.findChildren(QAction)
            if not action.shortcut().isEmpty()
        ]

    def _show(self, title: str, html: str, to_copy: str = "") -> QMessageBox:
        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle(title)
        box.setTextFormat(Qt.TextFormat.RichText)
        box.setText(f"<b>{title}</b>")
        box.setInformativeText(html)
        close = box.addButton(QMessageBox.StandardButton.Close)
        close.setIcon(QIcon())
        if to_copy:
            copy = box.addButton("Copy", QMessageBox.ButtonRole.ActionRole)
            # Qt would close the dialog for any of its buttons.
            copy.clicked.disconnect()
            copy.clicked.connect(lambda: QApplication.clipboard().setText(to_copy))
        box.open()
        return box


def diagnostics() -> list[tuple[str, str]]:
    """Versions of the program and of what it stands on."""
    names = ("pegasus-editor", "torch", "numba", "moderngl", "PySide6-Essentials")
    found = [(name, _version(name)) for name in names]
    return [*found, ("Qt", qVersion() or "?"), ("Python", python_version()), ("System", platform())]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed with pip"


def _key(action: QAction) -> str:
    return action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)


def _title(action: QAction) -> str:
    # The texts of undo and redo name what they would change; this one stays.
    title = action.whatsThis() or action.text()
    return title.replace("&", "").rstrip(" …")


def _table(rows: list[tuple[str, str]]) -> str:
    lines = (f"<tr><td><b>{a}</b>&nbsp;&nbsp;&nbsp;</td><td>{b}</td></tr>" for a, b in rows)
    return f"<table cellpadding='2'>{''.join(lines)}</table>"
