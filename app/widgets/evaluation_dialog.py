"""Evaluate …: how well the open avatar shows the frames of a data folder, as a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from app.state.app_dirs import typed_path
from app.widgets.browse_row import BrowseRow
from app.widgets.discard_question import may_discard
from app.widgets.job_dialog import JobDialog
from app.widgets.tab_order import follow_layout

QUICK_FRAMES = 24
"""Of a quick look: more are surer and take longer."""
FRAMES = {
    "quick": (
        f"Quick look: {QUICK_FRAMES} of each subject",
        ("--limit", str(QUICK_FRAMES)),
    ),
    "held-out": ("All that the training left out", ()),
    "all": ("All, also those that were learned", ("--frames", "all")),
}
"""title, and the options of the command"""
_EXPLANATION = (
    "Draws the avatar as the frames of a data folder show the person, and compares. The report is "
    "a page of numbers, pictures and plots for a web browser."
)


@dataclass(frozen=True)
class Evaluation:
    """What was asked for."""

    data: Path
    report: Path
    frames: str
    """one of `FRAMES`"""


class EvaluationDialog(JobDialog):
    """Tells what is asked for; the caller does it and reports."""

    evaluation_asked = Signal(object)
    open_asked = Signal()
    """the report"""

    def __init__(self, name: str, report: Path, parent: QWidget | None = None) -> None:
        """Ask about the avatar of a name, with a proposal for the report's folder."""
        super().__init__(f"Evaluate {name}", "Evaluate", parent)
        self._usual = report
        self.data = BrowseRow(QLineEdit(), "Data folder", self._choose_folder)
        self.report = BrowseRow(QLineEdit(str(self._usual)), "Report", self._choose_folder)
        self.data.line.setPlaceholderText("folder with one folder for each subject")
        self.report.line.setToolTip("A folder for the report; one that was broken off goes on.")
        self.frames = {name: QRadioButton(title) for name, (title, _) in FRAMES.items()}
        self._group = QButtonGroup(self)
        for button in self.frames.values():
            self._group.addButton(button)
        self.frames["quick"].setChecked(True)
        self.open_button = QPushButton("Open the report")
        self.open_button.setAutoDefault(False)
        self.open_button.hide()
        self._lay_out()
        for line in (self.data.line, self.report.line):
            line.textChanged.connect(self._check)
        self.start.clicked.connect(self._on_start)
        self.open_button.clicked.connect(self.open_asked)
        self._check()
        self.setMinimumWidth(620)
        follow_layout(self)

    def fields(self) -> Sequence[QWidget]:
        return (self.data, self.report, *self.frames.values())

    def evaluation(self) -> Evaluation | None:
        """What the fields say; None while something is missing."""
        if self._problems() or not self._data_text:
            return None
        report = typed_path(self.report.line.text().strip())
        chosen = next(name for name, button in self.frames.items() if button.isChecked())
        return Evaluation(typed_path(self._data_text), report, chosen)

    def show_reported(self) -> None:
        """The report is there."""
        self.show_share(1.0, "")
        self.show_ended("The report is there.")
        self.open_button.show()

    def reject(self) -> None:
        """Close, but not what was filled in without a word."""
        is_filled = self._data_text or self.report.line.text() != str(self._usual)
        if is_filled and not self.is_running and self.open_button.isHidden():
            text = "Close without evaluating? What was filled in here will be lost."
            if not may_discard(self, text):
                return
        super().reject()

    @property
    def _data_text(self) -> str:
        return self.data.line.text().strip()

    def _lay_out(self) -> None:
        explanation = QLabel(_EXPLANATION)
        explanation.setObjectName("faint")
        explanation.setWordWrap(True)
        form = QFormLayout()
        form.setHorizontalSpacing(14)
        form.setVerticalSpacing(10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Data folder", self.data)
        form.addRow("Report", self.report)
        choices = QVBoxLayout()
        choices.setSpacing(6)
        for button in self.frames.values():
            choices.addWidget(button)
        form.addRow("Frames", choices)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(12)
        column.addWidget(explanation)
        column.addLayout(form)
        column.addStretch(1)
        column.addLayout(self.make_footer([self.open_button]))

    def _choose_folder(self, now: str) -> str:
        return QFileDialog.getExistingDirectory(self, "Choose a folder", now)

    def _check(self) -> None:
        problems = self._problems()
        self.data.show_problem(problems.get("data", ""))
        self.report.show_problem(problems.get("report", ""))
        self.open_button.hide()
        is_ready = bool(self._data_text) and not problems
        self.say("" if self._data_text else "Choose the frames to compare with.")
        self.start.setEnabled(is_ready)
        self.start.setDefault(is_ready)

    def _problems(self) -> dict[str, str]:
        """What is wrong, by the field."""
        problems, report = {}, self.report.line.text().strip()
        if self._data_text and not typed_path(self._data_text).is_dir():
            problems["data"] = "There is no such folder."
        if not report:
            problems["report"] = "Say where the report goes."
        elif typed_path(report).is_file():
            problems["report"] = "That is a file; name a folder."
        elif not typed_path(report).absolute().parent.is_dir():
            problems["report"] = f"There is no folder {typed_path(report).absolute().parent}."
        return problems

    def _on_start(self) -> None:
        asked = self.evaluation()
        if asked is not None:
            self.evaluation_asked.emit(asked)
