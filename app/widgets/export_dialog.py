"""The turntable film: what it shall be, and while it is written how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.state.app_dirs import typed_path
from app.state.display import Colour
from app.state.export_settings import (
    FILM_FORMATS,
    MAX_FPS,
    MAX_FRAMES,
    MAX_SIDE,
    MIN_SIDE,
    TRANSPARENT,
    VIEWPORT,
    ExportSettings,
)
from app.state.jobs import Job
from app.widgets.activity_panel import remaining_text
from app.widgets.gallery import to_image
from app.widgets.job_dialog import JobDialog
from app.widgets.number_field import WholeNumberField
from app.widgets.tab_order import follow_layout

_PREVIEW = 260
"""Points of a side; more is drawn slower and makes the dialog taller."""
_BACKGROUNDS: dict[str, tuple[str, Colour | str]] = {
    VIEWPORT: ("As in the viewport", VIEWPORT),
    "white": ("White", (1.0, 1.0, 1.0)),
    "black": ("Black", (0.0, 0.0, 0.0)),
    TRANSPARENT: ("Transparent", TRANSPARENT),
}


class ExportDialog(JobDialog):
    """What was filled in is still there when it is opened again."""

    export_asked = Signal(object)

    def __init__(self, folder: Path, stem: str, parent: QWidget | None = None):
        super().__init__("Export turntable", "Export", parent)
        self._make_fields(folder / f"{stem}-turntable.mp4")
        self._make_preview()
        columns = QHBoxLayout()
        columns.setSpacing(20)
        columns.addLayout(self._make_form(), 1)
        columns.addWidget(self.preview, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(12)
        column.addLayout(columns)
        column.addLayout(self.make_footer())
        self._connect()
        self._on_changed()
        self.setMinimumWidth(720)
        follow_layout(self)

    def settings(self) -> ExportSettings:
        """What the fields say, also one that is still being typed in."""
        for box in (self.side, self.num_frames, self.fps):
            box.interpretText()
        side = self.side.value()
        return ExportSettings(
            typed_path(self.out.text()),
            (side, side),
            self.num_frames.value(),
            self.fps.value(),
            _BACKGROUNDS[self.background.currentData()][1],
        )

    def set_settings(self, settings: ExportSettings) -> None:
        """Show what an earlier film was to be; where it goes stays as it is."""
        self.format.setCurrentIndex(self.format.findData(settings.out.suffix.lower()))
        self.side.setValue(settings.image_size[0])
        self.num_frames.setValue(settings.num_frames)
        self.fps.setValue(max(1, round(settings.fps)))
        for name, (_, background) in _BACKGROUNDS.items():
            if background == settings.background:
                self.background.setCurrentIndex(self.background.findData(name))

    def set_preview(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Show a picture (H, W, 3 or 4), before the start or the latest frame."""
        shown = pixels
        if pixels.shape[2] == 4:
            # Frames of a film have straight alpha, and the preview shows premultiplied ones.
            colour = pixels[..., :3].astype(np.uint16) * pixels[..., 3:] // 255
            shown = np.dstack([colour.astype(np.uint8), pixels[..., 3]])
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap.fromImage(to_image(shown)).scaled(
            round(_PREVIEW * ratio),
            round(_PREVIEW * ratio),
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        pixmap.setDevicePixelRatio(ratio)
        self.preview.setPixmap(pixmap)

    def show_progress(self, job: Job) -> None:
        """So many frames are done."""
        left = remaining_text(job.remaining_s)
        text = f"Frame {job.done} of {job.total}" + (f" · {left}" if left else "")
        self.show_share(job.done / max(job.total, 1), text)

    def fields(self) -> Sequence[QWidget]:
        numbers = (self.side, self.num_frames, self.fps)
        return (self.format, self.background, self.out, self.browse, *numbers)

    def _make_fields(self, out: Path) -> None:
        self.format, self.background = QComboBox(), QComboBox()
        for known in FILM_FORMATS:
            can = ", can be transparent" if known.carries_alpha else ""
            self.format.addItem(known.title + can, known.suffix)
        for name, (title, _) in _BACKGROUNDS.items():
            self.background.addItem(title, name)
        self.out, self.browse = QLineEdit(str(out)), QPushButton("Browse …")
        self.out.setAccessibleName("Save as")
        self.browse.setAccessibleName("Browse for where to save")
        self.side = WholeNumberField(MIN_SIDE, MAX_SIDE, " px")
        self.num_frames, self.fps = WholeNumberField(1, MAX_FRAMES), WholeNumberField(1, MAX_FPS)
        for box, value in ((self.side, 768), (self.num_frames, 120), (self.fps, 30)):
            box.setValue(value)
        self.side.setSingleStep(64)

    def _make_preview(self) -> None:
        self.preview = QLabel()
        self.preview.setFixedSize(_PREVIEW, _PREVIEW)
        self.preview.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.preview.setAccessibleName("Preview")

    def _make_form(self) -> QFormLayout:
        form = QFormLayout()
        form.setVerticalSpacing(10)
        form.setHorizontalSpacing(14)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        place = QHBoxLayout()
        place.addWidget(self.out, 1)
        place.addWidget(self.browse)
        form.addRow("Format", self.format)
        form.addRow("Save as", place)
        form.addRow("Size", self.side)
        form.addRow("Frames", self.num_frames)
        form.addRow("Frames a second", self.fps)
        form.addRow("Background", self.background)
        self.length = QLabel()
        self.length.setObjectName("faint")
        form.addRow("", self.length)
        return form

    def _connect(self) -> None:
        self.format.currentIndexChanged.connect(self._on_format)
        self.background.currentIndexChanged.connect(self._on_changed)
        for box in (self.side, self.num_frames, self.fps):
            box.valueChanged.connect(self._on_changed)
        self.browse.clicked.connect(self._on_browse)
        self.start.clicked.connect(lambda: self.export_asked.emit(self.settings()))

    def _on_format(self) -> None:
        path, suffix = Path(self.out.text()), self.format.currentData()
        self.out.setText(str(path.with_suffix(suffix)))
        self._on_changed()

    def _on_changed(self) -> None:
        chosen = FILM_FORMATS[self.format.currentIndex()]
        self.fps.setMaximum(chosen.max_fps)
        carries = chosen.carries_alpha
        index = self.background.findData(TRANSPARENT)
        model = self.background.model()
        model.item(index).setEnabled(carries)  # type: ignore[attr-defined]
        if not carries and self.background.currentIndex() == index:
            self.background.setCurrentIndex(self.background.findData(VIEWPORT))
        seconds = self.num_frames.value() / self.fps.value()
        step = 360 / self.num_frames.value()
        self.length.setText(f"{seconds:.1f} s, one full circle, {step:.3g}° a frame")

    def _on_browse(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Save as", self.out.text())
        if chosen:
            path = Path(chosen)
            index = self.format.findData(path.suffix.lower())
            if index >= 0:
                self.format.setCurrentIndex(index)
            self.out.setText(str(path))
