"""Starting the editor: what must be there, what must be set before Qt starts, and the way out."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QSurfaceFormat
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

from app.gui_thread import GuiThreadGC
from app.state.preferences import Preferences
from pegasus_runtime.errors import InvalidInput, one_line

if TYPE_CHECKING:
    from app.editor_window import EditorWindow
    from app.widgets.message_dialog import MessageDialog

_EXIT_SIGNAL = 128
"""and its number: what a shell makes of a program that a signal has ended"""


def open_editor(
    avatar: str = "demo", screenshot: Path | None = None, head: Path | None = None
) -> int:
    """Open the window; returns when it is closed.

    Args:
        avatar: a path, or "demo".
        screenshot: take a picture of the window when the first full frame is there, and quit.
        head: the head of the avatar, when it is not in the asset folder.

    Raises:
        InvalidInput: there is no display or no OpenGL.
    """
    from app.platform_checks import check_opengl, check_platform

    check_platform(avatar)
    from app.controllers.avatar_loader import Preloader, avatar_source, loader_with_head

    early = avatar_source(avatar)
    loader = loader_with_head(head)
    if early is not None:
        loader = Preloader(loader, early)
    application = make_application()
    check_opengl(avatar, ask=screenshot is None)
    from app.editor_window import EditorWindow

    window = EditorWindow(Preferences.load(), loader=loader)
    if head is not None:
        window.editor.avatar_loader.add_head(head)
    install_exception_hooks(window)
    window.show()
    window.editor.avatar_loader.open(avatar)
    if screenshot is None:
        if not window.offer_recovery() and avatar == "demo" and head is None:
            window.greet()
        ended_by = close_on_signals(window)
        status = application.exec()
        return _EXIT_SIGNAL + ended_by[0] if ended_by else status
    from app.screenshot import Screenshot

    taken = Screenshot(window, screenshot)
    application.exec()
    if taken.error is not None:
        raise taken.error
    return 0


def make_application() -> QApplication:
    """The one QApplication, with what must be set before it."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    QSurfaceFormat.setDefaultFormat(surface_format())
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(
        Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
    )
    application = QApplication(sys.argv[:1])
    application.setApplicationName("pegasus-editor")
    application.setApplicationDisplayName("PEGASUS editor")
    application.setOrganizationName("pegasus")
    GuiThreadGC(application)
    return application


def surface_format() -> QSurfaceFormat:
    """What the viewport needs: OpenGL 3.3 core, with no depth or stencil buffer."""
    wanted = QSurfaceFormat()
    wanted.setVersion(3, 3)
    wanted.setProfile(QSurfaceFormat.OpenGLContextProfile.CoreProfile)
    wanted.setDepthBufferSize(0)
    wanted.setStencilBufferSize(0)
    return wanted


def close_on_signals(window: EditorWindow) -> list[int]:
    """Let SIGTERM and SIGHUP close the window without a question, with unsaved work kept.

    Returns:
        the signals that have come, as they come.
    """
    came: list[int] = []

    def end() -> None:
        window.close_unasked()
        QApplication.quit()

    def note(number: int, _: object) -> None:
        # Only noted here: Python may be in the middle of anything.
        came.append(number)
        window.dispatch(end)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Under nohup it stays ignored.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, note)
    return came


def install_exception_hooks(window: object) -> None:
    """Show what no one caught, on any thread, in a dialog of an `EditorWindow`, and go on.

    A fault that comes again, as one in drawing does with every picture, is told once; while a
    message is open, others are only logged.
    """
    from app.editor_window import EditorWindow

    assert isinstance(window, EditorWindow)
    told: set[tuple[object, ...]] = set()
    shown: list[MessageDialog] = []

    def show(error: BaseException) -> None:
        window.editor.activity.log(one_line(f"{type(error).__name__}: {error}"), "error")
        if any(isValid(dialog) and dialog.isVisible() for dialog in shown):
            return
        details = "".join(traceback.format_exception(error))
        known = isinstance(error, InvalidInput)
        text = str(error) if known else "Something went wrong that should not. Your work is kept."
        shown[:] = [window.binding.show_message("PEGASUS editor", text, "" if known else details)]

    def hook(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            window.close()
            return
        fault = _fault(error)
        if fault in told:
            return
        told.add(fault)
        # Without a terminal there may be nothing to write to.
        with suppress(OSError, AttributeError, ValueError):
            traceback.print_exception(error)
        window.dispatch(lambda: show(error))

    sys.excepthook = hook
    threading.excepthook = lambda args: hook(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


def _fault(error: BaseException) -> tuple[object, ...]:
    """What two errors share that are the same fault: their kind, and where they were raised."""
    if isinstance(error, InvalidInput):
        return type(error), str(error)
    place = traceback.extract_tb(error.__traceback__)[-1:]
    return type(error), *((frame.filename, frame.lineno) for frame in place)
