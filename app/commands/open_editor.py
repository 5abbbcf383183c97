"""The editor itself: what happens without a command."""

from __future__ import annotations

import argparse
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from app.commands.avatar_source import AVATAR_HELP
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.export.image import check_image_path


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "edit", help="open the editor (also without a command)", description="Open the editor."
    )
    parser.add_argument(
        "avatar", nargs="?", default="demo", metavar="AVATAR", help=f"{AVATAR_HELP} (demo)"
    )
    parser.add_argument(
        "--screenshot", metavar="OUT.png", help="save a picture of the window and quit"
    )
    parser.add_argument(
        "--head", metavar="FILE", help="the avatar's head, when it is not in the asset folder"
    )
    parser.set_defaults(run=open_editor)


def open_editor(options: argparse.Namespace) -> int:
    """Open the window; returns when it is closed."""
    require_display(options.avatar)
    if options.avatar != "demo" and not Path(options.avatar).exists():
        raise FileNotFoundError(f"{options.avatar}: no such avatar or project file.")
    if options.screenshot is not None:
        check_image_path(options.screenshot)
    try:
        # Before Qt for Python, which reads the source of every module that comes after it.
        import_module("pegasus_runtime.warmup").load()
        from app.application import open_editor as open_window
    except ImportError as error:
        library = re.search(r"\.so\b|\.dylib\b|DLL load failed", str(error))
        if library or "PySide6" in str(error.name or ""):
            raise InvalidInput(
                f"windows cannot be opened here ({error}); install that library, or use: "
                f"python main.py render {options.avatar} --out picture.png"
            ) from error
        raise
    screenshot = Path(options.screenshot) if options.screenshot is not None else None
    head = Path(options.head) if options.head else None
    return open_window(options.avatar, screenshot=screenshot, head=head)


def require_display(avatar: str = "demo") -> None:
    """Stop before Qt is loaded, which on a machine without a screen may lack its libraries.

    Raises:
        InvalidInput: there is no display; the message names the command that needs none.
    """
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(s) for s in screens):
        raise InvalidInput(
            "no display to open a window on; without one use: "
            f"python main.py render {avatar} --out picture.png"
        )
