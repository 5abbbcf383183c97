"""The field for numbers that the whole window uses."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFocusEvent,
    QKeyEvent,
    QValidator,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QToolTip, QWidget

from app.state.number_text import read_number

_HINT_MS = 6000
"""Time to read a line or two; longer ones cover what lies below."""
_FEWEST = 15
"""Decimals that are kept of a number that is shown with as many as it has."""
_GROUP = "\u202f"
"""The narrow space: the one sign for thousands that no language takes for a decimal sign."""


class NumberField(QDoubleSpinBox):
    """A real number. It takes both decimal signs, and what is typed counts when it is finished.

    That is Enter, Tab or a click elsewhere. A number beyond the limits then becomes the limit, what
    is no number is dropped for the number before, and in both cases a hint says so. Enter does not
    go on to press a dialog's button, and Escape takes back what was being typed.
    """

    corrected = Signal(str)
    """what was typed could not be taken as it was, and why"""

    def __init__(
        self,
        low: float,
        high: float,
        decimals: int | None = 2,
        suffix: str = "",
        parent: QWidget | None = None,
    ) -> None:
        """Make a field.

        Args:
            low: the least number.
            high: the greatest.
            decimals: digits shown after the decimal sign; None shows as many as the number has.
            suffix: a unit, shown after the number and accepted when it is typed.
            parent: the widget it is in.
        """
        super().__init__(parent)
        self.hint = ""
        """why the last typed text was corrected; empty when it was taken"""
        self._is_exact = decimals is None
        self.setDecimals(_FEWEST if decimals is None else decimals)
        self.setRange(low, high)
        self.setSuffix(suffix)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        if decimals is None:
            self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        else:
            self.setSingleStep(10.0**-decimals * (5 if decimals else 1))

    def textFromValue(self, value: float) -> str:
        text = f"{value:.15g}" if self._is_exact else f"{value:.{self.decimals()}f}"
        if float(text) == 0:
            text = text.removeprefix("-")
        return text.replace(".", "," if self.locale().decimalPoint() == "," else ".")

    def valueFromText(self, text: str) -> float:
        try:
            number = min(max(self._read(text), self.minimum()), self.maximum())
        except ValueError:
            return self.value()
        # + 0.0: no minus before nothing.
        return (number if self._is_exact else round(number, self.decimals())) + 0.0

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        try:
            taken = self.minimum() <= self._read(text) <= self.maximum()
        except ValueError:
            taken = False
        # Never Invalid, with which Qt drops single keys: of 9 where 2 is the most, and of 0,5.
        states = QValidator.State
        return states.Acceptable if taken else states.Intermediate, text, position

    def fixup(self, text: str) -> str:
        try:
            number = self._read(text)
        except ValueError as error:
            self._correct(str(error))
            return self._full_text(self.value())
        end, limit = ("least", self.minimum())
        if number > self.maximum():
            end, limit = ("most", self.maximum())
        shown = self._full_text(limit)
        self._correct(f"{shown} is the {end} here.")
        return shown

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.is_being_typed():
            self.drop_typed()
            self.selectAll()
            event.accept()
            return
        self._take_back_hint()
        super().keyPressEvent(event)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.accept()

    def drop_typed(self) -> None:
        """Show the number again, whatever was being typed."""
        if self.is_being_typed():
            self.setValue(self.value())
            self.lineEdit().setText(self._full_text(self.value()))

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._take_back_hint()
        super().focusInEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        # The wheel belongs to the panel: scrolling past a field must not change its number.
        event.ignore()

    def _read(self, text: str) -> float:
        bare = text.removeprefix(self.prefix())
        return read_number(bare, (self.suffix(),))

    def _full_text(self, value: float) -> str:
        return f"{self.prefix()}{self.textFromValue(value)}{self.suffix()}"

    def is_being_typed(self) -> bool:
        """Whether its text is not yet, or no more, what its number is."""
        return self.text() != self._full_text(self.value())

    def _take_back_hint(self) -> None:
        if self.hint:
            self.hint = ""
            QToolTip.hideText()

    def _correct(self, hint: str) -> None:
        self.hint = hint
        self.corrected.emit(hint)
        # Later: the change of focus that ends the typing would take a tip away at once.
        QTimer.singleShot(0, self, self._show_hint)

    def _show_hint(self) -> None:
        if self.hint and self.isVisible():
            below = self.mapToGlobal(self.rect().bottomLeft())
            QToolTip.showText(below, self.hint, self, QRect(), _HINT_MS)
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.hint))


class WholeNumberField(NumberField):
    """An integer, with its thousands apart."""

    def __init__(
        self, low: int, high: int, suffix: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(low, high, 0, suffix, parent)

    def value(self) -> int:
        """The number shown."""
        return round(super().value())

    def textFromValue(self, value: float) -> str:
        return f"{round(value):,}".replace(",", _GROUP)

    def _read(self, text: str) -> float:
        bare = text.removeprefix(self.prefix())
        return read_number(bare, (self.suffix(),), is_whole=True)


class CompactNumberField(NumberField):
    """Without arrows, for the end of a slider's row."""

    def __init__(self, low: float, high: float, decimals: int = 2, suffix: str = "") -> None:
        super().__init__(low, high, decimals, suffix)
        self.setObjectName("value")
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def event(self, event: QEvent) -> bool:
        # A style sheet keeps room for the arrows that are not there: take it back.
        done = super().event(event)
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Polish, QEvent.Type.StyleChange):
            self.lineEdit().setGeometry(self.rect().adjusted(3, 1, -3, -1))
        return done
