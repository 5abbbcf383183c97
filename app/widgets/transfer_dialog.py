"""Give this to …: which attributes of the open avatar another person gets, and as which file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.state.app_dirs import free_file, typed_path
from app.widgets.browse_row import BrowseRow, ProblemLabel
from app.widgets.discard_question import may_discard
from app.widgets.job_dialog import JobDialog
from app.widgets.start_screen import RecentFile, recent_icon
from app.widgets.tab_order import follow_layout

AVATAR_FILTER = "Avatars (*.avatar)"
_PERSON, _ATTRIBUTE = QSize(96, 96), QSize(56, 56)
"""Points: larger ones show fewer, smaller ones do not show whose face or which glasses."""
_PERSON_ROOM, _ATTRIBUTE_ROOM = QSize(36, 32), QSize(76, 32)
"""More than the picture: for one line of text and a tick."""
_MOST_NAMED = 2
"""attributes in the name of the new file; more make a name that nobody reads"""


@dataclass(frozen=True)
class OfferedAttribute:
    """One that can go along."""

    name: str
    title: str
    picture: QImage | None
    is_chosen: bool
    """from the beginning"""


@dataclass(frozen=True)
class Transfer:
    """What was asked for."""

    target: Path
    attributes: tuple[str, ...]
    out: Path
    replaces: bool
    """attributes of the same names that the target has"""


class TransferDialog(JobDialog):
    """Tells what is asked for; the caller does it and reports."""

    transfer_asked = Signal(object)
    open_asked = Signal()
    """the new avatar"""

    def __init__(
        self,
        avatar: Path,
        offered: Sequence[OfferedAttribute],
        people: Sequence[RecentFile],
        parent: QWidget | None = None,
    ) -> None:
        """
        Args:
            avatar: the file whose attributes are given.
            offered: what it can give.
            people: avatars to choose the target from.
            parent: the window above which it is shown.
        """
        super().__init__("Give to another person", "Give", parent)
        self._avatar, self._has_own_name, self._is_touched = avatar, False, False
        self._offered = [each.name for each in offered if each.is_chosen]
        self.people = _icon_list("Who gets it", _PERSON, _PERSON_ROOM)
        self.attributes = _icon_list("What goes along", _ATTRIBUTE, _ATTRIBUTE_ROOM)
        self.other, self.open_button = QPushButton("Another file …"), QPushButton("Open it")
        self.person_problem, self.attribute_problem = ProblemLabel(), ProblemLabel()
        self.replaces = QCheckBox("In the place of attributes of the same names")
        self.replaces.setToolTip("Otherwise somebody who has one of that name keeps it.")
        self.out = BrowseRow(QLineEdit(), "Save as", self._choose_out)
        for person in people:
            self._add_person(person)
        for attribute in offered:
            self._add_attribute(attribute)
        self._lay_out()
        self._connect()
        self.open_button.hide()
        self._check()
        self.resize(680, 560)
        follow_layout(self)

    def fields(self) -> Sequence[QWidget]:
        return (self.people, self.other, self.attributes, self.replaces, self.out)

    def transfer(self) -> Transfer | None:
        """What the fields say; None while something is missing."""
        target = self._target
        if target is None or self._problems():
            return None
        out = typed_path(self.out.line.text().strip())
        return Transfer(target, self._chosen, out, self.replaces.isChecked())

    def add_target(self, path: Path) -> None:
        """Choose a file that need not be a recent one."""
        rows = range(self.people.count())
        known = next((r for r in rows if self._path_of(self.people.item(r)) == path), None)
        if known is None:
            self._add_person(RecentFile(str(path), path.stem, ""))
            known = self.people.count() - 1
        self.people.setCurrentRow(known)
        self.people.scrollToItem(self.people.item(known))

    def show_given(self, out: Path) -> None:
        """The new avatar is there."""
        self.show_share(1.0, "")
        self.show_ended(f"{out.name} is there.")
        self.open_button.show()
        self.open_button.setDefault(True)
        self.open_button.setFocus()
        self._is_touched = False

    def reject(self) -> None:
        """Close, but not what was filled in without a word."""
        if self._is_touched and not self.is_running:
            text = "Close without giving anything? What was chosen here will be lost."
            if not may_discard(self, text):
                return
        super().reject()

    @property
    def _target(self) -> Path | None:
        item = self.people.currentItem()
        return self._path_of(item) if item is not None else None

    @property
    def _chosen(self) -> tuple[str, ...]:
        items = (self.attributes.item(row) for row in range(self.attributes.count()))
        ticked = (item for item in items if item.checkState() == Qt.CheckState.Checked)
        return tuple(item.data(Qt.ItemDataRole.UserRole) for item in ticked)

    @staticmethod
    def _path_of(item: QListWidgetItem) -> Path:
        return Path(item.data(Qt.ItemDataRole.UserRole))

    def _add_person(self, person: RecentFile) -> None:
        icon = recent_icon(person)
        # The usual one of what is chosen is veiled.
        icon.addPixmap(icon.pixmap(_PERSON * 2), QIcon.Mode.Selected)
        item = QListWidgetItem(icon, person.title)
        item.setData(Qt.ItemDataRole.UserRole, person.path)
        item.setToolTip(person.path)
        self.people.addItem(item)

    def _add_attribute(self, attribute: OfferedAttribute) -> None:
        item = QListWidgetItem(attribute.title)
        if attribute.picture is not None:
            item.setIcon(QIcon(QPixmap.fromImage(attribute.picture)))
        item.setData(Qt.ItemDataRole.UserRole, attribute.name)
        item.setToolTip(attribute.name)
        ticks = Qt.CheckState
        item.setCheckState(ticks.Checked if attribute.is_chosen else ticks.Unchecked)
        self.attributes.addItem(item)

    def _lay_out(self) -> None:
        who = QHBoxLayout()
        who.addWidget(_heading("Who gets it", self.people), 1)
        who.addWidget(self.other)
        form = QFormLayout()
        form.setHorizontalSpacing(14)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Save as", self.out)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 14)
        column.setSpacing(8)
        column.addLayout(who)
        column.addWidget(self.people, 3)
        column.addWidget(self.person_problem)
        column.addWidget(_heading("What goes along", self.attributes))
        column.addWidget(self.attributes, 2)
        column.addWidget(self.attribute_problem)
        column.addWidget(self.replaces)
        column.addLayout(form)
        column.addLayout(self.make_footer([self.open_button]))
        for button in (self.other, self.open_button):
            button.setAutoDefault(False)

    def _connect(self) -> None:
        self.people.currentItemChanged.connect(self._on_changed)
        self.attributes.itemChanged.connect(self._on_changed)
        self.other.clicked.connect(self._on_other)
        self.out.line.textEdited.connect(self._on_name)
        self.out.line.textChanged.connect(self._check)
        self.start.clicked.connect(self._on_start)
        self.open_button.clicked.connect(self.open_asked)

    def _on_changed(self) -> None:
        self._is_touched = True
        target = self._target
        if target is not None and not self._has_own_name:
            self.out.line.setText(str(_free_file(target, self._chosen)))
        self._check()

    def _on_name(self) -> None:
        self._has_own_name = self._is_touched = True

    def _on_other(self) -> None:
        now = self._target or self._avatar
        chosen, _ = QFileDialog.getOpenFileName(self, "Who gets it", str(now.parent), AVATAR_FILTER)
        if chosen:
            self.add_target(Path(chosen))

    def _choose_out(self, now: str) -> str:
        chosen, _ = QFileDialog.getSaveFileName(self, "Save as", now, AVATAR_FILTER)
        self._has_own_name = self._has_own_name or bool(chosen)
        return chosen

    def _on_start(self) -> None:
        asked = self.transfer()
        if asked is not None:
            self.transfer_asked.emit(asked)

    def _check(self) -> None:
        problems = self._problems()
        self.person_problem.show_problem(problems.get("person", ""))
        self.attribute_problem.show_problem(problems.get("attributes", ""))
        self.out.show_problem(problems.get("out", ""))
        self.open_button.hide()
        is_ready = self._target is not None and not problems
        how = "" if self.people.count() else " with “Another file …”"
        self.say("" if self._target else f"Choose who gets it{how}.")
        self.start.setEnabled(is_ready)
        self.start.setDefault(is_ready)

    def _problems(self) -> dict[str, str]:
        """What is wrong, by the field."""
        problems, target, text = {}, self._target, self.out.line.text().strip()
        if target is not None and _is_same(target, self._avatar):
            problems["person"] = "This is the avatar that is open; choose another person."
        if not self._chosen:
            problems["attributes"] = "Tick what goes along."
        if target is not None and not text:
            problems["out"] = "Say where the new avatar goes."
        elif text:
            out = typed_path(text)
            if out.suffix.lower() != ".avatar":
                problems["out"] = "The name of an avatar ends with .avatar."
            elif _is_same(out, self._avatar) or (target is not None and _is_same(out, target)):
                problems["out"] = "This would replace an avatar that is needed; use another name."
            elif not out.absolute().parent.is_dir():
                problems["out"] = f"There is no folder {out.absolute().parent}."
        return problems


def _icon_list(name: str, icon: QSize, room: QSize) -> QListWidget:
    shown = QListWidget()
    shown.setObjectName("pictures")
    shown.setAccessibleName(name)
    shown.setViewMode(QListView.ViewMode.IconMode)
    shown.setMovement(QListView.Movement.Static)
    shown.setResizeMode(QListView.ResizeMode.Adjust)
    shown.setIconSize(icon)
    shown.setGridSize(icon + room)
    shown.setMinimumHeight((icon + room).height() + 14)
    shown.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    return shown


def _heading(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setObjectName("heading")
    label.setBuddy(buddy)
    return label


def _free_file(target: Path, names: Sequence[str]) -> Path:
    """Beside the target and named after both."""
    what = "-".join(names) if 0 < len(names) <= _MOST_NAMED else "dressed"
    return free_file(target.parent, f"{target.stem}-{what}", ".avatar")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()
