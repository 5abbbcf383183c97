"""The camera, and what is shown."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QColorDialog,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.state.display import BACKGROUNDS, PASS_TITLES, Display
from app.state.view import DEFAULT_FOV_DEG, DISTANCE_RANGE, FOV_RANGE_DEG, PRESET_KEYS, View
from app.widgets.collapsible_section import CollapsibleSection, scrolling_column
from app.widgets.slider_row import SliderRow


class ScenePanel(QWidget):
    """Tells of a whole new view or display."""

    view_changed = Signal(object)
    display_changed = Signal(object)
    frame_asked = Signal()
    reset_asked = Signal()
    gesture_ended = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._view, self._display = View(), Display()
        area, _ = scrolling_column([self._make_camera(), self._make_display()])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    def set_view(self, view: View) -> None:
        """Show a view."""
        self._view = view
        for row, value in zip(
            self._rows, (view.yaw_deg, view.pitch_deg, view.roll_deg, view.fov_deg), strict=True
        ):
            row.set_value(value)
        self.distance.set_value(view.distance)

    def set_usual_distance(self, distance: float) -> None:
        """The distance that frames the open avatar's head."""
        self.distance.set_default(distance)

    def set_note(self, note: str) -> None:
        """Say what there is to know when the head is turned; nothing with an empty text."""
        self.note.setText(note)
        self.note.setVisible(bool(note))

    def set_display(self, display: Display) -> None:
        """Show what is displayed."""
        self._display = display
        for box, value in (
            (self.passes, display.pass_name),
            (self.backgrounds, display.background),
        ):
            blocked = box.blockSignals(True)
            box.setCurrentIndex(box.findData(value))
            box.blockSignals(blocked)
        self.colour.setVisible(display.background == "colour")
        red, green, blue = (round(255 * x) for x in display.colour)
        self.colour.setText(f"#{red:02x}{green:02x}{blue:02x}")

    def _make_camera(self) -> CollapsibleSection:
        section = CollapsibleSection("Camera")
        buttons = QGridLayout()
        buttons.setSpacing(4)
        for index, (name, key) in enumerate(PRESET_KEYS.items()):
            button = QPushButton(name)
            button.setToolTip(f"{name} ({key})")
            button.clicked.connect(lambda _=False, n=name: self._on_preset(n))
            buttons.addWidget(button, index // 2, index % 2)
        section.body.addLayout(buttons)
        self._rows = [
            self._row("Around", "yaw_deg", -180, 180),
            self._row("Above", "pitch_deg", -89, 89),
            self._row("Roll", "roll_deg", -180, 180),
            self._row("Field of view", "fov_deg", *FOV_RANGE_DEG, default=DEFAULT_FOV_DEG),
        ]
        self.distance = SliderRow("Distance", *DISTANCE_RANGE, View().distance, decimals=2)
        self.distance.value_changed.connect(lambda v: self._emit(self._view.at_distance(v)))
        for row in (*self._rows[:3], self.distance, *self._rows[3:]):
            row.gesture_ended.connect(self.gesture_ended)
            section.body.addWidget(row)
        section.body.addLayout(self._make_view_buttons())
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setEnabled(False)
        self.set_note("")
        section.body.addWidget(self.note)
        return section

    def _make_view_buttons(self) -> QGridLayout:
        frame, reset = QPushButton("Frame head"), QPushButton("Reset camera")
        frame.setToolTip("Bring the head to the middle (F)")
        reset.setToolTip("The avatar's own view (Home)")
        frame.clicked.connect(self.frame_asked)
        reset.clicked.connect(self.reset_asked)
        grid = QGridLayout()
        grid.setSpacing(4)
        grid.addWidget(frame, 0, 0)
        grid.addWidget(reset, 0, 1)
        return grid

    def _row(
        self, title: str, name: str, low: float, high: float, default: float = 0.0
    ) -> SliderRow:
        row = SliderRow(title, low, high, default, decimals=1, suffix="°")
        row.value_changed.connect(lambda v: self._emit(replace(self._view, **{name: v})))
        return row

    def _emit(self, view: View) -> None:
        self.view_changed.emit(view)

    def _make_display(self) -> CollapsibleSection:
        section = CollapsibleSection("Display")
        self.passes, self.backgrounds, self.colour = QComboBox(), QComboBox(), QPushButton()
        for name, title in PASS_TITLES.items():
            self.passes.addItem(title, name)
        for name, title in BACKGROUNDS.items():
            self.backgrounds.addItem(title, name)
        self.passes.setAccessibleName("Shown pass")
        self.backgrounds.setAccessibleName("Background")
        self.colour.setToolTip("Choose the background's colour")
        self.passes.currentIndexChanged.connect(self._on_pass)
        self.backgrounds.currentIndexChanged.connect(self._on_background)
        self.colour.clicked.connect(self._on_colour)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Show", self.passes)
        form.addRow("Background", self.backgrounds)
        form.addRow("", self.colour)
        section.body.addLayout(form)
        return section

    def _on_preset(self, name: str) -> None:
        self.gesture_ended.emit()
        self._emit(self._view.turned_to(name))
        self.gesture_ended.emit()

    def _emit_display(self, display: Display) -> None:
        self.display_changed.emit(display)
        self.gesture_ended.emit()

    def _on_pass(self) -> None:
        self._emit_display(replace(self._display, pass_name=self.passes.currentData()))

    def _on_background(self) -> None:
        name = self.backgrounds.currentData()
        self._emit_display(replace(self._display, background=name))

    def _on_colour(self) -> None:
        chosen = QColorDialog.getColor(QColor(self.colour.text()), self, "Background colour")
        if chosen.isValid():
            colour = (chosen.redF(), chosen.greenF(), chosen.blueF())
            self._emit_display(replace(self._display, colour=colour))
