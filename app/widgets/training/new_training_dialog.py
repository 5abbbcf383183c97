"""New training …: what to learn from, with which settings, and whether it would run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QGuiApplication, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.state.run_control import command_text
from app.state.training_form import Setting, flat_yaml, from_yaml, to_yaml
from app.widgets.training.preflight_panel import PreflightPanel
from app.widgets.training.settings_form import SettingsForm

_WAIT_MS = 500
KINDS = {
    "database": ("Person with attributes (hair, hats, …)", ""),
    "single": ("One person, as they are", ""),
    "personal": ("Personal avatar from a database", "not in this version"),
    "transfer": ("Transfer target", "not in this version"),
}


class NewTrainingDialog(QDialog):
    """Asks; the caller checks and starts."""

    check_asked = Signal(str, object)
    """the YAML and the run's folder"""
    start_asked = Signal(object, str, int)
    """the run's folder, the YAML, how many GPUs"""

    def __init__(self, settings: list[Setting], runs_folder: Path, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWindowTitle("New training")
        self._settings, self._runs_folder = settings, runs_folder
        self._num_gpus, self._folder_is_typed = 0, False
        self._timer = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._timer.timeout.connect(self._ask_check)
        self._make_fields()
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
        self._on_changed()
        self.resize(1020, 700)

    def config_text(self) -> str:
        """The YAML that the trainer would read."""
        return self.yaml.toPlainText()

    def run_folder(self) -> Path:
        """Where the run goes."""
        return Path(self.out.text()).expanduser().absolute()

    def show_report(self, report: dict[str, Any]) -> None:
        """Show what the look before the training has found."""
        if self._timer.isActive():
            return
        self._offer_subjects(report["subjects"])
        problems = report["problems"] + self._own_problems(report["subjects"])
        self._num_gpus = report["num_gpus"] if self.form.values()["device"] != "cpu" else 0
        self.preflight.show_report({**report, "problems": problems})
        self._set_ready(not problems)

    def show_failure(self, text: str) -> None:
        """Something did not work."""
        self.status.setText(text)
        self._ask_check()

    def _make_fields(self) -> None:
        self.kind, self.data, self.source = QComboBox(), QLineEdit(), QComboBox()
        for name, (title, missing) in KINDS.items():
            self.kind.addItem(f"{title} – {missing}" if missing else title, name)
            model = self.kind.model()
            assert isinstance(model, QStandardItemModel)
            model.item(self.kind.count() - 1).setEnabled(not missing)
        self.source.setEditable(True)
        self.source.setEditText("source")
        self.source.setToolTip("The folder that shows the person without hat, wig or make-up.")
        self.data.setPlaceholderText("folder with one folder for each subject")
        self.out = QLineEdit()
        self.out.setToolTip("Checkpoints, previews and the finished avatar go here.")
        self.form, self.yaml = SettingsForm(self._settings), QPlainTextEdit()
        self.yaml.setAccessibleName("Settings as YAML")
        self.yaml.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.preflight, self.status = PreflightPanel(), QLabel()
        self.status.setWordWrap(True)

    def _make_left(self) -> QVBoxLayout:
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(14)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows: list[tuple[str, QWidget]] = [
            ("What to train", self.kind),
            ("Data folder", self._with_browse(self.data)),
            ("Person without attributes", self.source),
            ("Run folder", self._with_browse(self.out)),
        ]
        for title, widget in rows:
            label = QLabel(title)
            label.setMinimumWidth(150)
            form.addRow(label, widget)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(self.form)
        self.tabs = QTabWidget()
        self.tabs.addTab(area, "Settings")
        self.tabs.addTab(self.yaml, "As file (YAML)")
        column = QVBoxLayout()
        column.setSpacing(12)
        column.addLayout(form)
        column.addWidget(self.tabs, 1)
        return column

    def _with_browse(self, line: QLineEdit) -> QWidget:
        box, button = QWidget(), QPushButton("Browse …")
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(line, 1)
        row.addWidget(button)
        button.clicked.connect(lambda: self._browse(line))
        return box

    def _make_footer(self) -> QHBoxLayout:
        self.copy, self.close_button = QPushButton("Copy command"), QPushButton("Close")
        self.copy.setToolTip("To start the same training in a terminal")
        self.start = QPushButton("Start")
        self.start.setMinimumWidth(84)
        row = QHBoxLayout()
        row.addWidget(self.status, 1)
        for button in (self.copy, self.close_button, self.start):
            row.addWidget(button)
        return row

    def _connect(self) -> None:
        self.form.changed.connect(self._on_changed)
        self.data.textChanged.connect(self._on_changed)
        self.source.editTextChanged.connect(self._on_changed)
        self.kind.currentIndexChanged.connect(self._on_changed)
        self.out.textEdited.connect(self._on_folder_typed)
        self.out.textChanged.connect(self._wait)
        self.yaml.textChanged.connect(self._on_yaml)
        self.close_button.clicked.connect(self.reject)
        self.copy.clicked.connect(self._on_copy)
        self.start.clicked.connect(self._on_start)

    def _on_changed(self) -> None:
        values = self.form.values()
        values["data.folder"] = self.data.text().strip()
        values["data.source"] = self.source.currentText()
        self.yaml.blockSignals(True)
        self.yaml.setPlainText(to_yaml(self._settings, values))
        self.yaml.blockSignals(False)
        if not self._folder_is_typed:
            self.out.setText(str(_free_folder(self._runs_folder, values["name"])))
        self._wait()

    def _on_yaml(self) -> None:
        try:
            values = from_yaml(self._settings, self.config_text())
        except ValueError as error:
            self._timer.stop()
            self._set_ready(False)
            self.preflight.show_waiting(str(error))
            return
        self.form.set_values(values)
        for line, key in ((self.data, "data.folder"), (self.source, "data.source")):
            line.blockSignals(True)
            text = str(values[key])
            line.setText(text) if isinstance(line, QLineEdit) else line.setEditText(text)
            line.blockSignals(False)
        self._wait()

    def _on_folder_typed(self) -> None:
        self._folder_is_typed = True

    def _wait(self) -> None:
        self._set_ready(False)
        self.status.clear()
        self.preflight.show_waiting("Looking at the data …")
        self._timer.start()

    def _set_ready(self, is_ready: bool) -> None:
        # A default button looks pressable even where it is not.
        self.start.setDefault(is_ready)
        self.start.setEnabled(is_ready)

    def _ask_check(self) -> None:
        self.check_asked.emit(self.config_text(), self.run_folder())

    def _own_problems(self, subjects: list[str]) -> list[dict[str, str]]:
        problems = []
        if (self.run_folder() / "config.yaml").exists():
            fix = "Name another folder, or resume that run in the window of the runs."
            problems.append({"text": "The run folder holds a run already.", "fix": fix})
        if self.kind.currentData() == "single" and len(subjects) > 1:
            fix = "Train a person with attributes, or choose a folder with this person alone."
            problems.append({"text": f"The folder holds {len(subjects)} subjects.", "fix": fix})
        return problems

    def _offer_subjects(self, subjects: list[str]) -> None:
        chosen = self.source.currentText()
        self.source.blockSignals(True)
        self.source.clear()
        self.source.addItems(subjects)
        self.source.setEditText(chosen)
        self.source.blockSignals(False)

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._command())
        self.status.setText("Copied.")

    def _command(self) -> str:
        return command_text(self.run_folder(), self._num_gpus, flat_yaml(self.config_text()))

    def _on_start(self) -> None:
        self._set_ready(False)
        self.status.setText("Starting …")
        self.start_asked.emit(self.run_folder(), self.config_text(), self._num_gpus)

    def _browse(self, line: QLineEdit) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Choose a folder", line.text())
        if chosen:
            self._folder_is_typed = self._folder_is_typed or line is self.out
            line.setText(chosen)


def _free_folder(parent: Path, name: str) -> Path:
    folder, number = parent / (name or "run"), 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder
