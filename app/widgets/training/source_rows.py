"""What is trained, from what, and where it goes: the rows above the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from app.state.training_kinds import Kind
from app.widgets.training.settings_form import LABEL_WIDTH

KEYS = ("data.folder", "data.source", "start_from")
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

    def __init__(self, kinds: list[Kind], has_gpu: bool) -> None:
        super().__init__()
        self._kinds, self._folder_is_typed = kinds, False
        self.kind, self.note = QComboBox(), QLabel()
        self.data, self.source, self.begin, self.out = (
            QLineEdit(),
            QComboBox(),
            QLineEdit(),
            QLineEdit(),
        )
        for index, kind in enumerate(kinds):
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
        self.out.setToolTip("Checkpoints, previews and the finished avatar go here.")
        self._form = self._make_form()
        self._form.setRowVisible(self.note, not has_gpu)
        self.set_values({"data.folder": "", "data.source": "source", "start_from": ""})
        self._show_kind()
        self._connect()

    @property
    def chosen_kind(self) -> Kind:
        """What is to be trained."""
        return self._kinds[self.kind.currentIndex()]

    def values(self) -> dict[str, Any]:
        """What the fields say, by key."""
        texts = (self.data.text().strip(), self.source.currentText(), self.begin.text().strip())
        return dict(zip(KEYS, texts, strict=True))

    def set_values(self, values: dict[str, Any]) -> None:
        """Fill the fields, telling nobody."""
        lines = (self.data, self.source.lineEdit(), self.begin)
        for line, box, key in zip(lines, (self.data, self.source, self.begin), KEYS, strict=True):
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
        self._person, self._begin_row = QLabel(), self._with_browse(self.begin)
        rows: list[tuple[QLabel, QWidget]] = [
            (QLabel("What to train"), self.kind),
            (QLabel(), self.note),
            (QLabel("Data folder"), self._with_browse(self.data)),
            (self._person, self.source),
            (QLabel("Begin with (optional)"), self._begin_row),
            (QLabel("Run folder"), self._with_browse(self.out)),
        ]
        for label, widget in rows:
            label.setMinimumWidth(LABEL_WIDTH)
            form.addRow(label, widget)
        return form

    def _with_browse(self, line: QLineEdit) -> QWidget:
        box, button = QWidget(), QPushButton("Browse …")
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(line, 1)
        row.addWidget(button)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self._browse(line))
        return box

    def _connect(self) -> None:
        self.kind.currentIndexChanged.connect(self._show_kind)
        self.kind.currentIndexChanged.connect(self.kind_chosen)
        self.note.linkActivated.connect(self.sizes_asked)
        for line in (self.data, self.begin):
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
            f"<a href='sizes'>the published ones</a> of resources/presets/{kind.preset}"
        )
        self._person.setText("Person without attributes" if kind.has_attributes else "Person")
        self._show_begin()

    def _show_begin(self) -> None:
        # What is in effect is seen, whatever is trained.
        is_shown = self.chosen_kind.has_attributes or bool(self.begin.text())
        self._form.setRowVisible(self._begin_row, is_shown)

    def _browse(self, line: QLineEdit) -> None:
        if line is self.begin:
            chosen, _ = QFileDialog.getOpenFileName(
                self, "Begin with an avatar", line.text(), "Avatars (*.avatar)"
            )
        else:
            chosen = QFileDialog.getExistingDirectory(self, "Choose a folder", line.text())
        if chosen:
            self._folder_is_typed = self._folder_is_typed or line is self.out
            line.setText(chosen)
