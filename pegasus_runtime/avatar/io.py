"""Opening an avatar by path or by name."""

from __future__ import annotations

import os
from importlib.resources import as_file, files

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.avatar.file import read_avatar
from pegasus_runtime.head import Head, load_head

DEMO = "demo"


def load_avatar(
    source: str | os.PathLike[str], head: Head | str | os.PathLike[str] | None = None
) -> Avatar:
    """Open an avatar.

    Args:
        source: path of an .avatar file, or "demo" for the one that comes with the program.
        head: a head, or its file, to use instead of looking the avatar's own up by checksum.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: the file is damaged, newer than the program, not an avatar, or its head is
            missing.
    """
    loaded = head if head is None or isinstance(head, Head) else load_head(head)
    if str(source) == DEMO:
        with as_file(files("resources") / "demo.avatar") as path:
            return read_avatar(path, loaded)
    return read_avatar(source, loaded)
