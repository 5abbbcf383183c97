"""Colours of the window: QDarkStyle, dark or light, with what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import qdarkstyle
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication
from qdarkstyle.dark.palette import DarkPalette
from qdarkstyle.light.palette import LightPalette

from app.state.preferences import THEMES

_PALETTES = dict(zip(THEMES, (DarkPalette, LightPalette), strict=True))
BEYOND_COLOUR = "#E0912F"
"""of the part of a strength slider above 1"""


@dataclass(frozen=True)
class Colours:
    """What widgets that draw themselves use."""

    window: str
    raised: str
    groove: str
    line: str
    text: str
    faint_text: str
    disabled: str
    accent: str
    accent_light: str


_current = "dark"


def colours() -> Colours:
    """The colours of the theme in use."""
    palette = _PALETTES[_current]
    dark = _current == "dark"
    return Colours(
        window=palette.COLOR_BACKGROUND_1,
        raised=palette.COLOR_BACKGROUND_2,
        groove=palette.COLOR_BACKGROUND_3,
        line=palette.COLOR_BACKGROUND_4,
        text=palette.COLOR_TEXT_1,
        faint_text=palette.COLOR_TEXT_4 if dark else palette.COLOR_TEXT_3,
        disabled=palette.COLOR_BACKGROUND_5,
        accent=palette.COLOR_ACCENT_3 if dark else palette.COLOR_ACCENT_4,
        accent_light=palette.COLOR_ACCENT_4 if dark else palette.COLOR_ACCENT_5,
    )


def apply_theme(application: QApplication, name: str) -> None:
    """Use a theme, "dark" or "light", everywhere."""
    global _current
    _current = name if name in THEMES else "dark"
    palette = _PALETTES[_current]
    sheet = qdarkstyle.load_stylesheet(qt_api="pyside6", palette=palette)
    application.setPalette(_qt_palette(colours()))
    application.setStyleSheet(sheet + _additions(colours()))


def _qt_palette(c: Colours) -> QPalette:
    palette = QPalette()
    roles = QPalette.ColorRole
    for role, colour in {
        roles.Window: c.window,
        roles.Base: c.window,
        roles.AlternateBase: c.raised,
        roles.Button: c.raised,
        roles.Text: c.text,
        roles.WindowText: c.text,
        roles.ButtonText: c.text,
        roles.PlaceholderText: c.faint_text,
        roles.Highlight: c.accent,
        roles.Link: c.accent_light,
    }.items():
        palette.setColor(role, QColor(colour))
    return palette


def _additions(c: Colours) -> str:
    return f"""
QMenuBar {{ background: {c.window}; padding: 2px 4px; }}
QStatusBar {{ background: {c.window}; border-top: 1px solid {c.groove}; color: {c.faint_text}; }}
QStatusBar::item {{ border: none; }}
QStatusBar QLabel {{ padding: 0 6px; color: {c.faint_text}; background: transparent; }}
QToolBar {{ background: {c.window}; border: none; border-bottom: 1px solid {c.groove};
    padding: 3px 6px; spacing: 2px; font-weight: 400; }}
QToolBar QToolButton {{ background: transparent; border: none; border-radius: 4px;
    padding: 5px 8px; }}
QToolBar QToolButton:disabled {{ background: transparent; color: {c.disabled}; }}
QToolBar QToolButton:hover {{ background: {c.groove}; }}
QMainWindow::separator {{ background: {c.raised}; width: 3px; height: 3px; border: none; }}
QMainWindow::separator:hover {{ background: {c.accent}; }}
QDockWidget {{ font-weight: 600; }}
QDockWidget::title {{ padding: 6px 8px; border: none; background: {c.window}; }}
QTabWidget::pane {{ border: none; padding: 0; }}
QTabBar::tab {{ padding: 5px 10px; }}
QScrollArea, QScrollArea > QWidget > QWidget {{ border: none; padding: 0; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; border: none; }}
QScrollBar::handle:vertical {{ background: {c.line}; min-height: 30px; border-radius: 3px;
    margin: 2px; border: none; }}
QScrollBar::handle:vertical:hover {{ background: {c.faint_text}; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; margin: 0; }}
QScrollBar::add-page:vertical, QScrollBar::sub-page:vertical {{ background: transparent; }}
QPushButton, QPushButton:disabled {{ padding: 4px 12px; min-height: 18px; }}
QPushButton:default {{ background: {c.accent}; color: white; }}
QToolTip {{ padding: 4px; }}
QLabel#faint {{ color: {c.faint_text}; }}
QLabel#title {{ font-size: 22px; font-weight: 600; }}
QLabel#heading {{ font-weight: 600; }}
QListWidget#pictures::item:selected {{ background: {c.accent}; color: white; }}
QMenu#recent {{ icon-size: 36px; }}
QToolButton#recent {{ background: {c.raised}; border: 1px solid {c.line}; border-radius: 6px;
    padding: 6px; }}
QToolButton#recent:hover {{ border-color: {c.accent_light}; }}
QDoubleSpinBox#value {{ background: transparent; border: 1px solid transparent;
    border-radius: 4px; padding: 0; min-height: 20px; max-height: 20px; color: {c.text}; }}
QDoubleSpinBox#value QLineEdit {{ background: transparent; border: none; padding: 0 2px;
    margin: 0; color: {c.text}; }}
QDoubleSpinBox#value:hover, QDoubleSpinBox#value:focus {{ background: {c.groove};
    border: 1px solid {c.line}; }}
QToolButton#section {{ background: {c.raised}; border: none; border-radius: 4px;
    padding: 5px 6px; font-weight: 600; text-align: left; }}
QToolButton#section:hover {{ background: {c.groove}; }}
"""
