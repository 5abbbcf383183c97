"""What the dialogs before a training share: a look at the data, the start, and closing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.runs.launch import free_folder
from app.runs.presets import TrainingPreset
from app.runs.settings import Setting, converted, with_labels
from app.runs.video_names import person_name
from app.widgets.activity_panel import ERROR_COLOUR
from app.widgets.discard_question import may_discard
from app.widgets.training.preset_choices import PresetChoices

WAIT_MS = 500
"""without a change, before it is looked again: a look starts a process; less starts one for every
letter, more answers later"""


class TrainingDialog(QDialog):
    """Asks; the caller looks at the data and starts."""

    check_asked = Signal(str, object)
    """the YAML and the run's folder"""
    check_dropped = Signal()
    """the answer to the last one is not wanted any more"""
    start_asked = Signal(object, str, int)
    """the run's folder, the YAML, how many GPUs"""

    def __init__(self, title: str, settings: list[Setting], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self._settings, self._num_gpus = settings, 0
        self._is_asked = False
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.look)
        self.status = QLabel()
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setWordWrap(True)
        self.close_button, self.start = QPushButton("Close"), QPushButton("Start")
        self.start.setMinimumWidth(84)
        self.close_button.clicked.connect(self.reject)
        self.start.clicked.connect(self._on_start)

    @abstractmethod
    def config_text(self) -> str:
        """The YAML that the trainer would read."""

    @abstractmethod
    def run_folder(self) -> Path:
        """Where the run goes."""

    @abstractmethod
    def is_filled(self) -> bool:
        """Whether there is something to lose."""

    @abstractmethod
    def show_found(self, report: dict[str, Any]) -> None:
        """Show what the look that was asked for last has found."""

    @abstractmethod
    def show_ready(self) -> None:
        """Say whether it can be started, and let that be done only then."""

    def show_report(self, report: dict[str, Any]) -> None:
        """Show what a look has found, if its answer is still wanted."""
        if self._is_asked:
            self.end_look()
            self._num_gpus = report["num_gpus"]
            self.show_found(report)

    def show_check_failure(self, text: str) -> None:
        """The look itself did not work."""
        if self._is_asked:
            self.end_look()
            self.show_failure(text)

    def show_failure(self, text: str) -> None:
        """Something that was asked for did not work; it can be asked for again."""
        self.say(self.in_words(text), is_problem=True)
        self.show_ready()

    def reject(self) -> None:
        """Close, but not what was filled in without a word."""
        if self.is_filled() and not may_discard(self):
            return
        self.drop_look()
        super().reject()

    def accept(self) -> None:
        """Close: it has started."""
        self.drop_look()
        super().accept()

    def look_soon(self, milliseconds: int = WAIT_MS) -> None:
        """Look when nothing has changed for a while."""
        self._timer.start(milliseconds)

    def look(self) -> None:
        """Ask for a look at what is filled in now."""
        self.drop_look()
        self._is_asked = True
        self.check_asked.emit(self.config_text(), self.run_folder())

    def drop_look(self) -> None:
        """The answer to the last look is not wanted any more."""
        was_asked = self._is_asked
        self.end_look()
        if was_asked:
            self.check_dropped.emit()

    def end_look(self) -> None:
        """Nothing is being waited for."""
        self._is_asked = False
        self._timer.stop()

    def in_words(self, text: str) -> str:
        """What the trainer says, in the words of the form."""
        return with_labels(text, self._settings)

    def say(self, text: str, is_problem: bool = False) -> None:
        """Tell something beside the buttons."""
        self.status.setText(text)
        self.status.setStyleSheet(f"color: {ERROR_COLOUR}" if is_problem else "")

    def set_ready(self, is_ready: bool) -> None:
        """Whether it can be started."""
        # A default button looks pressable even where it is not.
        self.start.setDefault(is_ready)
        self.start.setEnabled(is_ready)
        self.start.setToolTip("" if is_ready else self.status.text())

    def make_footer(
        self, before: Sequence[QPushButton] = (), between: Sequence[QPushButton] = ()
    ) -> QHBoxLayout:
        """What is said, and the buttons: others ``before`` Close, and ``between`` it and Start."""
        row = QHBoxLayout()
        row.addWidget(self.status, 1)
        for button in (*before, self.close_button, *between, self.start):
            button.setAutoDefault(False)
            row.addWidget(button)
        return row

    def _on_start(self) -> None:
        folder, text = self.run_folder(), self.config_text()
        self.say("Starting …")
        self.set_ready(False)
        self.start_asked.emit(folder, text, self._num_gpus)


