"""Panels of sliders over some numbers of the document: expression and pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.state.controls import (
    JAW_OPEN,
    POSE_GROUPS,
    Control,
    Gaze,
    Ranges,
    combined_controls,
    coupled_to_jaw,
    eyes_apart,
    eyes_together,
    single_controls,
)
from app.widgets.collapsible_section import CollapsibleSection, make_room, scrolling_column
from app.widgets.slider_row import SliderRow
from app.widgets.tab_order import follow_layout

_NUM_EVERYDAY = 8
"""More of them need scrolling, fewer hide what is often used."""
_ALL = "All components"


class ControlList(QWidget):
    """Sliders, one below the other; made when they are first looked at."""

    changed = Signal(object, str)
    """index → value, and what to call the change"""
    gesture_ended = Signal()

    def __init__(self, controls: Sequence[Control], decimals: int = 2, prefix: str = "") -> None:
        super().__init__()
        self._controls, self._decimals, self._prefix = list(controls), decimals, prefix
        self._rows: list[SliderRow] = []
        self._values: Sequence[float] = ()
        self._rest: Sequence[float] = ()
        self._words: list[str] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)

    @property
    def rows(self) -> list[SliderRow]:
        """The sliders."""
        self._make_rows()
        return self._rows

    def showEvent(self, event: QShowEvent) -> None:
        self._make_rows()
        super().showEvent(event)

    def _make_rows(self) -> None:
        # A head has fifty directions, most of them in a section that is closed, and a slider takes
        # milliseconds to make: all of them would keep the window waiting.
        if not self._rows:
            for control in self._controls:
                self._column.addWidget(self._make_row(control))
            self._show_values()
            self._show_found()
            follow_layout(self.window())
            make_room(self)

    def set_controls(self, controls: Sequence[Control]) -> None:
        """The same sliders over something else, or with other ends."""
        self._controls = list(controls)
        for control, row in zip(self._controls, self._rows, strict=False):
            self._fit(row, control)
        self._show_values()

    def _fit(self, row: SliderRow, control: Control) -> None:
        row.set_limits(control.low, control.high, control.tip)
        row.setEnabled(not control.is_idle)
        if len(self._rest):
            row.set_default(control.position(self._rest))

    def set_rest(self, values: Sequence[float]) -> None:
        """What sliders go back to: the numbers of the face at rest."""
        self._rest = values
        for control, row in zip(self._controls, self._rows, strict=False):
            self._fit(row, control)

    def set_values(self, values: Sequence[float]) -> None:
        """Show the document's numbers without telling anybody."""
        self._values = values
        self._show_values()

    def _show_values(self) -> None:
        if not len(self._values):
            return
        for control, row in zip(self._controls, self._rows, strict=False):
            position = control.position(self._values)
            if abs(position - row.value()) > 5e-4:
                row.set_value(position)

    def filter(self, words: str) -> int:
        """Show only rows whose name has all the words; returns how many."""
        self._words = words.lower().split()
        self._show_found()
        return sum(map(self._is_found, self._controls))

    def _show_found(self) -> None:
        for control, row in zip(self._controls, self._rows, strict=False):
            if row.isHidden() == self._is_found(control):
                row.setVisible(self._is_found(control))

    def _is_found(self, control: Control) -> bool:
        return all(word in control.title.lower() for word in self._words)

    def _make_row(self, control: Control) -> SliderRow:
        decimals, prefix = self._decimals, self._prefix
        suffix = "°" if decimals == 1 else ""
        row = SliderRow(
            control.title,
            control.low,
            control.high,
            decimals=decimals,
            suffix=suffix,
            tip=control.tip,
        )
        label = f"{prefix}{control.title}"
        index = len(self._rows)
        row.value_changed.connect(
            lambda v: self.changed.emit(self._controls[index].values(v), label)
        )
        row.gesture_ended.connect(self.gesture_ended)
        self._fit(row, control)
        self._rows.append(row)
        return row


