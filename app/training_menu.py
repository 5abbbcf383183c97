"""The Training menu and the windows behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtCore import QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QMessageBox

from app.controllers.camera import FIRST_CAMERA, RECORDING_S, camera_command, has_camera
from app.controllers.dispatch import Dispatch, run_in_background
from app.controllers.editor import Editor
from app.controllers.run_follower import RunFollower
from app.controllers.training_controller import TrainingController
from app.main_window import MainWindow
from app.runs import launch
from app.runs.launch import ROOT
from app.runs.presets import Description
from app.runs.run import Run, Status
from app.state.app_dirs import data_folder, home_folder

if TYPE_CHECKING:
    from app.widgets.training.camera_dialog import CameraDialog
    from app.widgets.training.new_video_dialog import NewVideoDialog
    from app.widgets.training.runs_window import RunsWindow
    from app.widgets.training.training_dialog import TrainingDialog

_REFRESH_MS = 1000
"""Less lets the menu follow its runs sooner, for more reads of their folders."""


class TrainingMenu:
    """Lives as long as the window; its own windows are made when first asked for."""

    def __init__(
        self,
        window: MainWindow,
        editor: Editor,
        dispatch: Dispatch,
        open_avatar: Callable[[str], None],
    ) -> None:
        self._window, self._open, self._loader = window, open_avatar, editor.avatar_loader
        self.training = TrainingController(editor.activity, dispatch)
        self.follower = RunFollower(editor.document, self.training.export)
        self._dispatch = dispatch
        self.dialog: TrainingDialog | None = None
        self.camera: CameraDialog | None = None
        self.camera_source = FIRST_CAMERA
        """or a file that is taken for one"""
        self._shows: Callable[[Description], None] = self._show_dialog
        self._dropped: Path | None = None
        self._follow_timer = QTimer(window)
        self._follow_timer.setInterval(_REFRESH_MS)
        self._follow_timer.timeout.connect(self._follow)
        self.runs: RunsWindow | None = None
        self._timer = QTimer(window)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        menu = QMenu("&Training", window)
        # Help is the last one everywhere.
        window.menuBar().insertMenu(window.menuBar().actions()[-1], menu)
        self.new_video = QAction("New &avatar from a video …", menu)
        self.new_personal = QAction("New &personal avatar …", menu)
        self.new = QAction("&New training …", menu)
        self.show_all = QAction("&Trainings …", menu)
        for action, run in (
            (self.new_video, self.new_from_video),
            (self.new_personal, self.new_of_people),
            (self.new, self.new_training),
            (self.show_all, self.show_runs),
        ):
            action.triggered.connect(lambda _=False, run=run: run())
            menu.addAction(action)
        self._connect()

    def new_training(self) -> None:
        """Ask what to train."""
        self._ask(self._show_dialog)

    def new_from_video(self, video: Path | None = None) -> None:
        """Ask for a video, or take this one, to make an avatar of."""
        self._dropped = video
        self._ask(self._show_video_dialog)

    def new_of_people(self) -> None:
        """Ask for a person, and other people whose attributes that person gets."""
        self._ask(self._show_personal_dialog)

    def show_runs(self) -> None:
        """Show the window of the runs."""
        if self.runs is None:
            self.runs = self._make_runs_window()
        self.runs.set_runs(self.training.runs.runs)
        self.runs.show()
        self.runs.raise_()
        self._timer.start()

    def refresh(self) -> None:
        """Look again at the runs that are shown."""
        shown = self.runs
        if shown is None or not shown.isVisible():
            self._timer.stop()
            return
        run, compared = shown.run, shown.compared()
        for other in [run, *compared] if run else []:
            other.events.read()
        if run and run.state().status is Status.FAILED:
            self.training.learn_words()
        shown.view.show_run(run, compared, self.training.settings)
        shown.show_states()
        follows = run is not None and self._follows(run)
        shown.show_following(follows, run is not None and run.makes_its_data and not follows)

    def _connect(self) -> None:
        training = self.training
        training.described.connect(lambda description: self._shows(description))
        training.checked.connect(self._show_report)
        training.started.connect(self._on_started)
        training.submitted.connect(self._on_submitted)
        training.failed.connect(self._on_failed)
        training.check_failed.connect(self._show_check_failure)
        training.exported.connect(self._open_avatar)

    def _show_report(self, report: dict[str, Any]) -> None:
        if self.dialog is not None:
            self.dialog.show_report(report)

    def _show_check_failure(self, text: str) -> None:
        if self.dialog is not None:
            self.dialog.show_check_failure(text)

    def _open_avatar(self, run: Run, path: Path) -> None:
        """Show a run's avatar on the head that the run is set to."""
        is_newer = self.follower.exported(run)
        head = run.config().get("head")
        if isinstance(head, str) and head:
            self._loader.add_head(Path(head))
        (self._loader.reload if is_newer else self._open)(str(path))

    def _follows(self, run: Run) -> bool:
        followed = self.follower.run
        return followed is not None and followed.folder == run.folder

    def _follow(self) -> None:
        self.follower.look()
        if self.follower.run is None:
            self._follow_timer.stop()

    def _set_followed(self, run: Run, is_followed: bool) -> None:
        if is_followed:
            self._say("The viewport follows this training, save by save.")
            self.follower.follow(run)
            self._follow_timer.start()
            self._follow()
        elif self._follows(run):
            self._say("")
            self.follower.stop()
        self.refresh()

    def _ask(self, shows: Callable[[Description], None]) -> None:
        """Let the trainer say what there is; of two dialogs one is there at a time."""
        if self.dialog is not None and self.dialog.isVisible():
            self.dialog.raise_()
            self.dialog.activateWindow()
            if self._dropped is not None and self._shows == self._show_video_dialog:
                cast("NewVideoDialog", self.dialog).set_video(self._dropped)
            return
        self._shows = shows
        self.training.describe()

    def _show_video_dialog(self, description: Description) -> None:
        from app.widgets.training.new_video_dialog import NewVideoDialog

        dialog = NewVideoDialog(description, home_folder() / "pegasus-runs", self._window)
        dialog.record_asked.connect(self._record)
        self._open_dialog(dialog)
        if self._dropped is not None:
            dialog.set_video(self._dropped)
        run_in_background(
            "camera",
            lambda: has_camera(self.camera_source),
            dialog.set_camera,
            lambda _: dialog.set_camera(False),
            self._dispatch,
        )

    def _record(self) -> None:
        from app.widgets.training.camera_dialog import CameraDialog
        from app.widgets.training.new_video_dialog import NewVideoDialog

        dialog = self.dialog
        assert isinstance(dialog, NewVideoDialog)
        out = data_folder() / "recordings" / f"recording-{time.strftime('%Y%m%d-%H%M%S')}.avi"
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            dialog.show_failure(f"{out.parent}: cannot be made ({error.strerror}).")
            return
        command = camera_command(self.camera_source, str(out), f"{RECORDING_S:g}")
        self.camera = CameraDialog(command, ROOT, out, dialog)
        self.camera.accepted.connect(lambda: dialog.set_video(out))
        self.camera.open()

    def _show_personal_dialog(self, description: Description) -> None:
        from app.widgets.training.new_personal_dialog import NewPersonalDialog

        folder = home_folder() / "pegasus-runs"
        head = self._loader.newest_head
        self._open_dialog(NewPersonalDialog(description, folder, self._window, head))

    def _show_dialog(self, description: Description) -> None:
        from app.widgets.training.new_training_dialog import NewTrainingDialog

        dialog = NewTrainingDialog(description, home_folder() / "pegasus-runs", self._window)
        dialog.submit_asked.connect(self.training.submit)
        self._open_dialog(dialog)

    def _open_dialog(self, dialog: TrainingDialog) -> None:
        self.dialog = dialog
        dialog.check_asked.connect(self.training.check)
        dialog.check_dropped.connect(self.training.drop_check)
        dialog.start_asked.connect(self.training.start)
        dialog.show()

    def _make_runs_window(self) -> RunsWindow:
        from app.widgets.training.runs_window import RunsWindow

        made = RunsWindow(self._window)
        made.new_asked.connect(self.new_training)
        made.video_asked.connect(self.new_from_video)
        made.personal_asked.connect(self.new_of_people)
        made.follow_asked.connect(self._set_followed)
        made.folder_chosen.connect(lambda path: self._attempt(lambda: self._add(path)))
        made.forget_asked.connect(self._forget)
        made.asked.connect(self._on_asked)
        made.shown_changed.connect(self.refresh)
        made.view.tabs.currentChanged.connect(self.refresh)
        made.view.log_axis.toggled.connect(self.refresh)
        made.view.smoothing.valueChanged.connect(self.refresh)
        return made

    def _on_asked(self, name: str, run: Run) -> None:
        words = {"pause": launch.pause, "stop": launch.stop, "kill": launch.stop_now}
        if name == "kill" and not self._may_kill(run):
            return
        if name in words:
            self._attempt(lambda: words[name](run))
        elif name == "resume":
            self.training.resume(run)
        else:
            self._say("Opening; this takes some seconds …")
            self.training.export(run)
        self.refresh()

    def _may_kill(self, run: Run) -> bool:
        text = f"End {run.name} without saving? Stop saves first."
        return QMessageBox.question(self.runs, "Stop now", text) == QMessageBox.StandardButton.Yes

    def _add(self, path: Path) -> None:
        run = self.training.runs.add(path)
        assert self.runs is not None
        self.runs.set_runs(self.training.runs.runs, run)

    def _forget(self, run: Run) -> None:
        self.training.runs.forget(run)
        assert self.runs is not None
        self.runs.set_runs(self.training.runs.runs)

    def _on_started(self, run: Run) -> None:
        if self.dialog is not None:
            self.dialog.accept()
        self.show_runs()
        assert self.runs is not None
        self.runs.set_runs(self.training.runs.runs, run)

    def _on_submitted(self, run: Run, number: str) -> None:
        self._on_started(run)
        self._say(f"SLURM has it as job {number}; its log is in {run.folder / 'slurm'}.")

    def _on_failed(self, text: str) -> None:
        self.follower.failed()
        self._say(text)
        if self.dialog is not None and self.dialog.isVisible():
            self.dialog.show_failure(text)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._say("")
        except (ValueError, FileNotFoundError) as error:
            self._say(str(error))

    def _say(self, text: str) -> None:
        if self.runs is not None:
            self.runs.show_message(text)
