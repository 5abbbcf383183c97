"""What Qt would abort on, found before it does, and said in one line."""

from __future__ import annotations

import ctypes
import glob
import os
import subprocess
import sys
import threading
from pathlib import Path

from PySide6.QtCore import QLibraryInfo, QObject, qVersion
from PySide6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
from PySide6.QtWidgets import QMessageBox

from pegasus_runtime.errors import InvalidInput, quoted

_MIN_VERSION = (3, 3)
_SCREENS = ("xcb", "wayland", "windows", "cocoa")
_PATIENCE_S = 10.0
"""Less takes a slow driver for none, more lets a hung one hold the start up."""
_CHILD = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from PySide6.QtGui import QGuiApplication
application = QGuiApplication([])
shows_opengl = application.platformName() not in ("offscreen", "minimal", "vnc", "linuxfb")
raise SystemExit(application.primaryScreen() is None or not shows_opengl)
"""


def _instead(avatar: str) -> str:
    return f"without a window use: python main.py render {avatar} --out picture.png"


def check_platform(avatar: str = "demo") -> None:
    """Whether a window can be opened on this machine.

    Raises:
        InvalidInput: no display, or a library of the system that windows need is missing, or the
            PySide6 installed would end the program in the middle of somebody's work.
    """
    if loses_references():
        raise InvalidInput(
            f"PySide6 {qVersion()} would abort the editor after a while with this Python (it loses "
            "references to None); run: pip install 'PySide6-Essentials<6.12', or use Python 3.12; "
            f"{_instead(avatar)}"
        )
    chosen = os.environ.get("QT_QPA_PLATFORM")
    problem = _chosen_problem(chosen) if chosen else _linux_problem()
    if problem:
        raise InvalidInput(f"{problem}; {_instead(avatar)}")


def _chosen_problem(chosen: str) -> str | None:
    """Why the platform that the environment asks for does not start."""
    if sys.platform.startswith("linux"):
        starts = _qt_starts()
    else:
        plugins = _platform_plugins()
        starts = any(plugins.glob(f"*q{glob.escape(chosen.partition(':')[0])}.*"))
    return None if starts else f"no window opens with QT_QPA_PLATFORM={quoted(chosen)}, unset it"


def _linux_problem() -> str | None:
    """Why neither X11 nor Wayland is to be had. Where one fails, Qt takes the other."""
    if not sys.platform.startswith("linux"):
        return None
    problem = _x11_problem()
    wayland = os.environ.get("WAYLAND_DISPLAY")
    if problem is None or not wayland or _qt_starts():
        return None if wayland else problem
    unreachable = f"the Wayland display {quoted(wayland)} cannot be reached"
    return f"{unreachable}, and {problem}" if os.environ.get("DISPLAY") else unreachable


def _qt_starts() -> bool:
    """Whether Qt finds a screen. Where it does not it aborts: a child is sent ahead."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return child.returncode == 0


def _x11_problem() -> str | None:
    """Why Qt cannot use the display that the environment names."""
    missing = _missing_library()
    if missing:
        return (
            f"windows need the system library {missing} (on Debian and Ubuntu: apt install "
            "libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libegl1 libgl1)"
        )
    name = os.environ.get("DISPLAY")
    if not name:
        return "there is no display"
    return None if _can_connect(name) else f"the display {quoted(name)} cannot be reached"


def loses_references() -> bool:
    """Whether a call into Qt that gives None takes one reference to it away (PySide6 6.12.0).

    From Python 3.12 on None has no count that could run out.
    """
    if sys.version_info >= (3, 12):
        return False
    thing, calls = QObject(), 100
    before = sys.getrefcount(None)
    for _ in range(calls):
        thing.setObjectName("")
    return sys.getrefcount(None) <= before - calls // 2


def _platform_plugins() -> Path:
    return Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath)) / "platforms"


def _missing_library() -> str | None:
    plugin = _platform_plugins() / "libqxcb.so"
    if not plugin.is_file():
        return None
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        return str(error).partition(":")[0]
    return None


def _can_connect(display: str) -> bool:
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    answers: list[bool] = []

    def connect() -> None:
        connection = ctypes.c_void_p(xcb.xcb_connect(os.fsencode(display), None))
        answers.append(not xcb.xcb_connection_has_error(connection))
        xcb.xcb_disconnect(connection)

    # A computer that is switched off does not even refuse.
    asking = threading.Thread(target=connect, daemon=True)
    asking.start()
    asking.join(_PATIENCE_S)
    return answers == [True]


def check_opengl(avatar: str = "demo", ask: bool = True) -> None:
    """Whether the viewport can draw.

    Args:
        avatar: what was to be opened, for the message.
        ask: also show a dialog, for whoever started the editor without a terminal.

    Raises:
        InvalidInput: there is no OpenGL 3.3.
    """
    context = QOpenGLContext()
    surface = QOffscreenSurface()
    surface.create()
    found = (0, 0)
    if context.create() and context.makeCurrent(surface):
        found = (context.format().majorVersion(), context.format().minorVersion())
        context.doneCurrent()
    if found >= _MIN_VERSION:
        return
    version = f"{found[0]}.{found[1]}" if found[0] else "none that starts"
    text = (
        f"the editor needs OpenGL 3.3, and this computer has {version}; update the graphics driver "
        f"(python main.py doctor tells more), or {_instead(avatar)}"
    )
    # Only where somebody sees it, who has to close it.
    if ask and QGuiApplication.platformName() in _SCREENS:
        QMessageBox.critical(None, "PEGASUS editor", text[0].upper() + text[1:])
    raise InvalidInput(text)
