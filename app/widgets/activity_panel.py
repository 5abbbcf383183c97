"""Jobs with progress and cancel, and the log."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor, QTextCharFormat
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.state.jobs import MAX_LINES, Job

ERROR_COLOUR = "#E5604D"


def remaining_text(seconds: float | None) -> str:
    """How long it still takes, in words."""
    if seconds is None:
        return ""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s left" if whole >= 60 else f"{whole} s left"


class JobRow(QWidget):
    """One job."""

    cancel_asked = Signal()

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._bar, self._left = QProgressBar(), QLabel()
        self._left.setObjectName("faint")
        self._left.setMinimumWidth(90)
        title, cancel = QLabel(job.title), QToolButton()
        cancel.setText("Cancel")
        cancel.setAccessibleName(f"Cancel {job.title}")
        self._bar.setAccessibleName(f"Progress of {job.title}")
        cancel.setVisible(job.cancellable)
        cancel.clicked.connect(self.cancel_asked)
        self._bar.setFixedHeight(16)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(title)
        row.addWidget(self._bar, 1)
        row.addWidget(self._left)
        row.addWidget(cancel)
        self.show_progress(job)

    def show_progress(self, job: Job) -> None:
        """Show how far the job has come."""
        self._bar.setRange(0, job.total)
        self._bar.setValue(job.done)
        self._left.setText(remaining_text(job.remaining_s))


class ActivityPanel(QWidget):
    """All jobs over the log."""

    cancel_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[int, JobRow] = {}
        self._jobs = QVBoxLayout()
        self._jobs.setSpacing(2)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(MAX_LINES)
        self.log.setAccessibleName("Log")
        self.log.setMinimumHeight(40)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 0, 8, 6)
        column.setSpacing(4)
        column.addLayout(self._jobs)
        column.addWidget(self.log, 1)

    def add_job(self, job: Job) -> None:
        """Show a job that has started."""
        row = self._rows[job.number] = JobRow(job)
        row.cancel_asked.connect(lambda: self.cancel_asked.emit(job))
        self._jobs.addWidget(row)

    def advance_job(self, job: Job) -> None:
        """Show how far it has come."""
        self._rows[job.number].show_progress(job)

    def remove_job(self, job: Job) -> None:
        """It has ended."""
        row = self._rows.pop(job.number)
        self._jobs.removeWidget(row)
        row.deleteLater()

    def add_line(self, level: str, text: str) -> None:
        """Add a line to the log."""
        style = QTextCharFormat()
        if level == "error":
            style.setForeground(QColor(ERROR_COLOUR))
        self.log.setCurrentCharFormat(style)
        self.log.appendPlainText(text)
        # appendPlainText takes the style of the block before; make this one's sure.
        cursor = self.log.textCursor()
        cursor.movePosition(cursor.MoveOperation.End)
        cursor.select(cursor.SelectionType.BlockUnderCursor)
        cursor.setCharFormat(style)
