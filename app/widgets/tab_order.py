"""Tab goes through a window as the eye does, also where a widget came later than the next."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDockWidget,
    QLayout,
    QMainWindow,
    QScrollArea,
    QTabWidget,
    QToolBar,
    QWidget,
)

from app.widgets.gallery import Gallery

_AREAS = Qt.DockWidgetArea


def follow_layout(root: QWidget) -> None:
    """Set the order of Tab to that of the layouts in ``root``."""
    stops = list(_stops(root))
    for first, second in zip(stops, stops[1:], strict=False):
        QWidget.setTabOrder(first, second)


def _stops(widget: QWidget) -> Iterator[QWidget]:
    """What takes the focus with Tab in a widget and in what it holds, from top left on."""
    if widget.focusPolicy().value & Qt.FocusPolicy.TabFocus.value:
        yield widget
    for child in _children(widget):
        yield from _stops(child)


def _children(widget: QWidget) -> Iterator[QWidget]:
    if isinstance(widget, QMainWindow):
        yield from _parts(widget)
    elif isinstance(widget, QTabWidget):
        yield widget.tabBar()
        yield from filter(None, map(widget.widget, range(widget.count())))
    elif isinstance(widget, QScrollArea | QDockWidget):
        if inner := widget.widget():
            yield inner
    elif isinstance(widget, Gallery):
        yield from widget.tiles.values()
    elif layout := widget.layout():
        yield from _laid_out(layout)


def _parts(window: QMainWindow) -> Iterator[QWidget]:
    docks = window.findChildren(QDockWidget)

    def in_area(area: Qt.DockWidgetArea) -> Iterator[QWidget]:
        return (dock for dock in docks if window.dockWidgetArea(dock) == area)

    yield from window.findChildren(QToolBar)
    yield from in_area(_AREAS.TopDockWidgetArea)
    yield from in_area(_AREAS.LeftDockWidgetArea)
    if middle := window.centralWidget():
        yield middle
    yield from in_area(_AREAS.RightDockWidgetArea)
    yield from in_area(_AREAS.BottomDockWidgetArea)


def _laid_out(layout: QLayout) -> Iterator[QWidget]:
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item is None:
            continue
        inner, widget = item.layout(), item.widget()
        if inner is not None:
            yield from _laid_out(inner)
        elif widget is not None:
            yield widget
