"""Opening, saving and closing what the user works on, and the questions that come with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from app.controllers.avatar_loader import Retry
from app.controllers.editor import Editor
from app.controllers.recent_pictures import picture_file
from app.main_window import MainWindow
from app.state.app_dirs import home_folder
from app.state.controls import readable
from app.state.journal import Recovery
from app.state.project import (
    SUFFIX,
    AvatarNotFound,
    OtherAvatar,
    Project,
    project_name,
    with_suffix,
)
from app.widgets.message_dialog import MessageDialog
from app.widgets.question import Answer, Question, nothing
from app.widgets.recovery_dialog import RecoveryDialog
from app.widgets.start_screen import RecentFile
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import suggested_name

OPEN_FILTER = f"Avatars and projects (*.avatar *{SUFFIX});;All files (*)"
AVATAR_FILTER = "Avatars (*.avatar);;All files (*)"
PROJECT_FILTER = f"Projects (*{SUFFIX})"


class Projects:
    """Lives as long as the window. Nothing here waits: questions are asked, answers come later."""

    def __init__(self, window: MainWindow, editor: Editor) -> None:
        self._window, self._editor = window, editor
        self.question: Question | None = None
        """the one that is being asked"""
        self.recovery: RecoveryDialog | None = None
        document, loader = editor.document, editor.avatar_loader
        document.avatar_changed.connect(self.show_title)
        document.saved_changed.connect(self.show_title)
        loader.failed.connect(lambda *_: self.show_start())
        loader.avatar_wanted.connect(self._ask_avatar)
        loader.left_out.connect(self._tell_left_out)
        start = window.start_screen
        start.open_asked.connect(self.ask_open)
        start.demo_asked.connect(lambda: self.open("demo"))
        start.recent_chosen.connect(self.open)

    def open(self, source: str) -> None:
        """Open an avatar, a project or "demo"; asks first if something would be lost."""
        self.when_saved(partial(self._editor.avatar_loader.open, source))

    def ask_open(self) -> None:
        """Let the user choose an avatar or a project."""
        folder = self._editor.preferences.last_folder
        chosen, _ = QFileDialog.getOpenFileName(self._window, "Open", folder, OPEN_FILTER)
        if chosen:
            self.open(chosen)

    def close(self) -> None:
        """Close what is open, and show the start screen."""
        self.when_saved(self._close)

    def save(self, then: Callable[[], object] = lambda: None) -> None:
        """Write the project; one that has no file yet asks for it. ``then`` follows only then."""
        path = self._editor.document.project
        if path is None:
            self.save_as(then)
        else:
            self.save_to(path, then)

    def save_as(self, then: Callable[[], object] = lambda: None) -> None:
        """Ask where the project shall be, and write it."""
        document = self._editor.document
        if document.avatar is None:
            return
        folder = Path(self._editor.preferences.last_folder or home_folder())
        usual = document.project or folder / f"{suggested_name(document.avatar.name)}{SUFFIX}"
        chosen, _ = QFileDialog.getSaveFileName(
            self._window, "Save project", str(usual), PROJECT_FILTER
        )
        if not chosen:
            return
        path = with_suffix(Path(chosen))
        # The system's dialog has asked for the name that was typed, not for the one it becomes.
        if path != Path(chosen) and path.exists():
            text = f"{path.name} exists. Replace it?"
            self._ask(text, "", {"Replace": lambda: self.save_to(path, then), "Cancel": nothing})
        else:
            self.save_to(path, then)

    def save_to(self, path: Path, then: Callable[[], object] = lambda: None) -> None:
        """Write the project there; tells why where that is not possible."""
        try:
            self._editor.save(path)
        except (InvalidInput, OSError) as error:
            self._editor.activity.log(str(error), "error")
            MessageDialog("Save project", str(error), "", self._window).open()
            return
        then()

    def when_saved(self, then: Callable[[], object]) -> None:
        """Go on at once, or when the user has said what becomes of unsaved work."""
        if not self._editor.document.is_modified:
            then()
            return
        self._ask(
            f"{self.name} has changes that are not saved.",
            "They are lost unless you save them.",
            {"Save": lambda: self.save(then), "Discard": then, "Cancel": nothing},
        )

    @property
    def name(self) -> str:
        """What the open document is called."""
        document = self._editor.document
        if document.project is not None:
            return project_name(document.project)
        return readable(document.avatar.name) if document.avatar is not None else ""

    def show_title(self) -> None:
        """The window's title: what is open, and whether it is saved."""
        title = f"{self.name}[*] – PEGASUS editor" if self.name else "PEGASUS editor"
        if title != self._window.windowTitle():
            self._window.setWindowTitle(title)
        self._window.setWindowModified(self._editor.document.is_modified)

    def show_start(self) -> None:
        """Show the start screen, if nothing is open nor about to be."""
        is_empty = (
            self._editor.document.avatar is None and not self._editor.avatar_loader.num_opening
        )
        if is_empty:
            self._window.start_screen.set_recent(self.recent_files())
            self._window.show_start_screen()

    def recent_files(self) -> list[RecentFile]:
        """What was open lately and is still there."""
        paths = [Path(text) for text in self._editor.preferences.recent]
        return [
            RecentFile(str(path), project_name(path), str(picture_file(path)))
            for path in paths
            if path.is_file()
        ]

    def offer(self, recoveries: Sequence[Recovery]) -> None:
        """Ask what becomes of work that an editor left when it was ended."""
        if recoveries:
            dialog = self.recovery = RecoveryDialog(recoveries, self._window)
            dialog.restore_asked.connect(self._restore)
            dialog.discard_asked.connect(lambda recovery: recovery.discard())
            dialog.open()

    def _restore(self, recovery: Recovery) -> None:
        if not recovery.claim():
            text = f"{recovery.title} was restored by another editor meanwhile."
            MessageDialog("Restore", text, "", self._window).open()
            return
        self.when_saved(lambda: self._editor.avatar_loader.recover(recovery))

    def _close(self) -> None:
        self._editor.keep_thumbnail()
        self._editor.document.close()
        self.show_start()

    def _tell_left_out(self, project: Project, missing: list[str]) -> None:
        text = (
            f"{project.path.name}: this avatar has no {', '.join(missing[:6])}"
            f"{' …' if len(missing) > 6 else ''}. That was left out, and is kept in the project."
        )
        MessageDialog("Open project", text, "\n".join(missing), self._window).open()

    def _ask_avatar(self, error: AvatarNotFound | OtherAvatar, retry: Retry) -> None:
        project, name = error.project, error.project.path.name
        locate = partial(self._locate, project, retry)
        if isinstance(error, AvatarNotFound):
            places = "\n".join(str(place) for place in project.avatar.places(project.path))
            self._ask(
                f"The avatar {project.avatar.name} of {name} was not found.",
                f"It was looked for here:\n{places}",
                {"Locate …": locate, "Cancel": nothing},
            )
        else:
            self._ask(
                f"{error.found.name} is not the avatar that {name} was made with.",
                "It was trained again, or is another one. What it does not have is left out.",
                {"Open with it": partial(retry, error.found), "Locate …": locate}
                | {"Cancel": nothing},
            )

    def _locate(self, project: Project, retry: Retry) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self._window, f"Locate {project.avatar.name}", str(project.path.parent), AVATAR_FILTER
        )
        if chosen:
            self.take_avatar(project, Path(chosen), retry)

    def take_avatar(self, project: Project, found: Path, retry: Retry) -> None:
        """The user says that this file is a project's avatar; asks if it is another one."""
        from pegasus_runtime.assets import file_sha256

        try:
            is_same = not project.avatar.sha256 or file_sha256(found) == project.avatar.sha256
        except OSError as error:
            MessageDialog("Locate", f"{found}: {error.strerror}.", "", self._window).open()
            return
        if is_same:
            retry(found)
        else:
            self._ask_avatar(OtherAvatar(project, found), retry)

    def _ask(self, text: str, more: str, answers: dict[str, Answer]) -> None:
        if self.question is not None:
            self.question.close()
        question = self.question = Question(text, more, answers, self._window)
        question.destroyed.connect(lambda: self._forget(question))
        question.open()

    def _forget(self, question: Question) -> None:
        if self.question is question:
            self.question = None