class ExpressionPanel(QWidget):
    """Everyday controls on top, every direction of the head below, and a search over both."""

    changed = Signal(object, str)
    pose_changed = Signal(object, str)
    limits_lifted = Signal(bool)
    gesture_ended = Signal()
    reset_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search expressions")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search expressions")
        self.search.textChanged.connect(self._filter)
        reset = QPushButton("Reset")
        reset.setToolTip("The face at rest")
        reset.clicked.connect(self.reset_asked)
        self.lift = QCheckBox("Lift limits")
        self.lift.setToolTip(
            "Sliders end where the head stops being a face.\n"
            "Lifted, expressions go from -2 to 2, eyes turn further, and “Mouth close” no longer "
            "follows the jaw."
        )
        self.lift.toggled.connect(self._on_lifted)
        top = QHBoxLayout()
        top.setContentsMargins(8, 8, 8, 0)
        top.addWidget(self.search, 1)
        top.addWidget(reset)
        below = QHBoxLayout()
        below.setContentsMargins(8, 0, 8, 0)
        below.addWidget(self.lift)
        self._area, self._column = scrolling_column()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addLayout(below)
        layout.addWidget(self._area, 1)
        self._sections: list[CollapsibleSection] = []
        self._lists: list[ControlList] = []
        self._jaw = ControlList([JAW_OPEN], decimals=1)
        self._names: Sequence[str] = ()
        self._ranges: Ranges = ()
        self._coupled: tuple[int, Callable[[float], float]] | None = None
        self._closes = 0.0
        self.set_names(())

    def set_names(self, names: Sequence[str]) -> None:
        """Make sliders for the expression directions of another head."""
        for section in self._sections:
            self._column.removeWidget(section)
            section.hide()
            section.deleteLater()
        self._names, self._ranges, self._coupled = names, (), None
        self._sections, self._lists = [], []
        for title, controls in self._groups().items():
            if controls or title == "Everyday":
                self._add(title, controls)
        self._filter(self.search.text())

    def set_limits(
        self, ranges: Ranges, coupled: tuple[int, Callable[[float], float]] | None = None
    ) -> None:
        """Where the sliders end.

        Args:
            ranges: of the head's expressions.
            coupled: the index of "mouth close", and what it has to be to close the lips at an
                angle of the jaw in radians.
        """
        self._ranges, self._coupled = ranges, coupled
        self._fit_sliders()

    def set_rest(self, expression: Sequence[float], pose: Sequence[float]) -> None:
        """What sliders go back to."""
        self._jaw.set_rest(pose)
        for controls in self._lists:
            controls.set_rest(expression)

    def set_values(self, expression: Sequence[float], pose: Sequence[float]) -> None:
        """Show the document's numbers."""
        self._jaw.set_values(pose)
        if self._coupled is not None:
            closes = self._coupled[1](pose[JAW_OPEN.indices[0]])
            if closes != self._closes:
                self._closes = closes
                self._lists[-1].set_controls(self._groups()[_ALL])
        for controls in self._lists:
            controls.set_values(expression)

    def _groups(self) -> dict[str, list[Control]]:
        ranges = () if self.lift.isChecked() else self._ranges
        combined = combined_controls(self._names, ranges)
        single = single_controls(self._names, ranges)
        if self._coupled is not None and not self.lift.isChecked():
            index = self._coupled[0]
            single[index] = coupled_to_jaw(single[index], self._closes)
        everyday, pairs = combined[:_NUM_EVERYDAY], combined[_NUM_EVERYDAY:]
        return {"Everyday": everyday, "Both sides": pairs, _ALL: single}

    def _fit_sliders(self) -> None:
        groups = self._groups()
        for section, rows in zip(self._sections, self._lists, strict=True):
            rows.set_controls(groups[section.title])

    def _on_lifted(self, lifted: bool) -> None:
        self._fit_sliders()
        self.limits_lifted.emit(lifted)

    def rows(self) -> list[SliderRow]:
        """All sliders from top to bottom."""
        return [*self._jaw.rows, *(row for each in self._lists for row in each.rows)]

    def _add(self, title: str, controls: Sequence[Control]) -> None:
        section, rows = CollapsibleSection(title, is_open=title != _ALL), ControlList(controls)
        rows.changed.connect(self.changed)
        rows.gesture_ended.connect(self.gesture_ended)
        section.body.addWidget(rows)
        if title == "Everyday":
            self._jaw = ControlList([JAW_OPEN], decimals=1)
            self._jaw.changed.connect(self.pose_changed)
            self._jaw.gesture_ended.connect(self.gesture_ended)
            section.body.addWidget(self._jaw)
        self._column.insertWidget(len(self._sections), section)
        self._sections.append(section)
        self._lists.append(rows)

    def _filter(self, words: str) -> None:
        for section, rows in zip(self._sections, self._lists, strict=True):
            found = rows.filter(words)
            if section.title == "Everyday":
                found += self._jaw.filter(words)
            section.setVisible(found > 0)
            if words.strip() and found:
                section.set_open(True)
            make_room(rows)


class PosePanel(QWidget):
    """Head, neck, jaw and eyes, in degrees."""

    changed = Signal(object, str)
    gesture_ended = Signal()
    reset_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._lists: list[ControlList] = []
        sections = [self._section(title, controls) for title, controls in POSE_GROUPS.items()]
        eyes = CollapsibleSection("Eyes")
        self.linked = QCheckBox("Move both eyes together")
        self.linked.setChecked(True)
        self._both = self._list("Eyes", eyes_together(Gaze()))
        self._apart = self._list("Eyes", eyes_apart(Gaze()))
        self._apart.hide()
        for widget in (self._both, self._apart, self.linked):
            eyes.body.addWidget(widget)
        self.linked.toggled.connect(self._on_linked)
        reset = QPushButton("Reset pose")
        reset.clicked.connect(self.reset_asked)
        area, _ = scrolling_column([*sections, eyes, reset])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    def set_rest(self, pose: Sequence[float]) -> None:
        """What sliders go back to, (15,) in radians."""
        for controls in self._lists:
            controls.set_rest(pose)

    def set_values(self, pose: Sequence[float]) -> None:
        """Show the document's pose (15,) in radians."""
        for controls in self._lists:
            controls.set_values(pose)

    def set_gaze(self, gaze: Gaze) -> None:
        """How far the eyes may be turned."""
        self._both.set_controls(eyes_together(gaze))
        self._apart.set_controls(eyes_apart(gaze))

    def _section(self, title: str, controls: Sequence[Control]) -> CollapsibleSection:
        section = CollapsibleSection(title)
        section.body.addWidget(self._list(title, controls))
        return section

    def _list(self, title: str, controls: Sequence[Control]) -> ControlList:
        rows = ControlList(controls, decimals=1, prefix=f"{title}: ")
        rows.changed.connect(self.changed)
        rows.gesture_ended.connect(self.gesture_ended)
        self._lists.append(rows)
        return rows

    def _on_linked(self, linked: bool) -> None:
        self._both.setVisible(linked)
        self._apart.setVisible(not linked)
        make_room(self._both)
