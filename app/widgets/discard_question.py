"""Nothing that was filled in is lost without a word."""

from __future__ import annotations

from PySide6.QtWidgets import QMessageBox, QWidget

TRAINING = "Close without starting this training? Its settings will be lost."


def may_discard(dialog: QWidget, text: str = TRAINING) -> bool:
    """Ask whether a filled form may be closed; Escape and Enter keep it."""
    question = QMessageBox(dialog)
    question.setIcon(QMessageBox.Icon.Question)
    question.setWindowTitle(dialog.windowTitle())
    question.setText(text)
    discard = question.addButton("Discard", QMessageBox.ButtonRole.DestructiveRole)
    keep = question.addButton("Go on editing", QMessageBox.ButtonRole.RejectRole)
    question.setDefaultButton(keep)
    question.setEscapeButton(keep)
    question.exec()
    question.deleteLater()
    return question.clickedButton() is discard
