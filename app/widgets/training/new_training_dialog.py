"""New training …: what to learn from, with which settings, and whether it would run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.runs.launch import command_text, free_folder
from app.runs.presets import Description
from app.runs.settings import converted, from_yaml, set_arguments, to_yaml
from app.runs.slurm import is_slurm_here
from app.state.app_dirs import expanded, typed_path
from app.widgets.training.preflight_panel import PreflightPanel
from app.widgets.training.settings_form import SettingsForm
from app.widgets.training.slurm_box import SlurmBox
from app.widgets.training.source_rows import KEYS, SourceRows
from app.widgets.training.training_dialog import TrainingDialog

_PATIENCE_MS = 4000
"""after which a training can be started although the look at its data has not ended; less starts
what the look would have refused"""
_KEPT = ("device", "threads")
"""what another kind of training does not change: it depends on the machine"""


class NewTrainingDialog(TrainingDialog):
    """Every setting, and a look at data that is a capture already."""

    submit_asked = Signal(object, str, object)
    """the run's folder, the YAML, the SlurmJob"""

    def __init__(
        self, description: Description, runs_folder: Path, parent: QWidget | None = None
    ) -> None:
        super().__init__("New training", description.settings, parent)
        self._runs_folder = runs_folder
        self._has_gpu, self._usual_name = description.has_gpu, ""
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

    def show_found(self, report: dict[str, Any]) -> None:
        self.rows.offer_subjects(report["subjects"])
        problems = [self._named(p) for p in report["problems"]] + self._own_problems()
        notes = [self.in_words(note) for note in report["notes"]]
        self.preflight.show_report({**report, "problems": problems, "notes": notes})
        self.set_ready(not problems)

    def show_ready(self) -> None:
        self.set_ready(not self._own_problems())

    def show_check_failure(self, text: str) -> None:
        if self._is_asked:
            self.end_look()
            self.preflight.show_problems([self.in_words(text)])

    def is_filled(self) -> bool:
        rows = self.rows.values()
        typed = any(rows[key] for key in KEYS if key != "data.source")
        return typed or self.rows.folder_is_typed or self.form.values() != self._untouched

    def end_look(self) -> None:
        super().end_look()
        self._patience.stop()

    def set_ready(self, is_ready: bool) -> None:
        super().set_ready(is_ready)
        self.submit.setEnabled(is_ready)

    def _make_fields(self, description: Description) -> None:
        self._untouched: dict[str, Any] = {}
        kinds = [p for p in description.presets if not (p.is_of_video or p.is_of_people)]
        self.rows = SourceRows(kinds, description.has_gpu)
        self.form = SettingsForm([s for s in self._settings if s.key not in KEYS])
        self.yaml = QPlainTextEdit()
        self.yaml.setAccessibleName("Settings as YAML")
        self.yaml.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.preflight = PreflightPanel()

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
        self.copy, self.submit = QPushButton("Copy command"), QPushButton("Submit to SLURM …")
        self.copy.setToolTip("To start the same training in a terminal")
        self.submit.setToolTip("Let the cluster train: the job waits there for its machines")
        if not is_slurm_here():
            self.submit.hide()
        return self.make_footer([self.copy], [self.submit])

    def _connect(self) -> None:
        self.form.changed.connect(self._on_changed)
        self.rows.changed.connect(self._on_changed)
        self.rows.kind_chosen.connect(lambda: self._fill(self._has_gpu))
        self.rows.sizes_asked.connect(lambda: self._fill(True))
        self.rows.folder_changed.connect(self._wait)
        self.yaml.textChanged.connect(self._on_yaml)
        self.copy.clicked.connect(self._on_copy)
        self.submit.clicked.connect(self._on_submit)

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
        self.drop_look()
        self.say("")
        self.set_ready(False)
        self.preflight.show_waiting("Looking at the data …")
        self.look_soon()
        self._patience.start()

    def _stop_waiting(self, problems: list[str]) -> None:
        self.drop_look()
        self.set_ready(False)
        self.preflight.show_problems(problems)

    def _on_patience_over(self) -> None:
        """A training looks at its data itself, so a long look need not be waited for."""
        if not self._own_problems() and self.rows.values()["data.folder"]:
            self.preflight.show_waiting("Still looking at the data; you can start already.")
            self.set_ready(True)

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

    def _named(self, problem: dict[str, str]) -> dict[str, str]:
        """A problem that names settings as the form does."""
        names = {setting.key: setting.name for setting in self._settings}
        name = names.get(problem["key"], problem["key"])
        text = f"{name} {self.in_words(problem['text'])}".strip()
        return {"text": text, "fix": self.in_words(problem["fix"])}

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
        self.say("Copied.")

    def _command(self) -> str:
        arguments = set_arguments(self._settings, self.config_text())
        return command_text(self.run_folder(), self._num_gpus, arguments)

    def _on_submit(self) -> None:
        box = SlurmBox(self.form.values()["batch_size"], self)
        if box.exec():
            self.say("Handing it to SLURM …")
            self.set_ready(False)
            self.submit_asked.emit(self.run_folder(), self.config_text(), box.job())