class NamedTrainingDialog(TrainingDialog):
    """One that is started with a name, when what was looked at can be used."""

    looking = "Looking …"
    """what is said meanwhile"""
    usual_name = "person"
    """of the run's folder while the name cannot be used"""

    def __init__(
        self,
        title: str,
        settings: list[Setting],
        presets: list[TrainingPreset],
        runs_folder: Path,
        parent: QWidget | None,
    ) -> None:
        super().__init__(title, settings, parent)
        self._presets, self._runs_folder = presets, runs_folder
        self._is_seen = self._has_own_name = False
        self.facts, self.notes, self.choices = QLabel(), _faint_text(), PresetChoices(presets)
        self.facts.setTextFormat(Qt.TextFormat.PlainText)
        self.facts.setWordWrap(True)
        self._form = QFormLayout()
        self._form.setHorizontalSpacing(14)
        self._form.setVerticalSpacing(8)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.name = QLineEdit()
        self.name.setPlaceholderText("the name of the avatar")
        self.name.setAccessibleName("Name")
        self.name.textEdited.connect(self._on_name)

    def run_folder(self) -> Path:
        name = self.usual_name if self._name_problem() else self.name.text().strip()
        return free_folder(self._runs_folder, name).absolute()

    def named(self, usual: dict[str, Any]) -> dict[str, Any]:
        """A preset's values with the name that was typed.

        One that cannot be used says nothing of what is looked at, and is told beside Start.
        """
        return usual if self._name_problem() else usual | {"name": self.name.text().strip()}

    def forget_found(self, file: str) -> None:
        """Another file or folder is the person's: its name is proposed, unless one was typed."""
        self.drop_look()
        self._is_seen = False
        self.facts.clear()
        self.notes.clear()
        if not self._has_own_name:
            self.name.setText(person_name(file) if file else "")

    def take_report(self, report: dict[str, Any]) -> str:
        """Show the notes; what keeps it from being started, one at a time, is the caller's."""
        problem = next((f"{p['text']} {p['fix']}" for p in report["problems"]), "")
        self._is_seen = not problem
        self.notes.setText("\n".join(map(self.in_words, report["notes"])))
        return self.in_words(problem)

    def problem_to_solve(self) -> str:
        """What has to be changed before it can be started; empty for nothing."""
        return self._name_problem()

    def show_ready(self) -> None:
        problem = self.problem_to_solve() if self._is_seen else ""
        if problem:
            self.say(problem, is_problem=True)
        elif self._is_seen and not self.status.text():
            self.say("Ready to start.")
        self.set_ready(self._is_seen and not problem)

    def look(self) -> None:
        self._is_seen = False
        self.show_waiting(self.looking)
        super().look()

    def show_waiting(self, text: str) -> None:
        """It cannot be started yet."""
        self.say(text)
        self.set_ready(False)

    def check_ready(self) -> None:
        """Something that needs no look has changed."""
        if self._is_seen:
            self.say("")
            self.show_ready()

    def lay_out(self, explanation: str, found: QWidget, stops: Sequence[QWidget]) -> None:
        """Put all, which scrolls where it has no room, over the buttons.

        Args:
            explanation: of what can be made here, over the form.
            found: shows what a look has found, below it.
            stops: of Tab in them, in order.
        """
        content = QVBoxLayout()
        content.addWidget(_faint_text(explanation))
        content.addLayout(self._form)
        content.addWidget(found, 1)
        for widget in (self.facts, self.notes, self.choices):
            content.addWidget(widget)
        stops = [*stops, *self.choices.buttons()]
        inner, area = QWidget(), QScrollArea()
        inner.setLayout(content)
        content.setContentsMargins(0, 0, 6, 0)
        content.setSpacing(10)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(inner)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(12)
        column.addWidget(area, 1)
        column.addLayout(self.make_footer())
        for stop, following in pairwise([*stops, self.close_button, self.start]):
            self.setTabOrder(stop, following)

    def _on_name(self) -> None:
        self._has_own_name = bool(self.name.text().strip())
        self.check_ready()

    def _name_problem(self) -> str:
        setting = next(setting for setting in self._settings if setting.key == "name")
        try:
            converted(setting, self.name.text().strip())
        except ValueError as error:
            return str(error)
        return ""


def _faint_text(text: str = "") -> QLabel:
    """A paragraph that explains."""
    label = QLabel(text)
    label.setObjectName("faint")
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
