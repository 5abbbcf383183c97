"""A slider over real numbers, drawn filled from its origin and with a mark for what is beyond."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from app.widgets.theme import BEYOND_COLOUR, colours

_STEPS = 1000
"""Of a slider's whole range: fewer are seen as jerks, more need pages of keys."""
_HANDLE_RADIUS = 6.0
"""Points: smaller ones are hard to hit, larger ones hide the marks."""
_GROOVE = 4.0
"""Points; thicker ones look like bars of progress."""


class ValueSlider(QSlider):
    """Horizontal. A press moves the handle to the cursor; a double click asks for a reset."""

    value_moved = Signal(float)
    """by the user only"""
    reset_asked = Signal()

    def __init__(
        self,
        low: float,
        high: float,
        origin: float = 0.0,
        beyond: float | None = None,
        decimals: int = 2,
        suffix: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.low, self.high = low, high
        self._origin, self._beyond = origin, beyond
        self._decimals, self._suffix = decimals, suffix
        self.setRange(0, _STEPS)
        self.setPageStep(_STEPS // 10)
        self.setSingleStep(_STEPS // 100)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.was_clicked = False
        """Whether the last press was let go where it was."""
        self._is_outside = False
        self.set_number(origin)
        self.actionTriggered.connect(self._on_action)

    def sizeHint(self) -> QSize:
        return QSize(110, 22)

    def minimumSizeHint(self) -> QSize:
        return QSize(50, 22)

    def number(self) -> float:
        """Where the slider stands."""
        return self._number

    def value_text(self) -> str:
        """The number with its unit, as the field beside the slider shows it."""
        number = round(self.number(), self._decimals) + 0.0
        return f"{number:.{self._decimals}f}{self._suffix}"

    @property
    def step(self) -> float:
        """What an arrow key adds."""
        return (self.high - self.low) * self.singleStep() / _STEPS

    def move_to_number(self, number: float) -> None:
        """Move the handle as the user's own change."""
        self.set_number(number)
        self.value_moved.emit(self.number())
        self.sliderReleased.emit()

    def set_number(self, number: float) -> None:
        """Move the handle without telling anybody."""
        self._number = min(max(number, self.low), self.high)
        blocked = self.blockSignals(True)
        self.setValue(round((self._number - self.low) / (self.high - self.low) * _STEPS))
        self.blockSignals(blocked)
        self.update()

    def set_limits(self, low: float, high: float) -> None:
        """Let the handle go from ``low`` to ``high`` from now on."""
        self.low, self.high, self._origin = low, high, min(max(0.0, low), high)
        self.set_number(self._number)

    def set_outside(self, is_outside: bool) -> None:
        """Mark that the number lies beyond the end at which the handle stands."""
        if is_outside != self._is_outside:
            self._is_outside = is_outside
            self.update()

    def x_of(self, number: float) -> float:
        """The pixel at which the handle stands for a number."""
        share = (number - self.low) / (self.high - self.low)
        return _HANDLE_RADIUS + 1 + min(max(share, 0.0), 1.0) * self._travel()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setFocus(Qt.FocusReason.MouseFocusReason)
            self.setSliderDown(True)
            self.was_clicked = True
            self._move_to(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self.was_clicked = False
            self._move_to(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.isSliderDown():
            self.setSliderDown(False)
            self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(False)
        self.reset_asked.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        # The wheel belongs to the panel: scrolling past a slider must not change a face.
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        self._paint_groove(painter)
        self._paint_handle(painter)

    def _paint_groove(self, painter: QPainter) -> None:
        c, origin, here = colours(), self.x_of(self._origin), self.x_of(self.number())
        self._bar(painter, self.x_of(self.low), self.x_of(self.high), QColor(c.groove))
        if self._beyond is not None:
            faint = QColor(BEYOND_COLOUR)
            faint.setAlpha(90)
            self._bar(painter, self.x_of(self._beyond), self.x_of(self.high), faint)
        fill = QColor(c.accent_light if self.isEnabled() else c.line)
        self._bar(painter, min(origin, here), max(origin, here), fill)
        if self._beyond is not None and self.number() > self._beyond:
            self._bar(painter, self.x_of(self._beyond), here, QColor(BEYOND_COLOUR))
        marks = [self._origin] if self.low < self._origin < self.high else []
        painter.setBrush(QColor(c.line))
        for mark in [*marks, *([] if self._beyond is None else [self._beyond])]:
            painter.drawRect(QRectF(self.x_of(mark) - 0.5, self.height() / 2 - 5, 1, 10))

    def _paint_handle(self, painter: QPainter) -> None:
        c = colours()
        held = self.isSliderDown() or self.underMouse() or self.hasFocus()
        inside = c.text if self.isEnabled() else c.line
        painter.setBrush(QColor(BEYOND_COLOUR if self._is_outside else inside))
        painter.setPen(QPen(QColor(c.accent_light if held else c.window), 2))
        centre = QPointF(self.x_of(self.number()), self.height() / 2)
        painter.drawEllipse(centre, _HANDLE_RADIUS - 1, _HANDLE_RADIUS - 1)

    def _bar(self, painter: QPainter, left: float, right: float, colour: QColor) -> None:
        painter.setBrush(colour)
        top = self.height() / 2 - _GROOVE / 2
        painter.drawRoundedRect(QRectF(left, top, right - left, _GROOVE), 2, 2)

    def _travel(self) -> float:
        return max(1.0, self.width() - 2 * _HANDLE_RADIUS - 2)

    def _move_to(self, x: float) -> None:
        share = min(max((x - _HANDLE_RADIUS - 1) / self._travel(), 0.0), 1.0)
        position = round(share * _STEPS)
        if position != self.value():
            self.setValue(position)
            self._tell()
        self.update()

    def _on_action(self, action: int) -> None:
        # Arrow and page keys; the handle itself is moved above.
        self.setValue(self.sliderPosition())
        self.was_clicked = False
        self._tell()
        self.sliderReleased.emit()

    def _tell(self) -> None:
        # A number that was set may lie between two steps of the handle; one that is moved does not.
        self._number = self.low + (self.high - self.low) * self.value() / _STEPS
        self.value_moved.emit(self._number)
