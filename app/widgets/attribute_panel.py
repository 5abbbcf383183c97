"""Per category a gallery of what the person can wear, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel, QMenu, QVBoxLayout, QWidget

from app.state.controls import attribute_title, readable
from app.state.face import MAX_STRENGTH, AttributeBlend
from app.widgets.collapsible_section import CollapsibleSection, scrolling_column
from app.widgets.gallery import Gallery, Tile, to_image
from app.widgets.slider_row import SliderRow
from app.widgets.tab_order import follow_layout

SOURCE = ""
_EMPTY = "This avatar has no attributes:\nit shows one person as they are."


class CategorySection(CollapsibleSection):
    """One category: the source person and its attributes, and a strength."""

    worn = Signal(str, object)
    """category and `AttributeBlend`, or None for the source person"""
    gesture_ended = Signal()
    give_asked = Signal(str)
    """the name of an attribute that another person shall get"""

    def __init__(self, category: str, names: Sequence[str]) -> None:
        super().__init__(readable(category))
        self.category = category
        self._name = SOURCE
        tiles = [Tile(SOURCE, "Source", "As the source person has it")]
        tiles += [Tile(name, attribute_title(name), readable(name)) for name in names]
        self.gallery = Gallery(tiles)
        self.strength = SliderRow(
            "Strength", 0.0, MAX_STRENGTH, 1.0, beyond=1.0, tip="Above 1 it is exaggerated"
        )
        self.strength.label.setFixedWidth(64)
        self.body.addWidget(self.gallery)
        self.body.addWidget(self.strength)
        for tile in tiles[1:]:
            tile.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            tile.customContextMenuRequested.connect(
                lambda place, tile=tile: self._show_menu(tile, place)
            )
        self.gallery.chosen.connect(self._on_chosen)
        self.strength.value_changed.connect(self._on_strength)
        self.strength.gesture_ended.connect(self.gesture_ended)
        self.set_worn(None)

    def set_worn(self, wear: AttributeBlend | None) -> None:
        """Show what is worn without telling anybody."""
        self._name = wear.name if wear else SOURCE
        self.gallery.set_chosen(self._name)
        self.strength.setVisible(wear is not None)
        if wear is not None:
            self.strength.set_value(wear.strength)
        self.set_note(f"· {attribute_title(wear.name)}" if wear else "")

    def _on_chosen(self, name: str) -> None:
        # Another look keeps the strength that was set, unless it was none at all.
        strength = self.strength.value() if self._name and self.strength.value() > 0 else 1.0
        self.worn.emit(self.category, AttributeBlend(name, strength) if name else None)
        self.gesture_ended.emit()

    def _show_menu(self, tile: Tile, place: QPoint) -> None:
        menu = QMenu(tile)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Wear", tile.click)
        menu.addAction("Give this to …", lambda: self.give_asked.emit(tile.name))
        menu.popup(tile.mapToGlobal(place))

    def _on_strength(self, value: float) -> None:
        if self._name:
            self.worn.emit(self.category, AttributeBlend(self._name, value))


class AttributePanel(QWidget):
    """All categories of the open avatar."""

    worn = Signal(str, object)
    gesture_ended = Signal()
    give_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.sections: dict[str, CategorySection] = {}
        self._area, self._column = scrolling_column()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._area)
        self._empty = QLabel(_EMPTY)
        self._empty.setObjectName("faint")
        self._empty.setWordWrap(True)
        self._column.insertWidget(0, self._empty)
        self._empty.hide()

    def set_categories(self, categories: Mapping[str, Sequence[str]]) -> None:
        """Show these categories with their attributes, instead of those before."""
        for section in self.sections.values():
            self._column.removeWidget(section)
            section.hide()
            section.deleteLater()
        self.sections = {}
        for index, (category, names) in enumerate((c, n) for c, n in categories.items() if n):
            section = CategorySection(category, names)
            section.worn.connect(self.worn)
            section.gesture_ended.connect(self.gesture_ended)
            section.give_asked.connect(self.give_asked)
            self.sections[category] = section
            self._column.insertWidget(index, section)
        self._empty.setVisible(not self.sections)
        follow_layout(self.window())

    def clear(self) -> None:
        """Nothing is open."""
        self.set_categories({})
        self._empty.hide()

    def set_worn(self, attributes: Mapping[str, AttributeBlend]) -> None:
        """Show what is worn."""
        for category, section in self.sections.items():
            section.set_worn(attributes.get(category))

    def thumbnail(self, name: str) -> QImage | None:
        """The picture of an attribute, if it has come."""
        tiles = (section.gallery.tiles.get(name) for section in self.sections.values())
        return next((tile.image for tile in tiles if tile is not None), None)

    def set_thumbnail(self, category: str, name: str, pixels: npt.NDArray[np.uint8]) -> None:
        """Show the picture of an attribute; "" is the source person in that category."""
        section = self.sections.get(category)
        if section is not None and name in section.gallery.tiles:
            section.gallery.tiles[name].set_image(to_image(pixels))
