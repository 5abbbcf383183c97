"""Thumbnails to choose one from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QWidget

from app.widgets.theme import colours

TILE = 74
"""Points: larger ones show fewer in a row, smaller ones do not show glasses."""
_CAPTION = 20
"""One line of text."""
_RADIUS = 6.0
"""Points of a tile's corners; rounder ones cut more of the picture off."""
_GAP, _ROW_GAP = 6, 4
"""More of them take room from the tiles."""


def to_image(pixels: npt.NDArray[np.uint8]) -> QImage:
    """A Qt picture of (H, W, 4) premultiplied RGBA or (H, W, 3) RGB."""
    kinds = {3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888_Premultiplied}
    data = np.ascontiguousarray(pixels)
    height, width, depth = data.shape
    # copy(): the picture must outlive the array.
    return QImage(data.data, width, height, depth * width, kinds[depth]).copy()


class Tile(QAbstractButton):
    """One thumbnail with a caption."""

    def __init__(self, name: str, caption: str, tip: str = "") -> None:
        super().__init__()
        self.name = name
        self.image: QImage | None = None
        """once it has come"""
        self.setText(caption)
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip(tip or caption)
        self.setAccessibleName(caption)
        self.setFixedSize(self.sizeHint())

    def sizeHint(self) -> QSize:
        return QSize(TILE, TILE + _CAPTION)

    def set_image(self, image: QImage) -> None:
        """Show a picture."""
        self.image = image
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self._paint_picture(painter, QRectF(1.5, 1.5, TILE - 3, TILE - 3))
        self._paint_caption(painter)

    def _paint_picture(self, painter: QPainter, place: QRectF) -> None:
        c = colours()
        shape = QPainterPath()
        shape.addRoundedRect(place, _RADIUS, _RADIUS)
        painter.fillPath(shape, QColor(c.groove))
        if self.image is not None:
            painter.save()
            painter.setClipPath(shape)
            painter.drawImage(place, self.image)
            painter.restore()
        chosen = self.isChecked()
        hovered = self.underMouse() or self.hasFocus()
        edge = c.accent_light if chosen else c.faint_text if hovered else c.line
        painter.setPen(QPen(QColor(edge), 2.5 if chosen else 1.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(shape)

    def _paint_caption(self, painter: QPainter) -> None:
        c, font = colours(), self.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.9))
        painter.setFont(font)
        painter.setPen(QColor(c.text if self.isChecked() else c.faint_text))
        place = QRectF(0, TILE + 1, TILE, _CAPTION - 2)
        text = painter.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, TILE)
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)


class Gallery(QWidget):
    """Tiles that wrap to the panel's width, of which one is chosen."""

    chosen = Signal(str)

    def __init__(self, tiles: list[Tile]) -> None:
        super().__init__()
        self.tiles = {tile.name: tile for tile in tiles}
        self._group = QButtonGroup(self)
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        for tile in tiles:
            self._group.addButton(tile)
            tile.setParent(self)
            tile.clicked.connect(lambda _=False, name=tile.name: self.chosen.emit(name))

    def sizeHint(self) -> QSize:
        return QSize(TILE, self.heightForWidth(TILE))

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        num_rows = -(-len(self.tiles) // _num_columns(width))
        return num_rows * (TILE + _CAPTION + _ROW_GAP) - _ROW_GAP

    def resizeEvent(self, event: QResizeEvent) -> None:
        for index, tile in enumerate(self.tiles.values()):
            row, column = divmod(index, _num_columns(self.width()))
            tile.move(column * (TILE + _GAP), row * (TILE + _CAPTION + _ROW_GAP))

    def set_chosen(self, name: str) -> None:
        """Mark a tile without telling anybody."""
        self.tiles[name].setChecked(True)


def _num_columns(width: int) -> int:
    """Tiles side by side."""
    return max(1, (width + _GAP) // (TILE + _GAP))
