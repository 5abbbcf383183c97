"""What a screen reader says of a slider: the number that is shown, not the handle's step."""

from __future__ import annotations

import weakref
from functools import cache
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleValueInterface
from PySide6.QtWidgets import QAccessibleWidget

from app.widgets.slider import ValueSlider


class _Value(QAccessibleValueInterface):
    """The slider's number, for what reads and sets it."""

    def __init__(self, slider: ValueSlider) -> None:
        super().__init__()
        # Qt keeps what is made here for longer than the slider.
        self._slider = weakref.ref(slider)

    def currentValue(self) -> Any:
        slider = self._slider()
        return slider.number() if slider else 0.0

    def minimumValue(self) -> Any:
        slider = self._slider()
        return slider.low if slider else 0.0

    def maximumValue(self) -> Any:
        slider = self._slider()
        return slider.high if slider else 0.0

    def minimumStepSize(self) -> Any:
        slider = self._slider()
        return slider.step if slider else 0.0

    def setCurrentValue(self, value: Any) -> None:
        slider = self._slider()
        if slider is not None:
            slider.move_to_number(float(value))


class _Voice(QAccessibleWidget):
    """A slider with `_Value` for its value."""

    def __init__(self, slider: ValueSlider) -> None:
        super().__init__(slider, QAccessible.Role.Slider)
        self._slider, self._value = weakref.ref(slider), _Value(slider)

    def text(self, kind: QAccessible.Text) -> str:
        slider = self._slider()
        if kind == QAccessible.Text.Value and slider is not None:
            return slider.value_text()
        return super().text(kind)

    def interface_cast(self, kind: QAccessible.InterfaceType) -> Any:
        if kind == QAccessible.InterfaceType.ValueInterface:
            return self._value
        return super().interface_cast(kind)


@cache
def give_sliders_a_voice() -> None:
    """Answer for every `ValueSlider` from now on."""

    def answer(_: str, thing: QObject) -> QAccessibleWidget | None:
        return _Voice(thing) if isinstance(thing, ValueSlider) else None

    QAccessible.installFactory(answer)
