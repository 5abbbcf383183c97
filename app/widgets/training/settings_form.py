"""A form made from the trainer's own description of its settings."""

from __future__ import annotations

from typing import Any

import yaml
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

from app.state.training_form import COMMON, UNITS, Setting
from app.widgets.number_field import NumberField, WholeNumberField
from app.widgets.section import Section

LABEL_WIDTH = 172
"""so that the fields of several forms stand in one line"""
_MAX_INT = 2**31 - 1


class SettingsForm(QWidget):
    """Common settings first, the others folded."""

    changed = Signal()

    def __init__(self, settings: list[Setting]) -> None:
        super().__init__()
        self.fields: dict[str, QWidget] = {}
        self._settings = {setting.key: setting for setting in settings}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(6)
        column.addLayout(self._make_rows([k for k in COMMON if k in self._settings]))
        rest = [setting for setting in self._settings.values() if setting.key not in COMMON]
        for group in dict.fromkeys(setting.group for setting in rest):
            section = Section(group, is_open=False)
            section.body.addLayout(self._make_rows([s.key for s in rest if s.group == group]))
            column.addWidget(section)
        column.addStretch(1)

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

    def _make_rows(self, keys: list[str]) -> QFormLayout:
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(14)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for key in keys:
            setting = self._settings[key]
            field, label = self._make_field(setting), QLabel(setting.title)
            label.setMinimumWidth(LABEL_WIDTH)
            for widget in (field, label):
                widget.setToolTip(setting.tooltip)
            field.setAccessibleName(setting.title)
            field.installEventFilter(self)
            field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self.fields[key] = field
            self._set_value(field, setting.default)
            form.addRow(label, field)
        return form

    def _make_field(self, setting: Setting) -> QWidget:
        low, high = setting.limits
        if setting.choices:
            choice = QComboBox()
            choice.addItems(list(setting.choices))
            choice.setEditable(setting.key == "device")
            choice.currentTextChanged.connect(self.changed)
            return choice
        if setting.kind == "bool":
            check = QCheckBox()
            check.toggled.connect(self.changed)
            return check
        if setting.kind == "int":
            whole = WholeNumberField(int(low), int(min(high, _MAX_INT)), UNITS.get(setting.key, ""))
            whole.setStepType(WholeNumberField.StepType.AdaptiveDecimalStepType)
            whole.valueChanged.connect(self.changed)
            return whole
        if setting.kind == "float":
            number = NumberField(low, high, None)
            number.valueChanged.connect(self.changed)
            return number
        line = QLineEdit()
        line.textChanged.connect(self.changed)
        return line

    def _value(self, key: str) -> Any:
        field, setting = self.fields[key], self._settings[key]
        if isinstance(field, QComboBox):
            return field.currentText()
        if isinstance(field, QCheckBox):
            return field.isChecked()
        if isinstance(field, NumberField):
            return field.value()
        assert isinstance(field, QLineEdit)
        if setting.kind == "str":
            return field.text()
        try:
            return yaml.safe_load(field.text())
        except yaml.YAMLError:
            return field.text()

    @staticmethod
    def _set_value(field: QWidget, value: Any) -> None:
        if isinstance(field, QComboBox):
            field.setCurrentText(str(value))
        elif isinstance(field, QCheckBox):
            field.setChecked(bool(value))
        elif isinstance(field, NumberField):
            field.setValue(value)
        elif isinstance(field, QLineEdit):
            plain = isinstance(value, str)
            text = value if plain else yaml.safe_dump(value, default_flow_style=True).strip()
            field.setText(text)
