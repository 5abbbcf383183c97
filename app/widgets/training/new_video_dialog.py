"""New avatar from a video …: which video, what was seen in it, how long it may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.runs.presets import Description
from app.runs.settings import to_yaml
from app.runs.video_names import VIDEO_FILTER, person_name
from app.state.app_dirs import typed_path
from app.widgets.training.frame_strip import FrameStrip
from app.widgets.training.preset_choices import PresetChoices, long_duration
from app.widgets.training.training_dialog import NamedTrainingDialog, faint_text, wide_form

_WAITING = "Choose a video, or drop one here."
_EXPLANATION = (
    "Twenty seconds are enough: look into the camera and talk, turn the head slowly to all sides, "
    "smile, close the eyes. Good light, nothing before the face."
)


class NewVideoDialog(NamedTrainingDialog):
    """A video, what was seen in it, and how much to make of it."""

    record_asked = Signal()
    looking = "Looking at the video …"

    def __init__(
        self, description: Description, runs_folder: Path, parent: QWidget | None = None
    ) -> None:
        super().__init__("New avatar from a video", description.settings, runs_folder, parent)
        self.setAcceptDrops(True)
        self._presets = [preset for preset in description.presets if preset.is_of_video]
        self._make_fields()
        self._lay_out()
        self._connect()
        self.show_waiting(_WAITING)
        self.resize(980, 570)

    def set_video(self, path: Path) -> None:
        """Take a video; what it shows is asked for at once."""
        self.video.setText(str(path))
        self.look_soon(0)

    def set_camera(self, has_camera: bool) -> None:
        """Whether one can be recorded here."""
        self.record.setEnabled(has_camera)
        self.record.setText("Record …" if has_camera else "No camera found")

    def config_text(self) -> str:
        """The YAML that the trainer would read."""
        values = self.named(self.choices.chosen.values) | {
            "data.video_face": max(self.face.currentIndex(), 0),
            "data.video": str(typed_path(self.video.text().strip()).absolute()),
        }
        return to_yaml(self._settings, values)

    def show_found(self, report: dict[str, Any]) -> None:
        self.strip.set_frames(report["frames"])
        if report["num_faces"]:
            self._offer_faces(report["num_faces"])
        # One at a time: the next look tells what is left.
        problems = [f"{p['text']} {p['fix']}" for p in report["problems"][:1]]
        self._is_seen = not problems
        facts = report["facts"]
        self.facts.setText(
            "   ·   ".join(f"{k}: {facts[k]}" for k in ("Video", "Looked at") if k in facts)
        )
        self.notes.setText("\n".join(map(self.in_words, report["notes"])))
        for preset in self._presets:
            seconds = report["seconds_by_preset"].get(preset.name)
            takes = f"About {long_duration(seconds)} here." if seconds else ""
            self.choices.show_cost(preset, takes)
        self.say(" ".join(map(self.in_words, problems)), bool(problems))
        self.show_ready()

    def is_filled(self) -> bool:
        return bool(self.video.text().strip() or self._has_own_name)

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
        self.record = QPushButton("Record …")
        self.record.setToolTip("Record twenty seconds with the camera of this machine")
        self.record.setEnabled(False)
        self.video.setPlaceholderText("a video of one person, or drop it here")
        self.video.setAccessibleName("Video")
        self.face = QComboBox()
        self.face.setAccessibleName("Whose face")
        self.face.setToolTip("The face whose landmarks are drawn below is the one that is used")
        self.strip, self.facts, self.notes = FrameStrip(), QLabel(), faint_text()
        self.facts.setWordWrap(True)
        self.facts.setTextFormat(Qt.TextFormat.PlainText)
        self.choices = PresetChoices(self._presets)
        for button in (self.browse, self.record):
            button.setAutoDefault(False)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.video, 1)
        row.addWidget(self.browse)
        row.addWidget(self.record)
        form = self._form = wide_form()
        form.addRow("Video", row)
        form.addRow("Name", self.name)
        form.addRow("Whose face", self.face)
        self._offer_faces(0)
        content = QVBoxLayout()
        content.addWidget(faint_text(_EXPLANATION))
        content.addLayout(form)
        content.addWidget(self.strip, 1)
        content.addWidget(self.facts)
        content.addWidget(self.notes)
        content.addWidget(self.choices)
        stops: list[QWidget] = [self.video, self.browse, self.record, self.name, self.face]
        self.lay_out(content, [*stops, self.strip, *self.choices.buttons()])

    def _connect(self) -> None:
        self.video.textChanged.connect(self._on_video)
        self.face.activated.connect(self.look)
        self.browse.clicked.connect(self._on_browse)
        self.record.clicked.connect(self.record_asked)

    def _on_browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Choose a video", self.video.text(), VIDEO_FILTER
        )
        if chosen:
            self.set_video(Path(chosen))

    def _on_video(self) -> None:
        self.drop_look()
        self._is_seen = False
        self._offer_faces(0)
        self.strip.clear()
        self.facts.clear()
        self.notes.clear()
        text = self.video.text().strip()
        self.propose_name(person_name(text) if text else "")
        self.show_waiting(self.looking if text else _WAITING)
        if text:
            self.look_soon()

    def _offer_faces(self, count: int) -> None:
        """Let the user say who it is, where several people are seen."""
        chosen = self.face.currentIndex() if count > 1 else 0
        self.face.clear()
        self.face.addItems(
            ["The largest", *(f"Number {k + 1} from the left" for k in range(count))]
        )
        self.face.setCurrentIndex(min(max(chosen, 0), count))
        self._form.setRowVisible(self.face, count > 1)
