"""What went wrong, with details that can be copied."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QStyle,
    QVBoxLayout,
    QWidget,
)

_WIDTH = 520
"""Points: with less, paths break over many lines."""


class MessageDialog(QDialog):
    """Does not block: it asks nothing."""

    def __init__(
        self, title: str, text: str, details: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text, self._details = text, details
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(12)
        column.addLayout(self._make_message(text))
        if details:
            column.addWidget(self._make_details(details), 1)
        column.addWidget(self._make_buttons())
        self.setMinimumWidth(_WIDTH)

    def _make_message(self, text: str) -> QHBoxLayout:
        icon, label = QLabel(), QLabel(text)
        standard = QStyle.StandardPixmap.SP_MessageBoxWarning
        icon.setPixmap(self.style().standardIcon(standard).pixmap(32, 32))
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout()
        row.setSpacing(14)
        row.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(label, 1)
        return row

    def _make_details(self, details: str) -> QPlainTextEdit:
        box = QPlainTextEdit(details)
        box.setReadOnly(True)
        box.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        box.setMinimumHeight(140)
        return box

    def _make_buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox()
        close = buttons.addButton("Close", QDialogButtonBox.ButtonRole.RejectRole)
        close.setDefault(True)
        copy = QPushButton("Copy details")
        copy.setAutoDefault(False)
        copy.clicked.connect(self._copy)
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.close)
        return buttons

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText("\n\n".join(filter(None, (self.text, self._details))))
