"""How much to make of it: presets, each with what it takes here."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QRadioButton, QVBoxLayout, QWidget

from app.runs.presets import TrainingPreset
from app.widgets.training.preflight_panel import duration_text


class PresetChoices(QWidget):
    """One of them is chosen."""

    changed = Signal()

    def __init__(self, presets: Sequence[TrainingPreset]) -> None:
        super().__init__()
        self._presets, self._group = list(presets), QButtonGroup(self)
        self.texts: dict[str, QLabel] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for number, preset in enumerate(self._presets):
            row, button, text = QHBoxLayout(), QRadioButton(preset.title), QLabel()
            button.setMinimumWidth(120)
            button.setToolTip(preset.help)
            button.setAccessibleDescription(preset.help)
            text.setWordWrap(True)
            text.setBuddy(button)
            self._group.addButton(button, number)
            self.texts[preset.name] = text
            row.addWidget(button)
            row.addWidget(text, 1)
            column.addLayout(row)
            self.show_cost(preset, "")
        self.buttons()[0].setChecked(True)
        self._group.buttonClicked.connect(lambda _: self.changed.emit())

    @property
    def chosen(self) -> TrainingPreset:
        """The one that is chosen."""
        return self._presets[max(self._group.checkedId(), 0)]

    def buttons(self) -> list[QRadioButton]:
        """From the top to the bottom."""
        return [button for button in self._group.buttons() if isinstance(button, QRadioButton)]

    def show_cost(self, preset: TrainingPreset, takes: str) -> None:
        """Say what one takes here, if that is known."""
        self.texts[preset.name].setText(f"{preset.help}{f' {takes}' if takes else ''}")


def long_duration(seconds: float) -> str:
    """A duration in a sentence."""
    text = duration_text(seconds)
    return text.replace(" min", " minute" if text == "1 min" else " minutes")
