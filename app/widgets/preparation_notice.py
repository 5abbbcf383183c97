"""What stands in the middle of the viewport while the first picture cannot be drawn yet."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QProgressBar, QVBoxLayout, QWidget

from app.state.jobs import Job

_WIDTH = 300
"""Points; wider ones cover more of the head behind."""


class PreparationNotice(QFrame):
    """A title, a bar, and how many of how many; hidden until there is something to show."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFixedWidth(_WIDTH)
        self.title, self.bar, self.count = QLabel(), QProgressBar(), QLabel()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress of the preparation")
        self.count.setObjectName("faint")
        column = QVBoxLayout(self)
        for widget in (self.title, self.bar, self.count):
            column.addWidget(widget)
        middle = QVBoxLayout(parent)
        middle.addWidget(self, 0, Qt.AlignmentFlag.AlignCenter)
        self.hide()

    def show_progress(self, job: Job) -> None:
        """Show how far it has come."""
        self.title.setText(job.title)
        self.bar.setRange(0, job.total)
        self.bar.setValue(job.done)
        of_all = f"{job.done} of {job.total}" if job.total else str(job.done)
        self.count.setText(f"{of_all} loops compiled")
        self.show()
