"""A dialog whose work runs beside the window: a form, then how far it is, then how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.widgets.activity_panel import ERROR_COLOUR

_BAR_STEPS = 1000
"""Fewer are seen as jerks."""


class JobDialog(QDialog):
    """Asks; the caller does it and reports. Closed meanwhile, the work goes on."""

    cancel_asked = Signal()

    def __init__(self, title: str, start: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.is_running = False
        self.status, self.bar = QLabel(), QProgressBar()
        self.status.setWordWrap(True)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(f"Progress: {title}")
        self.bar.setFixedHeight(8)
        self.start, self.close_button = QPushButton(start), QPushButton("Close")
        self.start.setDefault(True)
        self.close_button.setAutoDefault(False)
        self.close_button.clicked.connect(self._on_close)

    def fields(self) -> Sequence[QWidget]:
        """What nobody may change while it runs."""
        return ()

    def show_started(self) -> None:
        """It has begun."""
        self.set_running(True)
        self.say("Starting …")
        # Busy, until it says how far it is.
        self.bar.setRange(0, 0)

    def show_share(self, share: float, text: str) -> None:
        """So much of it is done."""
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setValue(round(_BAR_STEPS * share))
        self.say(text)

    def show_ended(self, text: str, is_problem: bool = False) -> None:
        """It is done, was cancelled or failed."""
        self.set_running(False)
        if not self.bar.maximum():
            self.bar.setRange(0, _BAR_STEPS)
            self.bar.setValue(0)
        self.say(text, is_problem)

    def say(self, text: str, is_problem: bool = False) -> None:
        """Tell something beside the buttons."""
        self.status.setText(text)
        self.status.setStyleSheet(f"color: {ERROR_COLOUR}" if is_problem else "")

    def set_running(self, is_running: bool) -> None:
        """Whether it is under way."""
        self.is_running = is_running
        for widget in (*self.fields(), self.start):
            widget.setEnabled(not is_running)
        # A default button looks pressable even where it is not.
        self.start.setDefault(not is_running)
        self.close_button.setText("Cancel" if is_running else "Close")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Enter finishes what is typed; work is started, and a file replaced, by its button.
        # Escape closes: work that is under way goes on.
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if not enter or isinstance(self.focusWidget(), QPushButton):
            super().keyPressEvent(event)

    def make_footer(self, between: Sequence[QPushButton] = ()) -> QVBoxLayout:
        """How far it is over what is said and the buttons."""
        row = QHBoxLayout()
        row.addWidget(self.status, 1)
        for button in (self.close_button, *between, self.start):
            row.addWidget(button)
        footer = QVBoxLayout()
        footer.setSpacing(12)
        footer.addWidget(self.bar)
        footer.addLayout(row)
        return footer

    def _on_close(self) -> None:
        if self.is_running:
            self.cancel_asked.emit()
        else:
            self.reject()
