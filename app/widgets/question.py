"""A question with answers of its own words. It does not wait: the answer is a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

Answer = Callable[[], object]


def nothing() -> None:
    """The answer of those who changed their mind."""


class Question(QMessageBox):
    """The first answer is that of Enter, the last one that of Escape."""

    def __init__(
        self, text: str, more: str, answers: Mapping[str, Answer], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setIcon(QMessageBox.Icon.Question)
        self.setWindowTitle("PEGASUS editor")
        self.setText(text)
        self.setInformativeText(more)
        roles = QMessageBox.ButtonRole
        self.answers: dict[str, QPushButton] = {}
        for title, answer in answers.items():
            role = roles.RejectRole if answer is nothing else roles.AcceptRole
            self.answers[title] = self.addButton(title, role)
        buttons = list(self.answers.values())
        self.setDefaultButton(buttons[0])
        self.setEscapeButton(buttons[-1])
        self._calls = list(zip(buttons, answers.values(), strict=True))
        self.finished.connect(lambda _: self._finish())

    def _finish(self) -> None:
        chosen = self.clickedButton()
        self.deleteLater()
        for button, answer in self._calls:
            if button is chosen:
                answer()
