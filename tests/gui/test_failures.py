"""What a user sees when the unexpected happens: a defect of ours, or a computer without OpenGL."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton

from app import platform_checks
from app.application import install_exception_hooks
from app.platform_checks import loses_references
from app.widgets.message_dialog import MessageDialog
from pegasus_runtime.errors import InvalidInput

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture()
def hooked(window, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A window that reports what no one caught, as the editor's own does."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    install_exception_hooks(window)
    yield window


def _dialog(window) -> MessageDialog | None:
    return next((d for d in window.findChildren(MessageDialog) if d.isVisible()), None)


@pytest.mark.qt_no_exception_capture
def test_a_defect_is_shown_with_details_and_the_editor_goes_on(qtbot, hooked, capsys) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a defect")

    document = hooked.editor.document
    document.set_expression({0: 0.7}, "Expression")
    face = document.face
    QTimer.singleShot(0, fail)
    qtbot.waitUntil(lambda: _dialog(hooked) is not None)
    dialog = _dialog(hooked)
    assert "Your work is kept" in dialog.text
    copy = next(b for b in dialog.findChildren(QPushButton) if b.text() == "Copy details")
    copy.click()
    copied = QGuiApplication.clipboard().text()
    assert "ZeroDivisionError: a defect" in copied and "in fail" in copied
    assert "ZeroDivisionError" in capsys.readouterr().err
    dialog.close()
    assert document.face == face
    document.undo()
    qtbot.waitUntil(lambda: hooked.editor.live.is_settled)


@pytest.mark.qt_no_exception_capture
def test_a_defect_that_comes_with_every_picture_is_told_once(qtbot, hooked, capsys) -> None:
    def fail(number: int) -> None:
        raise ZeroDivisionError(f"again {number}")

    def fail_elsewhere() -> None:
        raise KeyError("another")

    for number in range(30):
        QTimer.singleShot(0, lambda n=number: fail(n))
    QTimer.singleShot(10, fail_elsewhere)
    lines = hooked.editor.activity.lines
    qtbot.waitUntil(lambda: any("another" in text for _, text in lines))
    dialogs = [d for d in hooked.findChildren(MessageDialog) if d.isVisible()]
    assert len(dialogs) == 1 and sum("again" in text for _, text in lines) == 1
    assert capsys.readouterr().err.count("Traceback") == 2
    dialogs[0].close()


@pytest.mark.qt_no_exception_capture
def test_a_defect_on_a_thread_is_shown_too(qtbot, hooked, capsys) -> None:
    thread = threading.Thread(target=lambda: [].pop())
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: _dialog(hooked) is not None)
    assert "pop from empty list" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Mesa takes such orders")
def test_without_opengl_3_3_one_line_says_what_to_do(qapp, tmp_path: Path) -> None:
    picture = tmp_path / "window.png"
    command = [sys.executable, str(ROOT / "main.py"), "demo", "--screenshot", str(picture)]
    old = {**os.environ, "MESA_GL_VERSION_OVERRIDE": "2.1", "LIBGL_ALWAYS_SOFTWARE": "1"}
    done = subprocess.run(
        command, env=old, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2 and not picture.exists()
    assert done.stderr.count("\n") == 1 and "needs OpenGL 3.3" in done.stderr
    assert "python main.py render demo" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have one screen")
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"QT_QPA_PLATFORM": "nope"}, "QT_QPA_PLATFORM='nope'"),
        ({"QT_QPA_PLATFORM": "offscreen"}, "QT_QPA_PLATFORM='offscreen'"),
        ({"QT_QPA_PLATFORM": "xcb", "DISPLAY": ":3987"}, "QT_QPA_PLATFORM='xcb'"),
        ({"WAYLAND_DISPLAY": "wayland-9", "DISPLAY": ""}, "the Wayland display 'wayland-9'"),
        ({"WAYLAND_DISPLAY": "wayland-9", "DISPLAY": ":3987"}, "the display ':3987'"),
        ({"DISPLAY": "garbage"}, "the display 'garbage' cannot be reached"),
        ({"DISPLAY": ""}, "no display"),
    ],
)
def test_without_a_screen_one_line_says_so(environment: dict[str, str], said: str) -> None:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    rest = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), "demo"],
        env={**rest, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert said in done.stderr and "python main.py render demo" in done.stderr


def test_the_installed_qt_takes_nothing_away_from_python() -> None:
    assert not loses_references()


def test_a_qt_that_would_abort_the_editor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_checks, "loses_references", lambda: True)
    with pytest.raises(InvalidInput, match="pip install 'PySide6-Essentials<6.12'"):
        platform_checks.check_platform()
