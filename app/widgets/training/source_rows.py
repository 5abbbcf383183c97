"""What is trained, from what, and where it goes: the rows above the settings."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QWidget,
)

from app.runs.presets import TrainingPreset
from app.widgets.browse_row import BrowseRow
from app.widgets.training.settings_form import LABEL_WIDTH

KEYS = ("data.folder", "data.source", "start_from", "head")
"""the settings that have their field here"""


class SourceRows(QWidget):
    """Setters in, signals out."""

    kind_chosen = Signal()
    sizes_asked = Signal()
    """the published ones, although they are meant for a GPU"""
    changed = Signal()
    """one of the settings"""
    folder_changed = Signal()
    """where it goes"""

    def __init__(self, presets: list[TrainingPreset], has_gpu: bool) -> None:
        super().__init__()
        self._presets, self._folder_is_typed = presets, False
        self.kind, self.note = QComboBox(), QLabel()
        self.data, self.source, self.begin = QLineEdit(), QComboBox(), QLineEdit()
        self.head, self.out = QLineEdit(), QLineEdit()
        for index, kind in enumerate(presets):
            self.kind.addItem(kind.title)
            self.kind.setItemData(index, kind.help, Qt.ItemDataRole.ToolTipRole)
        self.note.setObjectName("faint")
        self.note.setWordWrap(True)
        self.note.setToolTip("The published ones are for a GPU, here or on a cluster.")
        self.source.setEditable(True)
        self.source.setToolTip("The folder that shows the person without hat, wig or make-up.")
        self.data.setPlaceholderText("folder with one folder for each subject")
        self.begin.setPlaceholderText("the avatar of an earlier training of this person")
        self.begin.setToolTip("Its points, networks and codes; the sizes must be the same.")
        self.head.setPlaceholderText("the free head")
        self.head.setToolTip(
            "The FLAME head (generic_model.pkl) with which the videos were tracked; empty for the "
            "free head."
        )
        self.out.setToolTip("Checkpoints, previews and the finished avatar go here.")
        self._form = self._make_form()
        self._form.setRowVisible(self.note, not has_gpu)
        self.set_values({"data.folder": "", "data.source": "source", "start_from": "", "head": ""})
        self._show_kind()
        self._connect()

    @property
    def chosen_kind(self) -> TrainingPreset:
        """What is to be trained."""
        return self._presets[self.kind.currentIndex()]

    def values(self) -> dict[str, Any]:
        """What the fields say, by key."""
        texts = (self.data.text(), self.source.currentText(), self.begin.text(), self.head.text())
        return {key: text.strip() for key, text in zip(KEYS, texts, strict=True)}

    @property
    def folder_is_typed(self) -> bool:
        """Whether the user has said where the run goes."""
        return self._folder_is_typed

    def set_values(self, values: dict[str, Any]) -> None:
        """Fill the fields, telling nobody."""
        boxes = (self.data, self.source, self.begin, self.head)
        lines = (self.data, self.source.lineEdit(), self.begin, self.head)
        for line, box, key in zip(lines, boxes, KEYS, strict=True):
            assert line is not None
            box.blockSignals(True)
            line.setText(str(values[key]))
            box.blockSignals(False)
        self._show_begin()

    def offer_subjects(self, subjects: list[str]) -> None:
        """Names to choose the person from."""
        chosen = self.source.currentText()
        self.source.blockSignals(True)
        self.source.clear()
        self.source.addItems(subjects)
        self.source.setEditText(chosen)
        self.source.blockSignals(False)

    def propose_folder(self, folder: Path) -> None:
        """Where it could go, unless the user has said so already."""
        if not self._folder_is_typed:
            self.out.setText(str(folder))

    def _make_form(self) -> QFormLayout:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(14)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._person = QLabel()
        self._browses = {
            line: BrowseRow(line, name, partial(self._choose, line))
            for line, name in (
                (self.data, "Data folder"),
                (self.begin, "Begin with an avatar"),
                (self.head, "Head"),
                (self.out, "Run folder"),
            )
        }
        rows: list[tuple[QLabel, QWidget]] = [
            (QLabel("What to train"), self.kind),
            (QLabel(), self.note),
            (QLabel("Data folder"), self._browses[self.data]),
            (self._person, self.source),
            (QLabel("Begin with (optional)"), self._browses[self.begin]),
            (QLabel("Head"), self._browses[self.head]),
            (QLabel("Run folder"), self._browses[self.out]),
        ]
        for label, widget in rows:
            label.setMinimumWidth(LABEL_WIDTH)
            form.addRow(label, widget)
        self.kind.setAccessibleName("What to train")
        self.source.setAccessibleName("Person")
        self._chain_tab_stops()
        return form

    def _chain_tab_stops(self) -> None:
        """Each button comes after its field."""
        stops: list[QWidget] = [self.kind, self.note, self.data, self._browses[self.data].button]
        stops += [self.source]
        for line in (self.begin, self.head, self.out):
            stops += [line, self._browses[line].button]
        for stop, following in pairwise(stops):
            self.setTabOrder(stop, following)
        self.last_stop = stops[-1]

    def _connect(self) -> None:
        self.kind.currentIndexChanged.connect(self._show_kind)
        self.kind.currentIndexChanged.connect(self.kind_chosen)
        self.note.linkActivated.connect(self.sizes_asked)
        for line in (self.data, self.begin, self.head):
            line.textChanged.connect(self.changed)
        self.source.editTextChanged.connect(self.changed)
        self.out.textEdited.connect(self._on_folder_typed)
        self.out.textChanged.connect(self.folder_changed)

    def _on_folder_typed(self) -> None:
        self._folder_is_typed = True

    def _show_kind(self) -> None:
        kind = self.chosen_kind
        self.kind.setToolTip(kind.help)
        self.note.setText(
            "No NVIDIA card here: small sizes are set. Use "
            f"<a href='sizes'>the published ones</a> of resources/presets/{kind.file}"
        )
        self._person.setText("Person without attributes" if kind.has_attributes else "Person")
        self._show_begin()

    def _show_begin(self) -> None:
        # What is in effect is seen, whatever is trained.
        is_shown = self.chosen_kind.has_attributes or bool(self.begin.text())
        self._form.setRowVisible(self._browses[self.begin], is_shown)

    def _choose(self, line: QLineEdit, now: str) -> str:
        if line is self.begin:
            title, kinds = "Begin with an avatar", "Avatars (*.avatar)"
            return QFileDialog.getOpenFileName(self, title, now, kinds)[0]
        if line is self.head:
            kinds = "Heads (*.pkl *.head)"
            return QFileDialog.getOpenFileName(self, "Choose a head", now, kinds)[0]
        chosen = QFileDialog.getExistingDirectory(self, "Choose a folder", now)
        self._folder_is_typed = self._folder_is_typed or (line is self.out and bool(chosen))
        return chosen
