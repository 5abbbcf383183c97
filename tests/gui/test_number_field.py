"""Typing numbers into the window, under the decimal signs of several languages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QLocale, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QPushButton, QToolTip, QVBoxLayout

from app.widgets.number_field import CompactNumberField, NumberField, WholeNumberField


@pytest.fixture(params=["C", "de_DE", "fr_FR", "ar_EG", "de_CH", "sv_SE"])
def locale(request) -> Iterator[str]:
    """The system's language."""
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


@pytest.fixture()
def show(qtbot, qapp):
    """Shows a field."""

    def show(field: NumberField) -> NumberField:
        qtbot.addWidget(field)
        field.resize(120, 30)
        field.show()
        field.activateWindow()
        qtbot.waitUntil(field.isActiveWindow)
        return field

    return show


def _type(field: NumberField, text: str, ends_with_enter: bool = True) -> None:
    field.setFocus()
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Delete)
    QTest.keyClicks(field, text)
    if ends_with_enter:
        QTest.keyClick(field, Qt.Key.Key_Return)
    else:
        field.clearFocus()


def _paste(field: NumberField, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    field.setFocus()
    field.selectAll()
    QTest.keyClick(field, "v", Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_numbers_mean_the_same_in_every_language(show, locale) -> None:
    field = show(CompactNumberField(-2, 2, 2, "°"))
    for text, number in (
        ("0.5", 0.5), ("0,25", 0.25), ("-1,5", -1.5), ("1.5°", 1.5), ("1,25 °", 1.25), (".5", 0.5),
        ("-0,001", 0), ("9", 2), ("-9", -2), ("20", 2), ("1999", 2), ("0.123", 0.12),
    ):  # fmt: skip
        _type(field, text)
        assert field.value() == number, (text, locale)
    shown = field.text()
    field.setValue(-1)
    for text, number in ((shown, 0.12), ("١٫٥", 1.5), ("\u22121,25\u00a0°", -1.25)):
        _paste(field, text)
        assert field.value() == number, (text, locale)


def test_whole_and_exact_numbers_in_every_language(show, locale) -> None:
    whole = show(WholeNumberField(1, 400_000, " px"))
    for text, number in (("40000", 40_000), ("12 000 px", 12_000), ("9999999", 400_000), ("0", 1)):
        _type(whole, text)
        assert whole.value() == number and isinstance(whole.value(), int), (text, locale)
    whole.setValue(40_000)
    _paste(whole, whole.text())
    assert whole.value() == 40_000 and not whole.hint
    exact = show(NumberField(0, 1e6, None))
    for text, number in (("1e-4", 1e-4), ("0,000000123456789", 1.23456789e-7), ("2,5E3", 2500)):
        _type(exact, text)
        assert exact.value() == pytest.approx(number, rel=1e-9), (text, locale)
        _paste(exact, exact.text())
        assert exact.value() == pytest.approx(number, rel=1e-9), (text, locale)


@pytest.mark.parametrize("with_enter", [True, False])
def test_what_cannot_be_taken_is_corrected_with_a_hint(qtbot, show, with_enter) -> None:
    field = show(CompactNumberField(0, 2))
    field.setValue(1)
    heard: list[str] = []
    field.corrected.connect(heard.append)
    _type(field, "9", with_enter)
    assert field.value() == 2 and "2.00 is the most" in heard[-1]
    qtbot.waitUntil(lambda: QToolTip.text() == field.hint)
    for text in ("1.000,5", "abc", "-", ""):
        field.setValue(1)
        _type(field, text, with_enter)
        assert field.value() == 1 and field.text() == "1.00" and field.hint, text
    _type(field, "1.5", with_enter)
    assert field.value() == 1.5 and not field.hint


def test_enter_and_escape_stay_in_the_field(qtbot, qapp) -> None:
    dialog, field, button = QDialog(), NumberField(0, 10), QPushButton("Go")
    qtbot.addWidget(dialog)
    column = QVBoxLayout(dialog)
    column.addWidget(field)
    column.addWidget(button)
    button.setDefault(True)
    pressed: list[bool] = []
    button.clicked.connect(pressed.append)
    dialog.show()
    qtbot.waitExposed(dialog)
    _type(field, "3")
    QTest.keyClick(field, Qt.Key.Key_Enter)
    assert field.value() == 3 and pressed == []
    field.selectAll()
    QTest.keyClicks(field, "7")
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert dialog.isVisible() and field.value() == 3 and field.text() == "3.00"
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
