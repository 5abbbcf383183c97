"""A form made from the trainer's own description of its settings."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from app.runs.settings import Setting, converted, text_of, value_of
from app.widgets.activity_panel import ERROR_COLOUR
from app.widgets.collapsible_section import CollapsibleSection
from app.widgets.number_field import NumberField, WholeNumberField
from pegasus_runtime.errors import InvalidInput

LABEL_WIDTH = 172
"""so that the fields of several forms stand in one line"""


class SettingsForm(QWidget):
    """Common settings first, the others folded."""

    changed = Signal()

    def __init__(self, settings: list[Setting]) -> None:
        super().__init__()
        self.fields: dict[str, QWidget] = {}
        self._labels: dict[str, QLabel] = {}
        self._settings = {setting.key: setting for setting in settings}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(6)
        column.addLayout(self._make_rows([s for s in settings if s.is_common]))
        rest = [setting for setting in settings if not setting.is_common]
        for group in dict.fromkeys(setting.group for setting in rest):
            section = CollapsibleSection(group, is_open=False)
            section.body.addLayout(self._make_rows([s for s in rest if s.group == group]))
            column.addWidget(section)
        column.addStretch(1)

    def problems(self) -> list[str]:
        """What is wrong with which fields; their labels show it, too."""
        found = []
        for key, setting in self._settings.items():
            problem = ""
            try:
                converted(setting, self._value(key))
            except InvalidInput as error:
                problem = str(error)
                found.append(problem)
            label = self._labels[key]
            label.setStyleSheet(f"color: {ERROR_COLOUR}" if problem else "")
            self.fields[key].setAccessibleDescription(problem or setting.tooltip)
        return found

    def values(self) -> dict[str, Any]:
        """What the fields say, by key."""
        return {key: self._value(key) for key in self._settings}

    def set_values(self, values: dict[str, Any]) -> None:
        """Fill the fields, telling nobody."""
        for key, field in self.fields.items():
            field.blockSignals(True)
            self._set_value(field, values.get(key, self._settings[key].default))
            field.blockSignals(False)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls the form, not the value under the pointer."""
        if event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def _make_rows(self, settings: list[Setting]) -> QFormLayout:
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(14)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for setting in settings:
            field, label = self._make_field(setting), QLabel(setting.label)
            label.setMinimumWidth(LABEL_WIDTH)
            label.setBuddy(field)
            for widget in (field, label):
                widget.setToolTip(setting.tooltip)
            field.setAccessibleName(setting.label)
            field.installEventFilter(self)
            field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self.fields[setting.key], self._labels[setting.key] = field, label
            self._set_value(field, setting.default)
            form.addRow(label, field)
        return form

    def _make_field(self, setting: Setting) -> QWidget:
        limits, choices = setting.constraint, setting.constraint.choices or setting.suggestions
        if choices:
            choice = QComboBox()
            choice.addItems(list(choices))
            choice.setEditable(bool(setting.suggestions))
            choice.currentTextChanged.connect(self.changed)
            return choice
        if limits.kind == "bool":
            check = QCheckBox()
            check.toggled.connect(self.changed)
            return check
        if limits.kind in ("int", "float") and not limits.container:
            number = self._make_number(setting)
            number.valueChanged.connect(self.changed)
            return number
        line = QLineEdit()
        line.textChanged.connect(self.changed)
        return line

    @staticmethod
    def _make_number(setting: Setting) -> NumberField:
        low, high = setting.constraint.minimum, setting.constraint.maximum
        assert low is not None and high is not None, setting.key
        suffix = f" {setting.unit}" if setting.unit else ""
        if setting.constraint.kind == "float":
            return NumberField(low, high, None, suffix)
        whole = WholeNumberField(int(low), int(high), suffix)
        whole.setStepType(WholeNumberField.StepType.AdaptiveDecimalStepType)
        return whole

    def _value(self, key: str) -> Any:
        field = self.fields[key]
        if isinstance(field, QComboBox):
            return field.currentText()
        if isinstance(field, QCheckBox):
            return field.isChecked()
        if isinstance(field, NumberField):
            return field.value()
        assert isinstance(field, QLineEdit)
        return value_of(self._settings[key], field.text())

    @staticmethod
    def _set_value(field: QWidget, value: Any) -> None:
        if isinstance(field, QComboBox):
            field.setCurrentText(str(value))
        elif isinstance(field, QCheckBox):
            field.setChecked(bool(value))
        elif isinstance(field, NumberField):
            field.setValue(value)
        elif isinstance(field, QLineEdit):
            field.setText(text_of(value))
