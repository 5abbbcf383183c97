"""What other people can lend: a row for each person, a column for each category, ticks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from app.state.controls import readable
from app.widgets.training.frame_strip import picture_icon

_PICTURE = 52
"""Points: larger ones show fewer people, smaller ones do not show whose nose."""
_COLUMN, _ROW = _PICTURE + 30, _PICTURE + 8
_NAME = Qt.ItemDataRole.UserRole


class AttributeTable(QTableWidget):
    """Tells when other ones are ticked; a click on a heading ticks all of it, or none."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Attributes of other people")
        self.setIconSize(QSize(_PICTURE, _PICTURE))
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(2 * _ROW + 40)
        for header, size in ((self.horizontalHeader(), _COLUMN), (self.verticalHeader(), _ROW)):
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            header.setDefaultSectionSize(size)
            header.setToolTip("Click to tick all of these, or none")
        self.horizontalHeader().sectionClicked.connect(lambda k: self._toggle(self._column(k)))
        self.verticalHeader().sectionClicked.connect(lambda k: self._toggle(self._row(k)))
        self.itemChanged.connect(lambda _: self.changed.emit())

    def set_attributes(self, attributes: Sequence[Mapping[str, str]]) -> None:
        """Show what was found; what was not ticked before stays so."""
        unticked = {name for name, is_ticked in self._ticks().items() if not is_ticked}
        people = list(dict.fromkeys(each["person"] for each in attributes))
        categories = list(dict.fromkeys(each["category"] for each in attributes))
        self.blockSignals(True)
        self.clear()
        self.setRowCount(len(people))
        self.setColumnCount(len(categories))
        self.setVerticalHeaderLabels(people)
        self.setHorizontalHeaderLabels([readable(category) for category in categories])
        for each in attributes:
            item = _item(each, each["name"] not in unticked)
            self.setItem(people.index(each["person"]), categories.index(each["category"]), item)
        self.blockSignals(False)

    def chosen(self) -> list[str]:
        """The names of those that are ticked."""
        return [name for name, is_ticked in self._ticks().items() if is_ticked]

    @property
    def has_all(self) -> bool:
        """Whether everything that can be taken is ticked."""
        return all(self._ticks().values())

    def _ticks(self) -> dict[str, bool]:
        found = self._offered(
            self.item(row, column)
            for row in range(self.rowCount())
            for column in range(self.columnCount())
        )
        return {i.data(_NAME): i.checkState() == Qt.CheckState.Checked for i in found}

    @staticmethod
    def _offered(items: Iterable[QTableWidgetItem | None]) -> list[QTableWidgetItem]:
        return [item for item in items if item is not None and item.data(_NAME)]

    def _row(self, row: int) -> list[QTableWidgetItem]:
        return self._offered(self.item(row, column) for column in range(self.columnCount()))

    def _column(self, column: int) -> list[QTableWidgetItem]:
        return self._offered(self.item(row, column) for row in range(self.rowCount()))

    def _toggle(self, items: Sequence[QTableWidgetItem]) -> None:
        all_ticked = all(item.checkState() == Qt.CheckState.Checked for item in items)
        wanted = Qt.CheckState.Unchecked if all_ticked else Qt.CheckState.Checked
        self.blockSignals(True)
        for item in items:
            item.setCheckState(wanted)
        self.blockSignals(False)
        self.changed.emit()


def _item(attribute: Mapping[str, str], is_ticked: bool) -> QTableWidgetItem:
    what = f"{readable(attribute['category'])} of {attribute['person']}"
    if attribute["reason"]:
        item = QTableWidgetItem("–")
        item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        item.setToolTip(f"{what}: {attribute['reason']}")
        return item
    item = QTableWidgetItem(picture_icon(attribute["picture"]), "")
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
    item.setCheckState(Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked)
    item.setData(_NAME, attribute["name"])
    item.setData(Qt.ItemDataRole.AccessibleTextRole, what)
    item.setToolTip(what)
    return item
