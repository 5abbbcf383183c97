"""A name, a slider and a number that can be typed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from app.widgets.number_field import CompactNumberField
from app.widgets.slider import ValueSlider
from app.widgets.slider_voice import give_sliders_a_voice

LABEL_WIDTH = 126
"""Points: less elides more names, more leaves less for the slider."""
_VALUE_WIDTH = 54
"""Points; with less the longest number is cut off."""


class ElidedLabel(QLabel):
    """A name that gives way: cut with an ellipsis and told in full by its tooltip."""

    double_clicked = Signal()

    def __init__(self, text: str, tip: str = "") -> None:
        super().__init__()
        self._full = text
        self.setToolTip(tip or text)
        self.setFixedWidth(LABEL_WIDTH)
        self._elide()

    def minimumSizeHint(self) -> QSize:
        return QSize(40, super().minimumSizeHint().height())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.double_clicked.emit()

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._elide()
        return super().event(event)

    def _elide(self) -> None:
        room = self.width() - 4
        shown = self.fontMetrics().elidedText(self._full, Qt.TextElideMode.ElideRight, room)
        if shown != self.text():
            self.setText(shown)


class SliderRow(QWidget):
    """Tells of changes by the user, and when one gesture of theirs has ended."""

    value_changed = Signal(float)
    gesture_ended = Signal()

    def __init__(
        self,
        title: str,
        low: float,
        high: float,
        default: float = 0.0,
        *,
        beyond: float | None = None,
        decimals: int = 2,
        suffix: str = "",
        tip: str = "",
    ) -> None:
        give_sliders_a_voice()
        super().__init__()
        self.title, self._default = title, default
        self._low, self._high, self._tip = low, high, tip
        self._is_outside = False
        origin = min(max(0.0, low), high)
        self.slider = ValueSlider(low, high, origin, beyond, decimals, suffix)
        self.number = CompactNumberField(low, high, decimals, suffix)
        self.number.setFixedWidth(_VALUE_WIDTH)
        self.label = ElidedLabel(title)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.label)
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        self._describe()
        self._connect()
        self.set_value(default)

    def value(self) -> float:
        """The number shown."""
        return self.number.value()

    def set_value(self, value: float) -> None:
        """Show a number without telling anybody; one beyond the ends is marked."""
        self.slider.set_number(value)
        if not self.number.is_being_typed() or abs(self.number.value() - value) > 1e-9:
            self._show_number(value)

    def set_limits(self, low: float, high: float, tip: str = "") -> None:
        """Let the user go from ``low`` to ``high`` from now on; the number shown stays."""
        if (low, high, tip) != (self._low, self._high, self._tip):
            value = self.value()
            self._low, self._high, self._tip = low, high, tip
            self.slider.set_limits(low, high)
            self.slider.set_number(value)
            self._show_number(value)
            self._describe()

    def _show_number(self, value: float) -> None:
        blocked = self.number.blockSignals(True)
        # One from a project or a command may lie beyond the ends: it is shown as it is.
        self.number.setRange(min(self._low, value), max(self._high, value))
        self.number.setValue(value)
        self.number.blockSignals(blocked)
        self._mark(value)

    def _mark(self, value: float) -> None:
        # The last digit shown may round beyond an end.
        slack = 0.5 * 10.0 ** -self.number.decimals()
        is_outside = not self._low - slack <= value <= self._high + slack
        if is_outside != self._is_outside:
            self._is_outside = is_outside
            self.slider.set_outside(is_outside)
            self._describe()

    def set_default(self, value: float) -> None:
        """What a double click goes back to from now on."""
        self._default = value

    def reset(self) -> None:
        """Back to the default, as the user's own change."""
        self._on_typed(self._default)

    def _describe(self) -> None:
        notes = [self._tip] if self._tip else []
        if self._is_outside:
            notes.append(f"Beyond the slider's end; it goes from {self._low:g} to {self._high:g}.")
        help_text = " ".join([f"{self.title}. Double-click to reset.", *notes])
        for widget, role in ((self.slider, "slider"), (self.number, "value")):
            widget.setAccessibleName(f"{self.title} {role}")
            widget.setAccessibleDescription(help_text)
        self.slider.setToolTip("\n".join([self.title, "Double-click resets", *notes]))
        self.label.setToolTip("\n".join([self.title, *notes]))
        self.label.setBuddy(self.slider)

    def _connect(self) -> None:
        self.slider.value_moved.connect(self._on_moved)
        self.slider.sliderPressed.connect(self.gesture_ended)
        self.slider.sliderReleased.connect(self._on_released)
        self.slider.reset_asked.connect(self.reset)
        self.label.double_clicked.connect(self.reset)
        self.number.valueChanged.connect(self._on_number)
        self.number.lineEdit().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # A click into the number selects it whole, so that typing replaces it.
        if event.type() == QEvent.Type.MouseButtonDblClick:
            self.number.selectAll()
            return True
        return super().eventFilter(watched, event)

    def _on_released(self) -> None:
        # The first click of a double click has moved the handle: with the reset it is one change.
        if not self.slider.was_clicked:
            self.gesture_ended.emit()

    def _on_moved(self, value: float) -> None:
        self._show_number(value)
        self.value_changed.emit(value)

    def _on_number(self, value: float) -> None:
        self.gesture_ended.emit()
        self._on_typed(value)

    def _on_typed(self, value: float) -> None:
        self.set_value(value)
        self.value_changed.emit(value)
        self.gesture_ended.emit()
