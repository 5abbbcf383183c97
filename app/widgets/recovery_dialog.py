"""Work that an editor left when it was ended, and what shall become of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.state.journal import Recovery


class RecoveryDialog(QDialog):
    """Closed without an answer it asks again at the next start."""

    restore_asked = Signal(object)
    discard_asked = Signal(object)

    def __init__(self, recoveries: Sequence[Recovery], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Restore unsaved work")
        self._recoveries = list(recoveries)
        text = QLabel("The editor was ended before this work was saved.")
        text.setWordWrap(True)
        self.list = QListWidget()
        self.list.setAccessibleName("Unsaved work")
        for recovery in recoveries:
            self.list.addItem(_described(recovery))
        self.list.setCurrentRow(0)
        self.list.setMinimumHeight(80)
        self.list.itemDoubleClicked.connect(lambda _: self._restore())
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(12)
        column.addWidget(text)
        column.addWidget(self.list, 1)
        column.addWidget(self._make_buttons())
        self.setMinimumWidth(460)

    def _make_buttons(self) -> QDialogButtonBox:
        buttons, roles = QDialogButtonBox(), QDialogButtonBox.ButtonRole
        self.restore, self.discard = QPushButton("Restore"), QPushButton("Discard")
        self.later = QPushButton("Later")
        buttons.addButton(self.restore, roles.AcceptRole)
        buttons.addButton(self.discard, roles.DestructiveRole)
        buttons.addButton(self.later, roles.RejectRole)
        self.restore.setDefault(True)
        self.restore.clicked.connect(self._restore)
        self.discard.clicked.connect(self._discard)
        self.later.clicked.connect(self.reject)
        return buttons

    def _restore(self) -> None:
        chosen = self._recoveries[self.list.currentRow()]
        self.accept()
        self.restore_asked.emit(chosen)

    def _discard(self) -> None:
        row = self.list.currentRow()
        self.discard_asked.emit(self._recoveries.pop(row))
        self.list.takeItem(row)
        if not self._recoveries:
            self.accept()


def _described(recovery: Recovery) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(recovery.written))
    count = f"{recovery.num_changes} change{'' if recovery.num_changes == 1 else 's'}"
    return f"{recovery.title}  ·  {count}  ·  {when}"
