"""Twenty seconds before the camera, with what to do in them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from PySide6.QtCore import QProcess, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

INSTRUCTIONS = (
    "Look into the camera and talk: count to ten, or say a poem.",
    "Turn your head slowly: left, right, up, down.",
    "Smile, close your eyes for a moment, open your mouth wide.",
)
_STEPS = 1000
"""Of the bar; fewer are seen as jerks."""
_PICTURE_HEIGHT = 300
"""Points; more leaves no room for the instructions on a small screen."""
_END_MS = 2000
"""For a process that was killed; more would only hold the window up."""


class CameraDialog(QDialog):
    """Accepted when a whole recording is there."""

    def __init__(
        self, command: list[str], folder: Path, out: Path, parent: QWidget | None = None
    ) -> None:
        """
        Args:
            command: of the program that records; see `app.camera_process`.
            folder: to run it in.
            out: the file that it writes.
            parent: the window above which it is shown.
        """
        super().__init__(parent)
        self.setWindowTitle("Record with the camera")
        self.out, self._command, self._folder = out, command, folder
        self.picture, self.instruction = QLabel(), QLabel("Press Record when you are ready.")
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setMinimumSize(440, _PICTURE_HEIGHT)
        self.picture.setAccessibleName("Picture of the camera")
        self.instruction.setWordWrap(True)
        self.instruction.setObjectName("heading")
        self.bar = QProgressBar()
        self.bar.setRange(0, _STEPS)
        self.bar.setTextVisible(False)
        self.cancel, self.record = QPushButton("Cancel"), QPushButton("Record")
        self.record.setDefault(True)
        self.cancel.setAutoDefault(False)
        self._process = QProcess(self)
        self._rest = b""
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.record)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(12)
        column.addWidget(self.instruction)
        column.addWidget(self.picture, 1)
        column.addWidget(self.bar)
        column.addLayout(buttons)
        self.cancel.clicked.connect(self.reject)
        self.record.clicked.connect(self._on_record)
        self._process.readyReadStandardOutput.connect(self._on_lines)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(lambda _: self._show_failure())
        self.record.setFocus()

    def reject(self) -> None:
        """Break off; nothing of the recording is left."""
        self._end()
        self.out.unlink(missing_ok=True)
        super().reject()

    def _on_record(self) -> None:
        self.record.setEnabled(False)
        self._rest = b""
        program, *arguments = self._command
        self._process.setWorkingDirectory(str(self._folder))
        self.instruction.setText("Opening the camera …")
        self._process.start(program, arguments)

    def _on_lines(self) -> None:
        read = self._rest + bytes(self._process.readAllStandardOutput().data())
        *lines, self._rest = read.split(b"\n")
        for line in lines[-1:]:
            found = json.loads(line)
            self._show(float(found["share"]), base64.b64decode(found["picture"]))

    def _show(self, share: float, encoded: bytes) -> None:
        self.bar.setValue(round(_STEPS * share))
        number = min(int(share * len(INSTRUCTIONS)), len(INSTRUCTIONS) - 1)
        self.instruction.setText(f"{number + 1}. {INSTRUCTIONS[number]}")
        picture = QPixmap()
        if picture.loadFromData(encoded):
            room = self.picture.size()
            kept = Qt.AspectRatioMode.KeepAspectRatio
            smooth = Qt.TransformationMode.SmoothTransformation
            self.picture.setPixmap(picture.scaled(room, kept, smooth))

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        if status is QProcess.ExitStatus.NormalExit and code == 0 and self.out.is_file():
            self.accept()
        elif self.isVisible():
            self._show_failure()

    def _show_failure(self) -> None:
        said = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
        lines = said.strip().splitlines() or ["The camera could not be read."]
        self.instruction.setText(f"{lines[-1]} Try again, or choose a file.")
        self.bar.setValue(0)
        self.record.setEnabled(True)

    def _end(self) -> None:
        if self._process.state() is not QProcess.ProcessState.NotRunning:
            self._process.finished.disconnect(self._on_finished)
            self._process.errorOccurred.disconnect()
            self._process.kill()
            self._process.waitForFinished(_END_MS)
