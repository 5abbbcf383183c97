"""New avatar from a video …: which video, what was seen in it, how long it may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from app.runs.presets import Description
from app.runs.settings import to_yaml
from app.runs.video_names import VIDEO_FILTER
from app.state.app_dirs import typed_path
from app.widgets.training.frame_strip import FrameStrip
from app.widgets.training.preset_choices import long_duration
from app.widgets.training.training_dialog import NamedTrainingDialog

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
        presets = [preset for preset in description.presets if preset.is_of_video]
        title = "New avatar from a video"
        super().__init__(title, description.settings, presets, runs_folder, parent)
        self.setAcceptDrops(True)
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
        problem = self.take_report(report)
        facts = report["facts"]
        self.facts.setText(
            "   ·   ".join(f"{k}: {facts[k]}" for k in ("Video", "Looked at") if k in facts)
        )
        for preset in self._presets:
            seconds = report["seconds_by_preset"].get(preset.name)
            takes = f"About {long_duration(seconds)} here." if seconds else ""
            self.choices.show_cost(preset, takes)
        self.say(problem, bool(problem))
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
        self.strip = FrameStrip()
        for button in (self.browse, self.record):
            button.setAutoDefault(False)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.video, 1)
        row.addWidget(self.browse)
        row.addWidget(self.record)
        form = self._form
        form.addRow("Video", row)
        form.addRow("Name", self.name)
        form.addRow("Whose face", self.face)
        self._offer_faces(0)
        stops: list[QWidget] = [self.video, self.browse, self.record, self.name, self.face]
        self.lay_out(_EXPLANATION, self.strip, [*stops, self.strip])

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
        text = self.video.text().strip()
        self.forget_found(text)
        self._offer_faces(0)
        self.strip.clear()
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
