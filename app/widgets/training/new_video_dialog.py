"""New avatar from a video …: which video, what was seen in it, how long it may take."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.runs.presets import Description, TrainingPreset
from app.runs.settings import converted, to_yaml, with_labels
from app.runs.video_names import VIDEO_FILTER, person_name
from app.state.app_dirs import typed_path
from app.widgets.activity_panel import ERROR_COLOUR
from app.widgets.training.discard_question import may_discard
from app.widgets.training.frame_strip import FrameStrip
from app.widgets.training.new_training_dialog import free_folder
from app.widgets.training.preflight_panel import duration_text

_WAIT_MS = 500
"""without a change, before a typed path is looked at: a look starts a process; less starts one for
every letter, more answers later"""
_EXPLANATION = (
    "Twenty seconds are enough: look into the camera and talk, turn the head slowly to all sides, "
    "smile, close the eyes. Good light, nothing before the face."
)


class NewVideoDialog(QDialog):
    """Asks; the caller looks at the video and starts."""

    check_asked = Signal(str, object)
    """the YAML and the run's folder"""
    check_dropped = Signal()
    """the answer to the last one is not wanted any more"""
    start_asked = Signal(object, str, int)
    """the run's folder, the YAML, how many GPUs"""
    record_asked = Signal()

    def __init__(
        self, description: Description, runs_folder: Path, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("New avatar from a video")
        self.setAcceptDrops(True)
        self._settings, self._runs_folder = description.settings, runs_folder
        self._presets = [preset for preset in description.presets if preset.is_of_video]
        self._is_asked = self._is_seen = self._has_own_name = False
        self._num_gpus = 0
        self._timer = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._timer.timeout.connect(self._look)
        self._make_fields()
        self._lay_out()
        self._connect()
        self._show_waiting("Choose a video, or drop one here.")
        self.resize(980, 570)

    def set_video(self, path: Path) -> None:
        """Take a video; what it shows is asked for at once."""
        self.video.setText(str(path))
        self._timer.start(0)

    def set_camera(self, has_camera: bool) -> None:
        """Whether one can be recorded here."""
        self.record.setEnabled(has_camera)
        self.record.setText("Record …" if has_camera else "No camera found")

    def config_text(self) -> str:
        """The YAML that the trainer would read."""
        values = self._chosen.values | {
            # A name that cannot be used says nothing of the video, and is told beside Start.
            "name": self._chosen.values["name"] if self._name_problem() else self._typed_name,
            "data.video_face": max(self.face.currentIndex(), 0),
            "data.video": str(typed_path(self.video.text().strip()).absolute()),
        }
        return to_yaml(self._settings, values)

    def run_folder(self) -> Path:
        """Where the run would go."""
        name = "person" if self._name_problem() else self._typed_name
        return free_folder(self._runs_folder, name).absolute()

    def show_report(self, report: dict[str, Any]) -> None:
        """Show what was seen in the video."""
        if not self._is_asked:
            return
        self._is_asked = False
        self.strip.set_frames(report["frames"])
        if report["num_faces"]:
            self._offer_faces(report["num_faces"])
        # One at a time: the next look tells what is left.
        problems = [f"{p['text']} {p['fix']}" for p in report["problems"][:1]]
        self._is_seen, self._num_gpus = not problems, report["num_gpus"]
        facts = report["facts"]
        self.facts.setText(
            "   ·   ".join(f"{k}: {facts[k]}" for k in ("Video", "Looked at") if k in facts)
        )
        notes = [with_labels(note, self._settings) for note in report["notes"]]
        self.notes.setText("\n".join(notes))
        for preset in self._presets:
            self._show_time(preset, report["seconds_by_preset"].get(preset.name))
        self._say(" ".join(with_labels(text, self._settings) for text in problems), bool(problems))
        self._show_ready()

    def show_check_failure(self, text: str) -> None:
        """The look itself did not work."""
        if self._is_asked:
            self._is_asked = False
            self._say(text, True)
            self._show_ready()

    def show_failure(self, text: str) -> None:
        """It was not started; it can be asked for again."""
        self._say(with_labels(text, self._settings), True)
        self._show_ready()

    def reject(self) -> None:
        """Close, but not what was filled in without a word."""
        is_filled = bool(self.video.text().strip() or self._has_own_name)
        if is_filled and not may_discard(self):
            return
        self._drop_look()
        super().reject()

    def accept(self) -> None:
        """Close: it has started."""
        self._drop_look()
        super().accept()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.set_video(Path(paths[0]))

    def _make_fields(self) -> None:
        self.video, self.browse = QLineEdit(), QPushButton("Browse …")
        self.record, self.name = QPushButton("Record …"), QLineEdit()
        self.record.setToolTip("Record twenty seconds with the camera of this machine")
        self.record.setEnabled(False)
        self.video.setPlaceholderText("a video of one person, or drop it here")
        self.name.setPlaceholderText("the name of the avatar")
        for field, name in ((self.video, "Video"), (self.name, "Name")):
            field.setAccessibleName(name)
        self.face = QComboBox()
        self.face.setAccessibleName("Whose face")
        self.face.setToolTip("The face whose landmarks are drawn below is the one that is used")
        self.strip, self.facts, self.notes = FrameStrip(), QLabel(), QLabel()
        self.status = QLabel()
        for label in (self.facts, self.notes, self.status):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.notes.setObjectName("faint")
        self.choices = QButtonGroup(self)
        self._times: dict[str, QLabel] = {}
        self.close_button, self.start = QPushButton("Close"), QPushButton("Start")
        self.start.setMinimumWidth(84)
        for button in (self.browse, self.record, self.close_button, self.start):
            button.setAutoDefault(False)

    def _lay_out(self) -> None:
        explanation = QLabel(_EXPLANATION)
        explanation.setObjectName("faint")
        explanation.setWordWrap(True)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.video, 1)
        row.addWidget(self.browse)
        row.addWidget(self.record)
        form = QFormLayout()
        form.setHorizontalSpacing(14)
        form.setVerticalSpacing(8)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Video", row)
        form.addRow("Name", self.name)
        form.addRow("Whose face", self.face)
        self._form = form
        self._offer_faces(0)
        inner, content = QVBoxLayout(), QWidget()
        content.setLayout(inner)
        inner.setContentsMargins(0, 0, 6, 0)
        inner.setSpacing(10)
        inner.addWidget(explanation)
        inner.addLayout(form)
        inner.addWidget(self.strip, 1)
        inner.addWidget(self.facts)
        inner.addWidget(self.notes)
        inner.addLayout(self._make_choices())
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(content)
        footer = QHBoxLayout()
        footer.addWidget(self.status, 1)
        footer.addWidget(self.close_button)
        footer.addWidget(self.start)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(12)
        column.addWidget(area, 1)
        column.addLayout(footer)
        buttons = self.choices.buttons()
        stops = [self.video, self.browse, self.record, self.name, self.face]
        stops += [self.strip, *buttons]
        for stop, following in pairwise([*stops, self.close_button, self.start]):
            self.setTabOrder(stop, following)

    def _make_choices(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(6)
        for number, preset in enumerate(self._presets):
            row, button, text = QHBoxLayout(), QRadioButton(preset.title), QLabel()
            button.setMinimumWidth(120)
            button.setToolTip(preset.help)
            button.setAccessibleDescription(preset.help)
            text.setWordWrap(True)
            text.setBuddy(button)
            self.choices.addButton(button, number)
            self._times[preset.name] = text
            row.addWidget(button)
            row.addWidget(text, 1)
            column.addLayout(row)
            self._show_time(preset, None)
        self.choices.buttons()[0].setChecked(True)
        return column

    def _connect(self) -> None:
        self.video.textChanged.connect(self._on_video)
        self.name.textEdited.connect(self._on_name)
        self.face.activated.connect(self._look)
        self.browse.clicked.connect(self._on_browse)
        self.record.clicked.connect(self.record_asked)
        self.close_button.clicked.connect(self.reject)
        self.start.clicked.connect(self._on_start)

    @property
    def _typed_name(self) -> str:
        return self.name.text().strip()

    @property
    def _chosen(self) -> TrainingPreset:
        return self._presets[max(self.choices.checkedId(), 0)]

    def _show_time(self, preset: TrainingPreset, seconds: float | None) -> None:
        takes = f" About {_long_duration(seconds)} here." if seconds else ""
        self._times[preset.name].setText(f"{preset.help}{takes}")

    def _on_browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Choose a video", self.video.text(), VIDEO_FILTER
        )
        if chosen:
            self.set_video(Path(chosen))

    def _on_video(self) -> None:
        self._drop_look()
        self._is_seen = False
        self._offer_faces(0)
        self.strip.clear()
        self.facts.clear()
        self.notes.clear()
        text = self.video.text().strip()
        if not self._has_own_name:
            self.name.setText(person_name(text) if text else "")
        if text:
            self._show_waiting("Looking at the video …")
            self._timer.start(_WAIT_MS)
        else:
            self._show_waiting("Choose a video, or drop one here.")

    def _on_name(self) -> None:
        self._has_own_name = bool(self.name.text().strip())
        if self._is_seen:
            self._say("", False)
            self._show_ready()

    def _look(self) -> None:
        self._drop_look()
        self._is_seen, self._is_asked = False, True
        self._show_waiting("Looking at the video …")
        self.check_asked.emit(self.config_text(), self.run_folder())

    def _offer_faces(self, count: int) -> None:
        """Let the user say who it is, where several people are seen."""
        chosen = self.face.currentIndex() if count > 1 else 0
        self.face.clear()
        self.face.addItems(
            ["The largest", *(f"Number {k + 1} from the left" for k in range(count))]
        )
        self.face.setCurrentIndex(min(max(chosen, 0), count))
        self._form.setRowVisible(self.face, count > 1)

    def _drop_look(self) -> None:
        self._timer.stop()
        if self._is_asked:
            self._is_asked = False
            self.check_dropped.emit()

    def _name_problem(self) -> str:
        setting = next(setting for setting in self._settings if setting.key == "name")
        try:
            converted(setting, self._typed_name)
        except ValueError as error:
            return str(error)
        return ""

    def _show_waiting(self, text: str) -> None:
        self._say(text, False)
        self._set_ready(False)

    def _show_ready(self) -> None:
        problem = self._name_problem() if self._is_seen else ""
        if problem:
            self._say(problem, True)
        elif self._is_seen and not self.status.text():
            self._say("Ready to start.", False)
        self._set_ready(self._is_seen and not problem)

    def _set_ready(self, is_ready: bool) -> None:
        self.start.setDefault(is_ready)
        self.start.setEnabled(is_ready)
        self.start.setToolTip("" if is_ready else self.status.text())

    def _say(self, text: str, is_problem: bool) -> None:
        self.status.setText(text)
        self.status.setStyleSheet(f"color: {ERROR_COLOUR}" if is_problem else "")

    def _on_start(self) -> None:
        folder, text = self.run_folder(), self.config_text()
        self._show_waiting("Starting …")
        self.start_asked.emit(folder, text, self._num_gpus)


def _long_duration(seconds: float) -> str:
    text = duration_text(seconds)
    return text.replace(" min", " minute" if text == "1 min" else " minutes")
