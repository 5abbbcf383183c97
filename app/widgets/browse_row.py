"""A path that is typed or browsed for, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.widgets.activity_panel import ERROR_COLOUR

Choose = Callable[[str], str]
"""asks for a path, beginning at one; empty where nothing was chosen"""


class ProblemLabel(QLabel):
    """One line in the colour of errors; takes no room while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setStyleSheet(f"color: {ERROR_COLOUR}")
        self.hide()

    def show_problem(self, text: str) -> None:
        """Say what is wrong, or nothing."""
        self.setText(text)
        self.setVisible(bool(text))


class BrowseRow(QWidget):
    """A field with a button that fills it."""

    def __init__(self, line: QLineEdit, name: str, choose: Choose) -> None:
        super().__init__()
        self.line, self.button, self.problem = line, QPushButton("Browse …"), ProblemLabel()
        self._choose = choose
        self.set_name(name)
        self.button.setAutoDefault(False)
        self.button.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.addWidget(line, 1)
        row.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.problem)

    def set_name(self, name: str) -> None:
        """What it is called for those who do not see it."""
        self.line.setAccessibleName(name)
        self.button.setAccessibleName(f"Browse for {name.lower()}")

    def show_problem(self, text: str) -> None:
        """Say below the field what is wrong with it, or nothing."""
        self.problem.show_problem(text)
        self.line.setAccessibleDescription(text)

    def _browse(self) -> None:
        chosen = self._choose(self.line.text())
        if chosen:
            self.line.setText(chosen)
