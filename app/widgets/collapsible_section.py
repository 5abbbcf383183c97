"""A part of a panel that opens and closes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)


class CollapsibleSection(QWidget):
    """A title over a body."""

    toggled = Signal(bool)

    def __init__(self, title: str, is_open: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self._button = QToolButton()
        self._button.setObjectName("section")
        self._button.setCheckable(True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._button.setAccessibleName(f"{title} section")
        self.set_note("")
        self._header = QHBoxLayout()
        self._header.setSpacing(4)
        self._header.addWidget(self._button, 1)
        self._body = QWidget()
        self.body = QVBoxLayout(self._body)
        self.body.setContentsMargins(4, 4, 4, 6)
        self.body.setSpacing(4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(self._header)
        column.addWidget(self._body)
        self._button.toggled.connect(self._on_toggled)
        self._button.setChecked(is_open)
        self._on_toggled(is_open)

    def set_note(self, note: str) -> None:
        """Show a word after the title."""
        self._button.setText(f"{self.title}   {note}" if note else self.title)

    def is_open(self) -> bool:
        """Whether the body is shown."""
        return self._button.isChecked()

    def set_open(self, is_open: bool) -> None:
        """Open or close."""
        self._button.setChecked(is_open)

    def _on_toggled(self, is_open: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self._button.setArrowType(arrow)
        self._body.setVisible(is_open)
        make_room(self)
        self.toggled.emit(is_open)


def make_room(widget: QWidget) -> None:
    """Give what was just made or shown in a scrolling column its height at once.

    Qt tells one layout after the other, each in a turn of its own of the event loop, and a busy
    machine draws rows squashed into the room of before meanwhile.
    """
    chain = [widget]
    while (parent := chain[-1].parentWidget()) is not None:
        if isinstance(parent.parentWidget(), QScrollArea):
            break
        chain.append(parent)
    else:
        return
    layouts = [layout for each in chain if (layout := each.layout()) is not None]
    for layout in layouts:
        layout.invalidate()
    inner = chain[-1]
    inner.resize(inner.width(), max(inner.minimumSizeHint().height(), parent.height()))
    for layout in reversed(layouts):
        layout.activate()


def scrolling_column(widgets: Sequence[QWidget] = ()) -> tuple[QScrollArea, QVBoxLayout]:
    """A panel's scroll area and the column in it; widgets stay at the top."""
    inner = QWidget()
    column = QVBoxLayout(inner)
    column.setContentsMargins(8, 6, 8, 8)
    column.setSpacing(6)
    for widget in widgets:
        column.addWidget(widget)
    column.addStretch(1)
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(inner)
    return area, column
