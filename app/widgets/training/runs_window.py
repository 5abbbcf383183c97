"""The trainings that are known: what each is doing, and what can be asked of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal, SignalInstance
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app.runs.run import Run, Status
from app.widgets.training.run_view import RunView

BUTTONS = {
    "pause": ("Pause", "Save and let go of the memory; Resume goes on from there"),
    "resume": ("Resume", "Go on from the last save"),
    "stop": ("Stop", "Save, then end"),
    "kill": ("Stop now", "End at once; what was done since the last save is lost"),
    "show": ("Show in viewport", "Open the finished avatar, or one made of the last save"),
}
_STOPPED = (Status.PAUSED, Status.INTERRUPTED, Status.FAILED, Status.FOUND)


class RunsWindow(QDialog):
    """Setters in, signals out."""

    asked = Signal(str, object)
    """one of BUTTONS, the run"""
    new_asked = Signal()
    video_asked = Signal()
    personal_asked = Signal()
    follow_asked = Signal(object, bool)
    """the run, and whether the viewport shall follow it"""
    folder_chosen = Signal(object)
    forget_asked = Signal(object)
    shown_changed = Signal()
    """another run was chosen, or others to compare with"""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Trainings")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.list, self.view = QListWidget(), RunView()
        self.list.setAccessibleName("Trainings")
        self.list.setToolTip("Tick a second run to compare its curves")
        self.buttons = {name: self._make_button(name) for name in BUTTONS}
        self.follow = QCheckBox("Follow")
        self.follow.clicked.connect(self._on_follow)
        self.offer_text, self.offer = QLabel("The face is there."), QPushButton("Show in viewport")
        self.offer.setToolTip("Show it, and a better one after each save while it is trained")
        self.offer.setAutoDefault(False)
        self.offer.clicked.connect(lambda: self._on_follow(True))
        self.follow.setToolTip(
            "Open each new save in the viewport. Making an avatar of a save takes some seconds\n"
            "of one processor core; the training goes on meanwhile, a little slower."
        )
        self.message = QLabel()
        self.message.setWordWrap(True)
        splitter = QSplitter()
        splitter.addWidget(self._make_left())
        splitter.addWidget(self._make_right())
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([240, 800])
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.addWidget(splitter)
        self.list.currentItemChanged.connect(lambda *_: self.shown_changed.emit())
        self.list.itemChanged.connect(lambda *_: self.shown_changed.emit())
        self.resize(QSize(1080, 720))

    @property
    def run(self) -> Run | None:
        """The run that is shown."""
        item = self.list.currentItem()
        return item.data(Qt.ItemDataRole.UserRole) if item else None

    def compared(self) -> list[Run]:
        """The ticked runs, without the one that is shown."""
        items = [self.list.item(row) for row in range(self.list.count())]
        ticked = [item for item in items if item.checkState() == Qt.CheckState.Checked]
        runs: list[Run] = [item.data(Qt.ItemDataRole.UserRole) for item in ticked]
        return [run for run in runs if run is not self.run]

    def set_runs(self, runs: list[Run], chosen: Run | None = None) -> None:
        """List these runs."""
        chosen = chosen or self.run
        self.list.blockSignals(True)
        self.list.clear()
        for run in runs:
            item = QListWidgetItem(run.name)
            item.setData(Qt.ItemDataRole.UserRole, run)
            item.setToolTip(str(run.folder))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Unchecked)
            self.list.addItem(item)
        self.list.setCurrentRow(runs.index(chosen) if chosen in runs else 0 if runs else -1)
        self.list.blockSignals(False)
        self.shown_changed.emit()

    def show_states(self) -> None:
        """Look again at what every run is doing."""
        self.list.blockSignals(True)
        for row in range(self.list.count()):
            item = self.list.item(row)
            run: Run = item.data(Qt.ItemDataRole.UserRole)
            item.setText(f"{run.name}\n{run.state().status.value}")
        self.list.blockSignals(False)
        run_shown = self.run
        state = run_shown.state() if run_shown else None
        running = state is not None and state.status is Status.RUNNING
        told = state is not None and state.can_be_told
        asked = run_shown.request() if run_shown else ""
        for name in ("pause", "stop"):
            self.buttons[name].setEnabled(told and not asked)
        self.buttons["kill"].setEnabled(told)
        self.buttons["resume"].setEnabled(state is not None and state.status in _STOPPED)
        has_avatar = run_shown is not None and bool(run_shown.checkpoint() or run_shown.avatar())
        self.buttons["show"].setEnabled(has_avatar)
        self.follow.setEnabled(running or self.follow.isChecked())

    def show_following(self, is_followed: bool, is_offered: bool) -> None:
        """Whether the viewport follows the shown run, and whether to offer that."""
        self.follow.setChecked(is_followed)
        is_offered = is_offered and self.buttons["show"].isEnabled() and self.follow.isEnabled()
        for widget in (self.offer_text, self.offer):
            widget.setVisible(is_offered)

    def show_message(self, text: str) -> None:
        """Say something about what was asked."""
        self.message.setText(text)

    def _make_button(self, name: str) -> QPushButton:
        title, tip = BUTTONS[name]
        button = QPushButton(title)
        button.setToolTip(tip)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self._tell(self.asked, name))
        return button

    def _make_left(self) -> QWidget:
        side, column = QWidget(), QVBoxLayout()
        side.setLayout(column)
        column.setContentsMargins(0, 0, 6, 0)
        self.new_video, self.new_personal, self.new, self.add, self.forget = (
            QPushButton("New avatar from a video …"),
            QPushButton("New personal avatar …"),
            QPushButton("New training …"),
            QPushButton("Add a run folder …"),
            QPushButton("Remove from list"),
        )
        self.add.setToolTip("Show a run that was started in a terminal or on another machine")
        self.forget.setToolTip("Nothing on disk is touched, and a training goes on")
        column.addWidget(self.list, 1)
        for button in (self.new_video, self.new_personal, self.new, self.add, self.forget):
            button.setAutoDefault(False)
            column.addWidget(button)
        self.new_video.clicked.connect(self.video_asked)
        self.new_personal.clicked.connect(self.personal_asked)
        self.new.clicked.connect(self.new_asked)
        self.add.clicked.connect(self._on_add)
        self.forget.clicked.connect(lambda: self._tell(self.forget_asked))
        return side

    def _make_right(self) -> QWidget:
        side, column = QWidget(), QVBoxLayout()
        side.setLayout(column)
        column.setContentsMargins(6, 0, 0, 0)
        row = QHBoxLayout()
        for name, button in self.buttons.items():
            if name == "show":
                row.addStretch(1)
            row.addWidget(button)
        row.addWidget(self.follow)
        offered = QHBoxLayout()
        offered.addWidget(self.offer_text)
        offered.addWidget(self.offer)
        offered.addStretch(1)
        column.addWidget(self.view, 1)
        column.addLayout(offered)
        column.addWidget(self.message)
        column.addLayout(row)
        return side

    def _tell(self, signal: SignalInstance, *words: str) -> None:
        if self.run is not None:
            signal.emit(*words, self.run)

    def _on_follow(self, is_followed: bool) -> None:
        if self.run is not None:
            self.follow_asked.emit(self.run, is_followed)

    def _on_add(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Add a run folder")
        if chosen:
            self.folder_chosen.emit(Path(chosen))
