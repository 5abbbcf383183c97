"""The Avatar menu: what is made of the avatar that is open, by commands of the trainer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import QFileDialog, QMenu, QMessageBox

from app.controllers.dispatch import Dispatch
from app.controllers.editor import Editor
from app.controllers.trainer_jobs import TrainerJobs
from app.main_window import MainWindow
from app.projects import Projects
from app.runs.event_reader import Preparation
from app.state.app_dirs import home_folder
from app.state.controls import attribute_title, readable
from app.state.jobs import Job
from app.state.project import is_demo
from app.widgets.activity_panel import remaining_text
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.parameters import AttributeBlend

if TYPE_CHECKING:
    from app.widgets.evaluation_dialog import Evaluation, EvaluationDialog
    from app.widgets.transfer_dialog import OfferedAttribute, Transfer, TransferDialog

REPORT_PAGE = "index.html"
"""of the folder of a report"""


class AvatarMenu:
    """Lives as long as the window; its dialogs are made when they are asked for."""

    def __init__(
        self, window: MainWindow, editor: Editor, projects: Projects, dispatch: Dispatch
    ) -> None:
        self._window, self._editor, self._projects = window, editor, projects
        self.jobs = TrainerJobs(editor.activity, dispatch)
        self.show_page: Callable[[Path], object] = _show_page
        self.transfer: TransferDialog | None = None
        self.evaluation: EvaluationDialog | None = None
        self.choose_avatar: Callable[[], str] = self._ask_avatar
        self._to_evaluate = Path()
        self._asked: tuple[Job, Transfer] | None = None
        self._evaluated: tuple[Job, Evaluation] | None = None
        self._worn_when_open: tuple[Path, tuple[str, ...]] | None = None
        menu = QMenu("&Avatar", window)
        # Help is the last one everywhere.
        window.menuBar().insertMenu(window.menuBar().actions()[-1], menu)
        self.give = QAction("&Give what is worn to …", menu)
        self.evaluate = QAction("&Evaluate …", menu)
        for action, run in ((self.give, self.ask_transfer), (self.evaluate, self.ask_evaluation)):
            action.triggered.connect(lambda _=False, run=run: run())
            menu.addAction(action)
        self._connect()
        self._show_what_can_be_done()

    def ask_transfer(self, name: str = "") -> None:
        """Ask to whom an attribute goes; without a name all that is worn."""
        from app.widgets.transfer_dialog import TransferDialog

        avatar = self._editor.document.avatar
        if avatar is None or avatar.path is None or _is_shown(self.transfer):
            return
        if self.transfer is not None and self.transfer.is_running:
            self.transfer.show()
            return
        own = avatar.path.resolve()
        recent = [
            file
            for file in self._projects.recent_files()
            if file.path.lower().endswith(".avatar") and Path(file.path).resolve() != own
        ]
        dialog = TransferDialog(avatar.path, self._offered(name), recent, self._window)
        dialog.transfer_asked.connect(self._start_transfer)
        dialog.cancel_asked.connect(self._cancel_transfer)
        dialog.open_asked.connect(self._open_given)
        self.transfer, self._asked = dialog, None
        dialog.show()

    def ask_evaluation(self) -> None:
        """Ask with which frames the avatar is compared."""
        from app.widgets.evaluation_dialog import EvaluationDialog

        if _is_shown(self.evaluation):
            return
        if self.evaluation is not None and self.evaluation.is_running:
            self.evaluation.show()
            return
        avatar = self._editor.document.avatar
        chosen = str(avatar.path) if avatar and avatar.path else self.choose_avatar()
        if not chosen:
            return
        path = self._to_evaluate = Path(chosen)
        folder, name = path.absolute().parent, path.stem
        if is_demo(path):
            # Nothing is written beside the program.
            folder = Path(self._editor.preferences.last_folder or home_folder())
        dialog = EvaluationDialog(name, folder / f"{name}-report", self._window)
        dialog.evaluation_asked.connect(self._start_evaluation)
        dialog.cancel_asked.connect(self._cancel_evaluation)
        dialog.open_asked.connect(self._show_report)
        self.evaluation, self._evaluated = dialog, None
        dialog.show()

    def _connect(self) -> None:
        document, jobs = self._editor.document, self.jobs
        document.avatar_changed.connect(self._show_what_can_be_done)
        document.face_changed.connect(self._show_what_can_be_done)
        self._editor.avatar_loader.opened.connect(self._wear_given)
        self._window.attributes.give_asked.connect(self.ask_transfer)
        self._window.activity.cancel_asked.connect(jobs.cancel)
        jobs.advanced.connect(self._show_progress)
        jobs.finished.connect(self._show_finished)
        jobs.cancelled.connect(lambda job: self._show_ended(job, "Cancelled."))
        jobs.failed.connect(lambda job, error: self._show_ended(job, str(error), True))

    def _show_what_can_be_done(self) -> None:
        document = self._editor.document
        has_file = document.avatar is not None and document.avatar.path is not None
        self.give.setEnabled(has_file and bool(document.face.attributes))

    def _offered(self, name: str) -> list[OfferedAttribute]:
        """What is worn, and the one that was pointed at; with a name that one alone is ticked."""
        from app.widgets.transfer_dialog import OfferedAttribute

        worn = [wear.name for wear in self._editor.document.face.attributes.values()]
        names = list(dict.fromkeys([name, *worn] if name else worn))
        shown = self._window.attributes
        return [
            OfferedAttribute(each, readable(each), shown.thumbnail(each), not name or each == name)
            for each in names
        ]

    def _start_transfer(self, asked: Transfer) -> None:
        dialog, avatar = self.transfer, self._editor.document.avatar
        assert dialog is not None
        if avatar is None or avatar.path is None:
            dialog.show_ended("The avatar was closed meanwhile; open it again.", True)
            return
        if asked.out.exists() and not _may_replace(dialog, asked.out):
            return
        words = ["--avatar", str(avatar.path), "--target", str(asked.target)]
        words += [word for name in asked.attributes for word in ("--attribute", name)]
        words += ["--out", str(asked.out)]
        words += [*self._head_words("--head", avatar.path)]
        words += [*self._head_words("--target-head", asked.target)]
        words += ["--replace"] if asked.replaces or asked.out.exists() else []
        dialog.show_started()
        title = f"Give {', '.join(map(attribute_title, asked.attributes))} to {asked.target.stem}"
        self._asked = self.jobs.start(title, "transfer", words), asked

    def _cancel_transfer(self) -> None:
        if self._asked is not None:
            self.jobs.cancel(self._asked[0])

    def _open_given(self) -> None:
        assert self._asked is not None and self.transfer is not None
        asked = self._asked[1]
        self._worn_when_open = asked.out.absolute(), asked.attributes
        self.transfer.accept()
        self._projects.open(str(asked.out))

    def _wear_given(self) -> None:
        wanted, document = self._worn_when_open, self._editor.document
        self._worn_when_open, avatar = None, document.avatar
        if wanted is None or avatar is None or avatar.path is None:
            return
        if avatar.path.absolute() != wanted[0]:
            return
        for category in avatar.categories:
            for name in avatar.attributes_of(category):
                if name in wanted[1]:
                    label = f"{readable(category)}: {attribute_title(name)}"
                    document.wear(category, AttributeBlend(name), label)
                    document.end_gesture()

    def _start_evaluation(self, asked: Evaluation) -> None:
        from app.widgets.evaluation_dialog import FRAMES

        dialog, avatar = self.evaluation, self._to_evaluate
        assert dialog is not None
        words = ["--avatar", str(avatar), "--data", str(asked.data)]
        words += self._head_words("--head", avatar)
        words += ["--out", str(asked.report), *FRAMES[asked.frames][1]]
        dialog.show_started()
        title = f"Evaluate {avatar.stem}"
        self._evaluated = self.jobs.start(title, "evaluate", words), asked

    def _head_words(self, option: str, avatar: Path) -> list[str]:
        """The head of an avatar, if this editor was given its file; the trainer knows others."""
        from pegasus_runtime.avatar_file import read_header

        head = None
        # What is wrong with the file is told by the trainer.
        with suppress(InvalidInput, OSError, LookupError, TypeError):
            head = self._editor.avatar_loader.head_file(read_header(avatar)["head"]["sha256"])
        return [option, str(head)] if head else []

    def _ask_avatar(self) -> str:
        folder = self._editor.preferences.last_folder or str(home_folder())
        title, kinds = "Evaluate an avatar", "Avatars (*.avatar)"
        return QFileDialog.getOpenFileName(self._window, title, folder, kinds)[0]

    def _cancel_evaluation(self) -> None:
        if self._evaluated is not None:
            self.jobs.cancel(self._evaluated[0])

    def _show_report(self) -> None:
        if self._evaluated is not None:
            self.show_page(self._evaluated[1].report.absolute() / REPORT_PAGE)

    def _show_progress(self, job: Job, progress: Preparation) -> None:
        left = remaining_text(progress.seconds_left)
        dialog = self._dialog_of(job)
        if dialog is not None:
            dialog.show_share(progress.share, " · ".join(filter(None, (progress.words, left))))

    def _show_finished(self, job: Job) -> None:
        if self._asked is not None and job is self._asked[0]:
            assert self.transfer is not None
            self.transfer.show_given(self._asked[1].out)
        elif self._evaluated is not None and job is self._evaluated[0]:
            assert self.evaluation is not None
            self.evaluation.show_reported()
            self._show_report()

    def _show_ended(self, job: Job, text: str, is_problem: bool = False) -> None:
        dialog = self._dialog_of(job)
        if dialog is None:
            return
        if not is_problem and dialog is self.evaluation:
            text = "Cancelled. What is done is kept: Evaluate goes on from there."
        if dialog is self.transfer:
            text = text.replace("--replace", f"“{dialog.replaces.text()}”")
        dialog.show_ended(text, is_problem)
        if is_problem and not dialog.isVisible():
            dialog.show()

    def _dialog_of(self, job: Job) -> TransferDialog | EvaluationDialog | None:
        if self._asked is not None and job is self._asked[0]:
            return self.transfer
        if self._evaluated is not None and job is self._evaluated[0]:
            return self.evaluation
        return None


def _is_shown(dialog: TransferDialog | EvaluationDialog | None) -> bool:
    if dialog is None or not dialog.isVisible():
        return False
    dialog.raise_()
    dialog.activateWindow()
    return True


def _may_replace(dialog: TransferDialog, out: Path) -> bool:
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    # Enter, pressed once too often, keeps the old one.
    text = f"{out.name} exists. Replace it?"
    return QMessageBox.question(dialog, dialog.windowTitle(), text, yes | no, no) == yes


def _show_page(page: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
