"""What a look before the training has found."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import (
    QFormLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.widgets.activity_panel import ERROR_COLOUR

_THUMBNAIL = 48
"""Points; more shows fewer bad frames at once."""


def duration_text(seconds: float) -> str:
    """A duration in the words of a person."""
    minutes = max(round(seconds / 60), 1)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes / 60:.1f} hours" if minutes < 48 * 60 else f"{minutes / 1440:.1f} days"


def short_duration_text(seconds: float) -> str:
    """The same, to the second where it is short."""
    return f"{seconds:.0f} s" if seconds < 100 else duration_text(seconds)


class PreflightPanel(QWidget):
    """Facts, problems with their fixes, and the frames that cannot be used."""

    def __init__(self) -> None:
        super().__init__()
        self.verdict, self.problems, self.notes = QLabel(), QLabel(), QLabel()
        self.verdict.setTextFormat(Qt.TextFormat.PlainText)
        self.notes.setObjectName("faint")
        for label in (self.verdict, self.problems, self.notes):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._facts = QFormLayout()
        self._facts.setHorizontalSpacing(14)
        self.bad = QListWidget()
        self.bad.setIconSize(QSize(_THUMBNAIL, _THUMBNAIL))
        self.bad.setAccessibleName("Frames that cannot be used")
        self.bad.setWordWrap(True)
        self.bad.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self.verdict)
        column.addLayout(self._facts)
        column.addWidget(self.problems)
        column.addWidget(self.notes)
        column.addWidget(self.bad, 1)
        column.addStretch(0)
        self.show_waiting("Choose a data folder.")

    def show_waiting(self, text: str) -> None:
        """Nothing is known yet, or not any more."""
        self.verdict.setText(text)
        self.problems.hide()
        self.verdict.setStyleSheet("")

    def show_problems(self, problems: list[str]) -> None:
        """Show what is known to be wrong without a look at anything."""
        self._show_verdict(len(problems))
        self.problems.setText("".join(f"<p>{_bold(text)}</p>" for text in problems))
        self.problems.show()

    def show_report(self, report: dict[str, Any]) -> None:
        """Show what was found."""
        problems = report["problems"]
        self._show_verdict(len(problems))
        while self._facts.rowCount():
            self._facts.removeRow(0)
        facts = dict(report["facts"])
        if report["seconds"]:
            facts["Time"] = f"about {duration_text(report['seconds'])}, a rough guess"
        for title, text in facts.items():
            value = QLabel(text)
            value.setWordWrap(True)
            self._facts.addRow(f"{title}", value)
        self.problems.setText(
            "".join(f"<p>{_bold(p['text'])}<br>{_escaped(p['fix'])}</p>" for p in problems)
        )
        self.problems.setVisible(bool(problems))
        self.notes.setText("\n\n".join(report["notes"]))
        self.notes.setVisible(bool(report["notes"]))
        self._show_bad(report["bad"])

    def _show_verdict(self, num_problems: int) -> None:
        count = f"{num_problems} problems" if num_problems > 1 else "1 problem"
        self.verdict.setText(f"{count} to solve first" if num_problems else "Ready to start")
        self.verdict.setStyleSheet("font-weight: 600;")

    def _show_bad(self, frames: list[dict[str, str]]) -> None:
        self.bad.clear()
        for frame in frames:
            item = QListWidgetItem(f"{frame['frame']}\n{frame['reason']}")
            picture = QPixmap()
            if picture.load(frame["picture"]):
                item.setIcon(QIcon(picture))
            item.setToolTip(frame["picture"])
            self.bad.addItem(item)
        self.bad.setVisible(bool(frames))


def _bold(text: str) -> str:
    return f"<b style='color:{ERROR_COLOUR}'>{_escaped(text)}</b>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
