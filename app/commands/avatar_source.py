"""What AVATAR on a command line stands for: an avatar, or a project and what is chosen in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.state.document import Snapshot
    from app.state.project import Project
    from pegasus_runtime import Avatar

AVATAR_HELP = "path of an .avatar file or of a project, NAME.pegasus.yaml, or demo"


def read_source(source: str) -> Project | None:
    """The project that ``source`` names; None where it is an avatar.

    Raises:
        FileNotFoundError: there is no such project.
        InvalidInput: it cannot be read.
    """
    from app.state.project import is_project, read_project

    return read_project(source) if is_project(source) else None


def avatar_of(source: str, project: Project | None) -> str:
    """What to load: ``source`` itself, or the project's avatar; says so when it is another one.

    Raises:
        FileNotFoundError: the project's avatar is nowhere.
    """
    if project is None:
        return source
    from app.state.project import OtherAvatar, find_avatar

    try:
        return find_avatar(project)
    except OtherAvatar as other:
        _note(str(other))
        return str(other.found)


def load_source(
    source: str, project: Project | None, head: str | None
) -> tuple[Avatar, Snapshot | None]:
    """The avatar, and what the project has chosen about it; tells what had to be left out.

    Raises:
        FileNotFoundError: there is no such avatar or head.
        InvalidInput: the avatar, its head or the project cannot be used.
    """
    from app.state.display import Display
    from pegasus_runtime import load_avatar

    avatar = load_avatar(avatar_of(source, project), head=head)
    if project is None:
        return avatar, None
    kept, reading = project.snapshot(avatar, Display())
    if reading.missing:
        _note(f"{project.path}: {avatar.name} has no {', '.join(reading.missing)}; left out.")
    return avatar, kept


def _note(text: str) -> None:
    print(f"pegasus-editor: note: {' '.join(text.split())}", file=sys.stderr)
