"""Somebody who tries everything in the window, in an order that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QMessageBox, QWidget

from app.editor_window import EditorWindow
from app.state.document import Snapshot
from app.state.history import MAX_ENTRIES
from app.widgets.collapsible_section import CollapsibleSection
from app.widgets.slider_row import SliderRow

_BUTTONS = (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton)
_KEYS = (Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Plus, Qt.Key.Key_Minus, Qt.Key.Key_Down)
_LEFT = Qt.MouseButton.LeftButton


class Monkey:
    """Does one action after the other; `first` is the document as it was opened last."""

    def __init__(self, window: EditorWindow, avatar: Path, folder: Path, seed: int) -> None:
        self.window, self.document = window, window.editor.document
        self.first: Snapshot = self.document.snapshot
        self.done: list[str] = []
        self._avatar, self._project = avatar, folder / "monkey.pegasus.yaml"
        self._random = random.Random(seed)
        self._actions: list[tuple[int, Callable[[], None]]] = [
            (20, self.drag_slider),
            (4, self.double_click_slider),
            (6, self.type_number),
            (4, self.press_key_on_slider),
            (12, self.click_tile),
            (12, self.drag_viewport),
            (5, self.wheel),
            (5, self.press_key),
            (8, self.undo),
            (5, self.redo),
            (3, self.choose_state),
            (4, self.trigger_action),
            (4, self.choose_display),
            (3, self.toggle_dock),
            (3, self.switch_tab),
            (3, self.toggle_section),
            (2, self.search),
            (2, self.open_dialog),
            (2, self.save),
            (1, self.open_something),
            (1, self.resize),
            (1, self.close_document),
        ]

    def act(self) -> None:
        """One action."""
        weights = [weight for weight, _ in self._actions]
        (action,) = self._random.choices([action for _, action in self._actions], weights)
        self.done.append(action.__name__)
        action()
        QApplication.processEvents()
        if len(self.document.history.entries) >= MAX_ENTRIES - 10:
            self.take_back()

    def take_back(self) -> None:
        """Undo everything; the document has to be as it was when it was opened."""
        while self.document.history.undo_label is not None:
            self.document.undo()
        now = self.document.snapshot
        assert now == self.first, f"after {self.done[-30:]}"
        self.check_widgets()
        self.document.history.clear()

    def check_widgets(self) -> None:
        """What the widgets show has to be what the document says."""
        face, view = self.document.face, self.document.view
        for row in (row for row in self._rows() if row.title == "Jaw open"):
            assert abs(row.value() - face.pose[6] * 57.29578) < 0.01
        for category, section in self.window.attributes.sections.items():
            wear = face.attributes.get(category)
            assert section.gallery.tiles[wear.name if wear else ""].isChecked()
        assert abs(self.window.scene.distance.value() - view.distance) < 0.01
        assert self.window.scene.passes.currentData() == self.document.display.pass_name
        model, history = self.window.history.model, self.document.history
        assert model.rowCount() == len(history.entries) + 1 and model.position == history.position

    def drag_slider(self) -> None:
        row = self._row()
        if row is not None:
            places = [self._place(row.slider) for _ in range(self._random.randrange(2, 5))]
            QTest.mousePress(row.slider, _LEFT, pos=places[0])
            for place in places:
                QTest.mouseMove(row.slider, place)
            QTest.mouseRelease(row.slider, _LEFT, pos=places[-1])

    def double_click_slider(self) -> None:
        row = self._row()
        if row is not None:
            place = self._place(row.slider)
            QTest.mouseClick(row.slider, _LEFT, pos=place)
            QTest.mouseDClick(row.slider, _LEFT, pos=place)

    def type_number(self) -> None:
        row = self._row()
        if row is not None:
            row.number.selectAll()
            typed = self._random.choice(["0.5", "0,25", "-1", "999", "abc", "", "1e-3"])
            QTest.keyClicks(row.number, typed)
            QTest.keyClick(row.number, self._random.choice([Qt.Key.Key_Return, Qt.Key.Key_Tab]))

    def press_key_on_slider(self) -> None:
        row = self._row()
        if row is not None:
            QTest.keyClick(row.slider, self._random.choice([*_KEYS, Qt.Key.Key_PageUp]))

    def click_tile(self) -> None:
        sections = list(self.window.attributes.sections.values())
        if sections:
            tiles = list(self._random.choice(sections).gallery.tiles.values())
            QTest.mouseClick(self._random.choice(tiles), _LEFT)

    def drag_viewport(self) -> None:
        viewport, button = self.window.viewport, self._random.choice(_BUTTONS)
        if not viewport.isVisible():
            return
        QTest.mousePress(viewport, button, pos=self._place(viewport))
        for _ in range(3):
            place = QPointF(self._place(viewport))
            # QTest's own moves carry no buttons.
            self._move(viewport, place, button)
        QTest.mouseRelease(viewport, button, pos=self._place(viewport))

    def wheel(self) -> None:
        row = self._row()
        for widget in (self.window.viewport, *([row.slider] if row else [])):
            if widget.isVisible():
                place = QPointF(self._place(widget))
                event = QWheelEvent(
                    place, widget.mapToGlobal(place), QPoint(),
                    QPoint(0, self._random.choice([120, -120, 1200, -15])), Qt.MouseButton.NoButton,
                    Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
                )  # fmt: skip
                QApplication.sendEvent(widget, event)

    def press_key(self) -> None:
        QTest.keyClick(self.window.viewport, self._random.choice(_KEYS))

    def undo(self) -> None:
        for _ in range(self._random.randrange(1, 4)):
            self.window.actions_.undo.trigger()

    def redo(self) -> None:
        self.window.actions_.redo.trigger()

    def choose_state(self) -> None:
        panel = self.window.history
        row = self._random.randrange(panel.model.rowCount())
        if panel.isVisible() and panel.isEnabled():
            index = panel.model.index(row, 0)
            panel.list.scrollTo(index)
            place = panel.list.visualRect(index).center()
            QTest.mouseClick(panel.list.viewport(), _LEFT, pos=place)

    def trigger_action(self) -> None:
        actions = self.window.actions_
        self._random.choice([actions.reset, actions.frame, *self._presets()]).trigger()

    def choose_display(self) -> None:
        scene = self.window.scene
        if self.document.avatar is not None:
            box = self._random.choice([scene.passes, scene.backgrounds])
            box.setCurrentIndex(self._random.randrange(box.count()))

    def toggle_dock(self) -> None:
        self._random.choice(self.window.docks).toggleViewAction().trigger()

    def switch_tab(self) -> None:
        self.window.face_tabs.setCurrentIndex(self._random.randrange(3))

    def toggle_section(self) -> None:
        sections = [s for s in self.window.findChildren(CollapsibleSection) if s.isVisible()]
        if sections:
            section = self._random.choice(sections)
            section.set_open(not section.is_open())

    def search(self) -> None:
        self.window.expression.search.setText(self._random.choice(["", "smile", "brow", "xyz"]))

    def open_dialog(self) -> None:
        window = self.window
        self._random.choice([
            window.binding.show_export,
            window.actions_.help.show_shortcuts,
            window.actions_.help.show_about,
            window.training.show_runs,
            lambda: window.binding.show_message("Monkey", "Nothing is wrong.", "details"),
        ])()  # fmt: skip
        QApplication.processEvents()
        self._close_dialogs()

    def save(self) -> None:
        if self.document.avatar is not None:
            self.window.projects.save_to(self._project)

    def open_something(self) -> None:
        """An avatar, the project, or a file that is none; what is not saved is discarded."""
        wrong = self._project.with_name("wrong.avatar")
        wrong.write_bytes(b"no avatar")
        sources = [self._avatar, wrong, *([self._project] if self._project.exists() else [])]
        self._go(lambda: self.window.projects.open(str(self._random.choice(sources))))

    def close_document(self) -> None:
        """Close what is open, and after that open the avatar again."""
        self._go(self.window.projects.close)
        self._go(lambda: self.window.projects.open(str(self._avatar)))

    def resize(self) -> None:
        self.window.resize(self._random.randrange(700, 1000), self._random.randrange(480, 700))

    def _go(self, leave: Callable[[], None]) -> None:
        before, opening = self.document.avatar, self.window.editor.avatar_loader
        leave()
        question = self.window.projects.question
        if question is not None:
            question.answers[self._random.choice(["Discard", "Cancel"])].click()
        while opening.num_opening:
            QApplication.processEvents()
            QTest.qWait(2)
        self._close_dialogs()
        if self.document.avatar is not before:
            self.first = self.document.snapshot

    def _close_dialogs(self) -> None:
        for dialog in self.window.findChildren(QDialog):
            if dialog.isVisible():
                if isinstance(dialog, QMessageBox):
                    dialog.buttons()[-1].click()
                dialog.close()
        if self.window.training.runs is not None:
            self.window.training.runs.close()

    def _presets(self) -> list:
        menus = [menu for menu in self.window.findChildren(QWidget) if menu.inherits("QMenu")]
        return [
            action
            for menu in menus
            if menu.title() == "Look from"  # type: ignore[attr-defined]
            for action in menu.actions()
        ]

    def _rows(self) -> list[SliderRow]:
        return [row for row in self.window.findChildren(SliderRow) if row.isVisible()]

    def _row(self) -> SliderRow | None:
        rows = [row for row in self._rows() if row.isEnabled()]
        return self._random.choice(rows) if rows else None

    def _place(self, widget: QWidget) -> QPoint:
        return QPoint(
            self._random.randrange(max(1, widget.width())),
            self._random.randrange(max(1, widget.height())),
        )

    @staticmethod
    def _move(widget: QWidget, place: QPointF, button: Qt.MouseButton) -> None:
        from PySide6.QtCore import QEvent
        from PySide6.QtGui import QMouseEvent

        event = QMouseEvent(
            QEvent.Type.MouseMove, place, widget.mapToGlobal(place), Qt.MouseButton.NoButton,
            button, Qt.KeyboardModifier.NoModifier,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)
