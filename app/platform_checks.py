"""What Qt would abort on, found before it does, and said in one line."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from PySide6.QtCore import QObject, qVersion
from PySide6.QtGui import QOffscreenSurface, QOpenGLContext
from PySide6.QtWidgets import QMessageBox

from pegasus_runtime.errors import Refused

_MIN_VERSION = (3, 3)


def _instead(avatar: str) -> str:
    return f"without a window use: python main.py render {avatar} --out picture.png"


def check_platform(avatar: str = "demo") -> None:
    """Whether a window can be opened on this machine.

    Raises:
        Refused: no display, or a library of the system that windows need is missing, or the
            PySide6 installed would end the program in the middle of somebody's work.
    """
    if loses_references():
        raise Refused(
            f"PySide6 {qVersion()} would abort the editor after a while with this Python (it loses "
            "references to None); run: pip install 'PySide6-Essentials<6.12', or use Python 3.12; "
            f"{_instead(avatar)}"
        )
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return
    if os.environ.get("WAYLAND_DISPLAY"):
        return
    _check_plugin(avatar)
    name = os.environ.get("DISPLAY")
    if not name or not _can_connect(name):
        shown = f"the display {name} cannot be reached" if name else "there is no display"
        raise Refused(f"{shown}; {_instead(avatar)}")


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


def _check_plugin(avatar: str) -> None:
    import PySide6

    plugin = Path(PySide6.__file__).parent / "Qt" / "plugins" / "platforms" / "libqxcb.so"
    if not plugin.is_file():
        return
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        missing = str(error).partition(":")[0]
        raise Refused(
            f"windows need the system library {missing} (on Debian and Ubuntu: apt install "
            f"libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libegl1 libgl1); {_instead(avatar)}"
        ) from None


def _can_connect(display: str) -> bool:
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
    failed = bool(xcb.xcb_connection_has_error(connection))
    xcb.xcb_disconnect(connection)
    return not failed


def check_opengl(avatar: str = "demo", ask: bool = True) -> None:
    """Whether the viewport can draw.

    Args:
        avatar: what was to be opened, for the message.
        ask: also show a dialog, for whoever started the editor without a terminal.

    Raises:
        Refused: there is no OpenGL 3.3.
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
    if ask:
        QMessageBox.critical(None, "PEGASUS editor", text[0].upper() + text[1:])
    raise Refused(text)
