"""The list of everything that was done; a click goes back to it, or forward again."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QListView, QVBoxLayout, QWidget

from app.widgets.theme import colours

Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()


class HistoryModel(QAbstractListModel):
    """How it was opened, and one row for each change; those that can be redone are faint."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: Sequence[str] = ()
        self.position = 0

    def set_history(self, labels: Sequence[str], position: int) -> None:
        """Show these changes, so many of them done."""
        self.beginResetModel()
        self.labels, self.position = labels, position
        self.endResetModel()

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self.labels) + 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = index.row()
        if role == Qt.ItemDataRole.DisplayRole:
            return self.labels[row - 1] if row else "As it was opened"
        if role == Qt.ItemDataRole.ForegroundRole and row > self.position:
            return QColor(colours().disabled)
        return None


class HistoryPanel(QWidget):
    """Tells which state the user wants."""

    state_chosen = Signal(int)
    """how many changes shall be done"""

    def __init__(self) -> None:
        super().__init__()
        self.model = HistoryModel()
        self.list = QListView()
        self.list.setModel(self.model)
        self.list.setUniformItemSizes(True)
        self.list.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.list.setAccessibleName("History")
        self.list.setAccessibleDescription("Everything that was done. Enter goes back to it.")
        self.list.clicked.connect(lambda index: self.state_chosen.emit(index.row()))
        self.list.activated.connect(lambda index: self.state_chosen.emit(index.row()))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.list)

    def set_history(self, labels: Sequence[str], position: int) -> None:
        """Show these changes, so many of them done."""
        self.model.set_history(labels, position)
        here = self.model.index(position, 0)
        self.list.setCurrentIndex(here)
        self.list.scrollTo(here)
