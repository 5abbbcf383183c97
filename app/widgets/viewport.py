"""The picture of the head, turned with the mouse. The one place where Qt and GL meet."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent, QWheelEvent
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QWidget

from app.rendering.request import AnyPixels
from app.rendering.texture import PictureTexture
from app.state.display import Display

_ZOOM_PER_STEP = 1.12
"""More is coarser, less needs more turns of the wheel."""
_WHEEL_STEP = 120
_MOST_STEPS = 50
"""At once: beyond every limit of the camera, and still a number."""
_KEY_TURN = 1 / 36
"""of the picture's shorter side: 5 degrees"""


class Viewport(QOpenGLWidget):
    """Shows pixels; tells how the user wants to look."""

    orbited = Signal(float, float)
    """right and down, as shares of the shorter side"""
    panned = Signal(float, float)
    zoomed = Signal(float)
    gesture_ended = Signal()
    size_changed = Signal()
    picture_drawn = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._texture: PictureTexture | None = None
        self._pixels: AnyPixels | None = None
        self._uploaded = False
        self._display = Display()
        self._last: QPointF | None = None
        self.setMinimumSize(200, 200)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setAccessibleName("Viewport")
        self.setToolTip("")

    def sizeHint(self) -> QSize:
        return QSize(720, 640)

    def set_picture(self, pixels: AnyPixels) -> None:
        """Show another picture (H, W, 4), premultiplied RGBA."""
        self._pixels, self._uploaded = pixels, False
        self.update()

    def set_display(self, display: Display) -> None:
        """Show another background."""
        self._display = display
        self.update()

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) in real pixels of the screen."""
        ratio = self.devicePixelRatioF()
        return max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))

    def initializeGL(self) -> None:
        # Called again with a new context when the widget moves to another window.
        self._texture, self._uploaded = PictureTexture(), False
        self.context().aboutToBeDestroyed.connect(self._release, Qt.ConnectionType.DirectConnection)

    def paintGL(self) -> None:
        if self._texture is None:
            return
        if self._pixels is not None and not self._uploaded:
            self._texture.upload(self._pixels)
            self._uploaded = True
        self._texture.draw(self.size_px, self._display, self.devicePixelRatioF())
        if self._pixels is not None:
            self.picture_drawn.emit()

    def _release(self) -> None:
        if self._texture is not None:
            self.makeCurrent()
            self._texture.release()
            self._texture = None
            self.doneCurrent()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.size_changed.emit()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self.size_changed.emit()
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._last = event.position()
        self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._last = None
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.gesture_ended.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._last is None:
            return
        step, self._last = event.position() - self._last, event.position()
        side = max(1, min(self.width(), self.height()))
        buttons, shift = event.buttons(), event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if buttons & Qt.MouseButton.RightButton:
            self._zoom(-step.y() / 12)
        elif buttons & Qt.MouseButton.MiddleButton or shift:
            self.panned.emit(step.x() / side, step.y() / side)
        else:
            self.orbited.emit(step.x() / side, step.y() / side)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if not event.isAutoRepeat():
            self.gesture_ended.emit()
        super().keyReleaseEvent(event)

    def _zoom(self, steps: float) -> None:
        self.zoomed.emit(_ZOOM_PER_STEP ** min(max(steps, -_MOST_STEPS), _MOST_STEPS))

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._zoom(event.angleDelta().y() / _WHEEL_STEP)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        turns = {
            Qt.Key.Key_Left: (_KEY_TURN, 0.0),
            Qt.Key.Key_Right: (-_KEY_TURN, 0.0),
            Qt.Key.Key_Up: (0.0, _KEY_TURN),
            Qt.Key.Key_Down: (0.0, -_KEY_TURN),
        }
        key = Qt.Key(event.key())
        if key in turns:
            self.orbited.emit(*turns[key])
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._zoom(1)
        elif key == Qt.Key.Key_Minus:
            self._zoom(-1)
        else:
            super().keyPressEvent(event)
