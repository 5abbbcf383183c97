"""Some frames of a video side by side, with what was found on them and why some are left out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from app.widgets.activity_panel import ERROR_COLOUR

_PICTURE, _TEXT_HEIGHT = 104, 40
"""Points of a frame, and of the reason below it: less cuts reasons off."""


class FrameStrip(QListWidget):
    """Wraps into further rows where the window is narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Frames of the video")
        self.setViewMode(QListWidget.ViewMode.IconMode)
        self.setMovement(QListWidget.Movement.Static)
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.setIconSize(QSize(_PICTURE, _PICTURE))
        self.setGridSize(QSize(_PICTURE + 8, _PICTURE + _TEXT_HEIGHT))
        self.setWordWrap(True)
        self.setMinimumHeight(_PICTURE + _TEXT_HEIGHT + 8)

    def set_frames(self, frames: Sequence[Mapping[str, str]]) -> None:
        """Show frames as the look at a video reports them."""
        self.clear()
        for frame in frames:
            item = QListWidgetItem(picture_icon(frame["picture"]), frame["reason"] or frame["time"])
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            tip = f"Left out: {frame['reason']}" if frame["reason"] else "Used"
            item.setToolTip(f"{frame['time']} – {tip}")
            if frame["reason"]:
                item.setForeground(QColor(ERROR_COLOUR))
            self.addItem(item)


def picture_icon(encoded: str) -> QIcon:
    """A picture that the trainer sent as base64; an empty one where it is none."""
    pixmap = QPixmap()
    try:
        pixmap.loadFromData(base64.b64decode(encoded, validate=True))
    except binascii.Error:
        return QIcon()
    return QIcon(pixmap)
