"""New training …: what to learn from, with which settings, and whether it would run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.runs.launch import command_text
from app.runs.presets import Description
from app.runs.settings import converted, from_yaml, set_arguments, to_yaml, with_labels
from app.runs.slurm import is_slurm_here
from app.state.app_dirs import expanded, typed_path
from app.widgets.training.discard_question import may_discard
from app.widgets.training.preflight_panel import PreflightPanel
from app.widgets.training.settings_form import SettingsForm
from app.widgets.training.slurm_box import SlurmBox
from app.widgets.training.source_rows import KEYS, SourceRows

_WAIT_MS = 600
"""without a change, before it is looked again: a look starts a process; less starts one for every
letter, more answers later"""
_PATIENCE_MS = 4000
"""after which a training can be started although the look at its data has not ended; less starts
what the look would have refused"""
_KEPT = ("device", "threads")
"""what another kind of training does not change: it depends on the machine"""


class NewTrainingDialog(QDialog):
    """Asks; the caller checks and starts."""

    check_asked = Signal(str, object)
    """the YAML and the run's folder"""
    check_dropped = Signal()
    """the answer to the last one is not wanted any more"""
    start_asked = Signal(object, str, int)
    """the run's folder, the YAML, how many GPUs"""
    submit_asked = Signal(object, str, object)
    """the run's folder, the YAML, the SlurmJob"""

    def __init__(
        self, description: Description, runs_folder: Path, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("New training")
        self._settings, self._runs_folder = description.settings, runs_folder
        self._has_gpu, self._num_gpus, self._usual_name = description.has_gpu, 0, ""
        self._timer = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._timer.timeout.connect(self._ask_check)
        self._patience = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._patience.timeout.connect(self._on_patience_over)
        self._make_fields(description)
        columns = QHBoxLayout()
        columns.setSpacing(22)
        columns.addLayout(self._make_left(), 3)
        columns.addWidget(self.preflight, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(12)
        column.addLayout(columns, 1)
        column.addLayout(self._make_footer())
        self._connect()
        self._fill(self._has_gpu)
        self._chain_tab_stops()
        self.resize(1020, 720)

    def config_text(self) -> str:
        """The YAML that the trainer would read."""
        return self.yaml.toPlainText()

    def run_folder(self) -> Path:
        """Where the run goes."""
        return typed_path(self.rows.out.text()).absolute()

    def show_report(self, report: dict[str, Any]) -> None:
        """Show what the look before the training has found."""
        if not self._is_asked:
            return
        self._end_look()
        self.rows.offer_subjects(report["subjects"])
        problems = [self._in_words(p) for p in report["problems"]] + self._own_problems()
        self._num_gpus = report["num_gpus"]
        notes = [with_labels(note, self._settings) for note in report["notes"]]
        self.preflight.show_report({**report, "problems": problems, "notes": notes})
        self._set_ready(not problems)

    def show_failure(self, text: str) -> None:
        """Something that was asked for did not work; it can be asked for again."""
        self.status.setText(with_labels(text, self._settings))
        self._set_ready(not self._own_problems())

    def show_check_failure(self, text: str) -> None:
        """The look itself did not work."""
        if self._is_asked:
            self._end_look()
            self.preflight.show_problems([with_labels(text, self._settings)])

    def reject(self) -> None:
        """Close, but not what was filled in without a word."""
        if self._is_filled() and not may_discard(self):
            return
        self._drop_look()
        super().reject()

    def accept(self) -> None:
        """Close: it has started."""
        self._drop_look()
        super().accept()

    def _make_fields(self, description: Description) -> None:
        self._is_asked = False
        self._untouched: dict[str, Any] = {}
        kinds = [preset for preset in description.presets if not preset.is_of_video]
        self.rows = SourceRows(kinds, description.has_gpu)
        self.form = SettingsForm([s for s in self._settings if s.key not in KEYS])
        self.yaml = QPlainTextEdit()
        self.yaml.setAccessibleName("Settings as YAML")
        self.yaml.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.preflight, self.status = PreflightPanel(), QLabel()
        self.status.setWordWrap(True)

    def _make_left(self) -> QVBoxLayout:
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(self.form)
        self.tabs = QTabWidget()
        self.tabs.addTab(area, "Settings")
        self.tabs.addTab(self.yaml, "As file (YAML)")
        column = QVBoxLayout()
        column.setSpacing(12)
        column.addWidget(self.rows)
        column.addWidget(self.tabs, 1)
        return column

    def _make_footer(self) -> QHBoxLayout:
        self.copy, self.close_button = QPushButton("Copy command"), QPushButton("Close")
        self.copy.setToolTip("To start the same training in a terminal")
        self.submit, self.start = QPushButton("Submit to SLURM …"), QPushButton("Start")
        self.submit.setToolTip("Let the cluster train: the job waits there for its machines")
        if not is_slurm_here():
            self.submit.hide()
        self.start.setMinimumWidth(84)
        row = QHBoxLayout()
        row.addWidget(self.status, 1)
        for button in (self.copy, self.close_button, self.submit, self.start):
            button.setAutoDefault(False)
            row.addWidget(button)
        return row

    def _connect(self) -> None:
        self.form.changed.connect(self._on_changed)
        self.rows.changed.connect(self._on_changed)
        self.rows.kind_chosen.connect(lambda: self._fill(self._has_gpu))
        self.rows.sizes_asked.connect(lambda: self._fill(True))
        self.rows.folder_changed.connect(self._wait)
        self.yaml.textChanged.connect(self._on_yaml)
        self.close_button.clicked.connect(self.reject)
        self.copy.clicked.connect(self._on_copy)
        self.submit.clicked.connect(self._on_submit)
        self.start.clicked.connect(self._on_start)

    def _fill(self, has_sizes: bool) -> None:
        """Take the values of the chosen kind, but leave what was typed for this training."""
        now, kind = self.form.values(), self.rows.chosen_kind
        wanted = dict(kind.values if has_sizes else kind.small_values)
        if self._usual_name and now["name"] != self._usual_name:
            wanted["name"] = now["name"]
        self._usual_name = kind.values["name"]
        self.form.set_values(wanted | {key: now[key] for key in _KEPT})
        self._on_changed()
        self._untouched = self.form.values()

    def _on_changed(self) -> None:
        values = self.form.values() | self.rows.values()
        self.yaml.blockSignals(True)
        self.yaml.setPlainText(to_yaml(self._settings, values))
        self.yaml.blockSignals(False)
        problems = self._row_problems() + self.form.problems()
        if problems:
            self._stop_waiting(problems)
            return
        self.rows.propose_folder(free_folder(self._runs_folder, values["name"]))
        self._wait()

    def _on_yaml(self) -> None:
        try:
            values = from_yaml(self._settings, self.config_text())
        except ValueError as error:
            self._stop_waiting([str(error)])
            return
        self.form.set_values(values)
        self.rows.set_values(values)
        self.form.problems()
        self._wait()

    def _wait(self) -> None:
        self._drop_look()
        self._set_ready(False)
        self.status.clear()
        self.preflight.show_waiting("Looking at the data …")
        self._timer.start()
        self._patience.start()

    def _stop_waiting(self, problems: list[str]) -> None:
        self._drop_look()
        self._set_ready(False)
        self.preflight.show_problems(problems)

    def _drop_look(self) -> None:
        was_asked = self._is_asked
        self._end_look()
        if was_asked:
            self.check_dropped.emit()

    def _end_look(self) -> None:
        self._is_asked = False
        self._timer.stop()
        self._patience.stop()

    def _on_patience_over(self) -> None:
        """A training looks at its data itself, so a long look need not be waited for."""
        if not self._own_problems() and self.rows.values()["data.folder"]:
            self.preflight.show_waiting("Still looking at the data; you can start already.")
            self._set_ready(True)

    def _set_ready(self, is_ready: bool) -> None:
        # A default button looks pressable even where it is not.
        self.start.setDefault(is_ready)
        self.start.setEnabled(is_ready)
        self.submit.setEnabled(is_ready)

    def _ask_check(self) -> None:
        self._is_asked = True
        self.check_asked.emit(self.config_text(), self.run_folder())

    def _row_problems(self) -> list[str]:
        """What is wrong with the fields above the form."""
        problems, values = [], self.rows.values()
        for setting in self._settings:
            if setting.key in values:
                try:
                    converted(setting, values[setting.key])
                except ValueError as error:
                    problems.append(str(error))
        return problems

    def _in_words(self, problem: dict[str, str]) -> dict[str, str]:
        """A problem that names settings as the form does."""
        names = {setting.key: setting.name for setting in self._settings}
        text = with_labels(problem["text"], self._settings)
        name = names.get(problem["key"], problem["key"])
        fix = with_labels(problem["fix"], self._settings)
        return {"text": f"{name} {text}".strip(), "fix": fix}

    def _is_filled(self) -> bool:
        """Whether there is something to lose."""
        rows = self.rows.values()
        typed = any(rows[key] for key in KEYS if key != "data.source")
        return typed or self.rows.folder_is_typed or self.form.values() != self._untouched

    def _chain_tab_stops(self) -> None:
        """From the top to the bottom of the left column, then the buttons."""
        fields = list(self.form.fields.values())
        stops: list[QWidget] = [self.rows.last_stop, self.tabs.tabBar(), fields[0]]
        for stop, following in pairwise(stops):
            self.setTabOrder(stop, following)

    def _own_problems(self) -> list[dict[str, str]]:
        problems = []
        try:
            expanded(self.rows.out.text())
        except ValueError as error:
            fix = "Choose the folder of the run."
            problems.append({"text": str(error), "fix": fix})
        if (self.run_folder() / "config.yaml").exists():
            fix = "Name another folder, or resume that run in the window of the runs."
            problems.append({"text": "The run folder holds a run already.", "fix": fix})
        return problems

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._command())
        self.status.setText("Copied.")

    def _command(self) -> str:
        arguments = set_arguments(self._settings, self.config_text())
        return command_text(self.run_folder(), self._num_gpus, arguments)

    def _on_submit(self) -> None:
        box = SlurmBox(self.form.values()["batch_size"], self)
        if box.exec():
            self._set_ready(False)
            self.status.setText("Handing it to SLURM …")
            self.submit_asked.emit(self.run_folder(), self.config_text(), box.job())

    def _on_start(self) -> None:
        self._set_ready(False)
        self.status.setText("Starting …")
        self.start_asked.emit(self.run_folder(), self.config_text(), self._num_gpus)


def free_folder(parent: Path, name: str) -> Path:
    folder, number = parent / (name or "run"), 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder
