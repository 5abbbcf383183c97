"""The window without a mouse or without eyes: Tab, names, and the values that are read out."""

from __future__ import annotations

import gc

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget

from app.widgets.slider_row import SliderRow
from app.widgets.tab_order import follow_layout

TEXT = QAccessible.Text


def _said(widget: QWidget, kind: QAccessible.Text) -> str:
    return QAccessible.queryAccessibleInterface(widget).text(kind)


def _tab_stops(root: QWidget) -> list[QWidget]:
    """What Tab reaches in a window, in its order."""
    stops, widget = [], root.nextInFocusChain()
    while widget is not root:
        policy = widget.focusPolicy().value & Qt.FocusPolicy.TabFocus.value
        inner = widget.objectName().startswith("qt_")
        if policy and not inner and widget.isVisibleTo(root) and widget.isEnabled():
            stops.append(widget)
        widget = widget.nextInFocusChain()
    return stops


def _place(widget: QWidget, root: QWidget) -> QPoint:
    return widget.mapTo(root, widget.rect().center())


def test_a_slider_says_the_number_that_is_shown(qtbot, qapp) -> None:
    row = SliderRow("Smile", -2, 2)
    angle = SliderRow("Around", -180, 180, decimals=1, suffix="°")
    for each in (row, angle):
        qtbot.addWidget(each)
    angle.set_value(12)
    said = QAccessible.queryAccessibleInterface(row.slider)
    assert said.role() == QAccessible.Role.Slider
    assert said.text(TEXT.Name) == "Smile slider" and said.text(TEXT.Value) == "0.00"
    assert said.valueInterface().currentValue() == 0
    assert said.valueInterface().minimumValue() == -2
    assert said.valueInterface().maximumValue() == 2
    assert _said(angle.slider, TEXT.Value) == angle.number.text() == "12.0°"
    moved: list[float] = []
    row.value_changed.connect(moved.append)
    said.valueInterface().setCurrentValue(1.5)
    assert moved == [pytest.approx(1.5)] and row.number.value() == 1.5
    assert said.text(TEXT.Value) == "1.50"


def test_sliders_that_were_read_out_go_away(qtbot, qapp) -> None:
    for _ in range(50):
        row = SliderRow("Smile", -2, 2)
        assert _said(row.slider, TEXT.Value) == "0.00"
        row.deleteLater()
        QApplication.processEvents()
    del row
    gc.collect()
    QApplication.processEvents()


@pytest.mark.slow
def test_everything_that_tab_reaches_has_a_name_and_the_order_of_the_eye(qtbot, window) -> None:
    nameless = []
    for index in range(window.face_tabs.count()):
        window.face_tabs.setCurrentIndex(index)
        QApplication.processEvents()
        stops = _tab_stops(window)
        assert len(stops) > 10
        nameless += [s for s in stops if not isinstance(s, QAbstractScrollArea)]
        shown = window.face_tabs.currentWidget()
        rows = [s.parent() for s in stops if shown.isAncestorOf(s)]
        heights = [row.mapTo(window, QPoint(0, 0)).y() for row in rows if type(row) is SliderRow]
        assert heights == sorted(heights) and heights
    assert {str(s) for s in nameless if not _said(s, TEXT.Name).strip()} == set()


def test_tab_goes_down_the_film_dialog(qtbot, window) -> None:
    window.actions_.turntable.trigger()
    dialog = window.binding.export_dialog
    stops = _tab_stops(dialog)
    wanted = [dialog.format, dialog.out, dialog.browse, dialog.side, dialog.num_frames]
    wanted += [dialog.fps, dialog.background, dialog.close_button, dialog.start]
    assert [s for s in stops if s in wanted] == wanted
    assert all(_said(s, TEXT.Name).strip() for s in wanted)


def test_enter_and_escape_in_the_film_dialog_lose_nothing(qtbot, window, tmp_path) -> None:
    window.actions_.turntable.trigger()
    dialog = window.binding.export_dialog
    asked: list[object] = []
    dialog.export_asked.disconnect()
    dialog.export_asked.connect(asked.append)
    for field in (dialog.side, dialog.num_frames, dialog.fps, dialog.out, dialog.format):
        field.setFocus()
        QTest.keyClick(field, Qt.Key.Key_Return)
    dialog.num_frames.setFocus()
    dialog.num_frames.selectAll()
    QTest.keyClicks(dialog.num_frames, "77")
    assert asked == [] and dialog.isVisible()
    assert dialog.settings().num_frames == 77
    dialog.out.setText(str(tmp_path / "film.gif"))
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    window.actions_.turntable.trigger()
    assert window.binding.export_dialog.settings().num_frames == 77
    assert window.binding.export_dialog.out.text() == str(tmp_path / "film.gif")


def test_a_later_widget_comes_where_it_stands(qtbot, qapp) -> None:
    from PySide6.QtWidgets import QPushButton, QVBoxLayout

    box = QWidget()
    qtbot.addWidget(box)
    column = QVBoxLayout(box)
    first, last = QPushButton("1"), QPushButton("3")
    column.addWidget(first)
    column.addWidget(last)
    middle = QPushButton("2")
    column.insertWidget(1, middle)
    follow_layout(box)
    box.show()
    assert _tab_stops(box) == [first, middle, last]
