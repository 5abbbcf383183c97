"""A picture of the whole window, taken when it is complete."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QObject, QPoint, QTimer
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication

from app.editor_window import EditorWindow
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file

_FRAME_WAIT_S = 120.0
"""Less gives up on slow machines with large avatars, more keeps a script waiting for nothing."""
_THUMBNAIL_WAIT_S = 40.0
"""Then the picture is taken without the rest; less leaves galleries empty on slow machines."""
_LOOK_EVERY_MS = 50
"""More often takes time from the frame that is waited for."""


class Screenshot(QObject):
    """Waits for the first full frame and the thumbnails, saves a picture and ends the program."""

    def __init__(self, window: EditorWindow, out: Path) -> None:
        super().__init__(window)
        self.error: Exception | None = None
        self._window, self._out = window, out
        self._started = time.monotonic()
        self._is_drawn = False
        window.viewport.picture_drawn.connect(self._on_drawn)
        window.editor.avatar_loader.failed.connect(lambda _, error: self._fail(error))
        window.editor.live.failed.connect(self._fail)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(_LOOK_EVERY_MS)

    def _on_drawn(self) -> None:
        self._is_drawn = self._window.editor.live.is_settled

    def _look(self) -> None:
        waited = time.monotonic() - self._started
        if not (self._is_drawn and self._window.is_populated):
            if waited > _FRAME_WAIT_S:
                self._fail(InvalidInput(f"{self._out}: no picture came in {_FRAME_WAIT_S:.0f} s."))
        elif self._window.editor.thumbnails.num_pending == 0 or waited > _THUMBNAIL_WAIT_S:
            self._take()

    def _take(self) -> None:
        self._timer.stop()
        try:
            save_window(self._window, self._out)
        except (InvalidInput, OSError) as error:
            self.error = error
        self._leave()

    def _fail(self, error: BaseException) -> None:
        if self.error is None:
            self._timer.stop()
            self.error = error if isinstance(error, Exception) else InvalidInput(str(error))
            self._leave()

    def _leave(self) -> None:
        self._window.close()
        QApplication.quit()


def save_window(window: EditorWindow, out: Path) -> None:
    """Write a picture of the window with its viewport.

    Raises:
        InvalidInput: the file cannot be written.
    """
    image = grab_window(window)
    with replace_file(out) as partial:
        if not image.save(str(partial)):
            raise InvalidInput(f"{out}: cannot be written as a picture; end the name in .png.")


def grab_window(window: EditorWindow) -> QImage:
    """The window as it is on screen."""
    image = window.grab().toImage()
    # grab() leaves a GL widget out on some drivers; its own framebuffer is always complete.
    painter = QPainter(image)
    place = window.viewport.mapTo(window, QPoint(0, 0))
    painter.drawImage(place, window.viewport.grabFramebuffer())
    painter.end()
    return image
