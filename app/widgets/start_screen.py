"""What stands in the place of the picture while nothing is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

_TILE = QSize(148, 168)
"""Points: room for the picture and two lines of a name."""
_PICTURE = QSize(120, 120)
"""Points; larger ones show the kept picture (`recent_pictures.SIDE`) blurred."""
_COLUMNS = 4
"""More make the window wider than a small screen."""
_WAYS_IN = "Open an avatar or a project, make one of a video, or drop a file here."


@dataclass(frozen=True)
class RecentFile:
    """A file that was open lately."""

    path: str
    title: str
    picture: str
    """a file, which need not be there"""


def recent_icon(recent: RecentFile) -> QIcon:
    """Its small picture, or an empty one of the same size."""
    pixmap = QPixmap(recent.picture)
    if pixmap.isNull():
        pixmap = QPixmap(_PICTURE)
        pixmap.fill(Qt.GlobalColor.transparent)
    return QIcon(pixmap)


class StartScreen(QWidget):
    """Ways in, and what was open lately."""

    open_asked = Signal()
    video_asked = Signal()
    personal_asked = Signal()
    training_asked = Signal()
    evaluation_asked = Signal()
    demo_asked = Signal()
    recent_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        title, self.hint = QLabel("PEGASUS editor"), QLabel(_WAYS_IN)
        title.setObjectName("title")
        self.hint.setObjectName("faint")
        self.tiles: dict[str, QToolButton] = {}
        self._heading = QLabel("Recent")
        self._heading.setObjectName("heading")
        self._grid = QGridLayout()
        self._grid.setSpacing(10)
        self._grid.setAlignment(Qt.AlignmentFlag.AlignLeft)
        inner = QVBoxLayout()
        inner.setSpacing(14)
        inner.addWidget(title)
        inner.addWidget(self.hint)
        inner.addLayout(self._make_buttons())
        inner.addSpacing(10)
        inner.addWidget(self._heading)
        inner.addLayout(self._grid)
        row, column = QHBoxLayout(), QVBoxLayout(self)
        row.addStretch(1)
        row.addLayout(inner)
        row.addStretch(1)
        column.addStretch(2)
        column.addLayout(row)
        column.addStretch(3)

    def set_recent(self, files: Sequence[RecentFile]) -> None:
        """Show these files."""
        for tile in self.tiles.values():
            self._grid.removeWidget(tile)
            tile.hide()
            tile.deleteLater()
        self.tiles = {recent.path: self._make_tile(recent) for recent in files}
        for index, tile in enumerate(self.tiles.values()):
            self._grid.addWidget(tile, index // _COLUMNS, index % _COLUMNS)
        self._heading.setVisible(bool(files))

    def _make_buttons(self) -> QVBoxLayout:
        """Those of every day over the others: in one row they would widen the window."""
        rows = QVBoxLayout()
        rows.setSpacing(8)
        for buttons in (
            (
                ("Open …", self.open_asked),
                ("New avatar from a video …", self.video_asked),
                ("Demo avatar", self.demo_asked),
            ),
            (
                ("New personal avatar …", self.personal_asked),
                ("New training …", self.training_asked),
                ("Evaluate …", self.evaluation_asked),
            ),
        ):
            row = QHBoxLayout()
            row.setSpacing(8)
            for text, signal in buttons:
                button = QPushButton(text)
                button.clicked.connect(lambda _=False, signal=signal: signal.emit())
                row.addWidget(button)
            row.addStretch(1)
            rows.addLayout(row)
        return rows

    def _make_tile(self, recent: RecentFile) -> QToolButton:
        tile = QToolButton()
        tile.setObjectName("recent")
        tile.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        tile.setIconSize(_PICTURE)
        tile.setFixedSize(_TILE)
        tile.setIcon(recent_icon(recent))
        room = _TILE.width() - 16
        tile.setText(
            tile.fontMetrics().elidedText(recent.title, Qt.TextElideMode.ElideMiddle, room)
        )
        tile.setToolTip(recent.path)
        tile.setAccessibleName(f"Open {recent.title}")
        tile.setCursor(Qt.CursorShape.PointingHandCursor)
        tile.clicked.connect(lambda _=False, path=recent.path: self.recent_chosen.emit(path))
        return tile
