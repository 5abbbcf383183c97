"""Projects: what a user has made, in a file that people can read, NAME.pegasus.yaml.

The avatar is named by its path, relative to the project and absolute, and by the sha256 of its
bytes; it is not copied. Everything else goes by name (see `records`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.state.display import Display
from app.state.document import Snapshot
from app.state.export_settings import ExportSettings, export_record, read_export
from app.state.records import (
    FaceReading,
    Vocabulary,
    display_record,
    face_record,
    read_display,
    read_face,
    read_keys,
    read_view,
    view_record,
)
from app.state.view import View
from pegasus_runtime.assets import file_sha256
from pegasus_runtime.documents import read_yaml
from pegasus_runtime.errors import InvalidInput, quoted
from pegasus_runtime.files import replace_file

if TYPE_CHECKING:
    from pegasus_runtime.avatar.avatar import Avatar

SUFFIX = ".pegasus.yaml"
VERSION = 1
DEMO = "demo"
_KEYS = ("version", "avatar", "face", "view", "display", "export")
_HEADER = "# A project of the PEGASUS editor: an avatar and what somebody has chosen about it.\n"
_MAX_BYTES = 4 << 20
"""Far more than a project has; more lets a wrong file hold the window up."""


class AvatarNotFound(FileNotFoundError):
    """A project's avatar is at none of the places where it should be."""

    def __init__(self, project: Project) -> None:
        places = " and ".join(str(place) for place in project.avatar.places(project.path))
        super().__init__(
            f"{project.path}: its avatar {project.avatar.name!r} is not at {places}; put it there, "
            "or open the project in the editor and locate it."
        )
        self.project = project


class OtherAvatar(InvalidInput):
    """At the place of a project's avatar is another one, or another version of it."""

    def __init__(self, project: Project, found: Path) -> None:
        super().__init__(
            f"{found} is not the avatar that {project.path.name} was made with: it was trained "
            "again or is another one. What it does not have would be left out."
        )
        self.project, self.found = project, found


@dataclass(frozen=True)
class AvatarReference:
    """Which avatar, and where it was."""

    name: str
    path: str
    """relative to the project's folder, or "demo" """
    absolute_path: str = ""
    sha256: str = ""
    """of the file's bytes; empty where nobody knows"""

    @classmethod
    def of(cls, avatar: Avatar, project: Path, sha256: str) -> AvatarReference:
        """That of an open avatar, as a project at ``project`` names it.

        Raises:
            InvalidInput: the avatar is not a file.
        """
        if is_demo(avatar.path):
            return cls(avatar.name, DEMO, "", sha256)
        if avatar.path is None:
            raise InvalidInput(f"{avatar.name}: the avatar is not a file yet; save it first.")
        absolute = avatar.path.resolve()
        try:
            relative = Path(os.path.relpath(absolute, project.resolve().parent)).as_posix()
        except ValueError:  # on another drive
            relative = str(absolute)
        return cls(avatar.name, relative, str(absolute), sha256)

    def places(self, project: Path) -> list[Path]:
        """Where to look: as seen from the project, where it was, and beside the project."""
        folder = project.resolve().parent
        beside = folder / Path(self.path.replace("\\", "/")).name
        found = [folder / self.path, Path(self.absolute_path or self.path), beside]
        return list(dict.fromkeys(Path(os.path.normpath(place)) for place in found))


@dataclass(frozen=True)
class Project:
    """A project file that was read; the face waits for the avatar whose names it uses."""

    path: Path
    avatar: AvatarReference
    face: Mapping[str, Any]
    view: Any
    display: Any
    export: ExportSettings | None

    def read_face(self, names: Vocabulary) -> FaceReading:
        """The face, as far as an avatar with these names can show it.

        Raises:
            InvalidInput: something in it is not a name or a number that a face can have.
        """
        return read_face(self.face, names, f"{self.path}: face")

    def read_view(self, usual: View) -> View:
        """The view; what the file leaves out is as ``usual``."""
        return read_view(self.view, f"{self.path}: view", usual)

    def read_display(self, usual: Display) -> Display:
        """What is displayed; what the file leaves out is as ``usual``."""
        return read_display(self.display, f"{self.path}: display", usual)

    def snapshot(self, avatar: Avatar, usual: Display) -> tuple[Snapshot, FaceReading]:
        """All of it, for the avatar that shall show it."""
        reading = self.read_face(Vocabulary.of(avatar))
        view = self.read_view(View.framing(avatar))
        return Snapshot(reading.face, view, self.read_display(usual), self.export), reading


def is_project(source: str | os.PathLike[str]) -> bool:
    """Whether a path names a project, by its ending."""
    return os.fspath(source).lower().endswith((".yaml", ".yml"))


def with_suffix(path: Path) -> Path:
    """The same path, as the name of a project."""
    if path.name.lower().endswith(SUFFIX):
        return path
    stem = path.stem if path.suffix.lower() in (".yaml", ".yml", ".pegasus") else path.name
    return path.with_name(stem + SUFFIX)


def is_demo(path: Path | None) -> bool:
    """Whether an avatar's file is the demo that comes with the program."""
    demo = Path(str(files("resources"))) / f"{DEMO}.avatar"
    return path is not None and path.resolve() == demo.resolve()


def project_name(path: Path) -> str:
    """A project's name, without its ending."""
    return path.name[: -len(SUFFIX)] if path.name.lower().endswith(SUFFIX) else path.stem


def read_project(path: str | os.PathLike[str]) -> Project:
    """Read a project file; the avatar need not be there.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is not a project, is damaged, or is of a newer version.
    """
    file = Path(path)
    content = read_yaml(file, dict, max_bytes=_MAX_BYTES)
    version = content.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InvalidInput(f"{file}: not a project of the editor (version: {quoted(version)}).")
    if version > VERSION:
        raise InvalidInput(
            f"{file}: is a project of version {version}, this program knows versions up to "
            f"{VERSION}; update the program."
        )
    read_keys(content, _KEYS, str(file))
    project = Project(
        file,
        _read_reference(content.get("avatar"), f"{file}: avatar"),
        content.get("face") or {},
        content.get("view"),
        content.get("display"),
        read_export(content.get("export"), f"{file}: export", file),
    )
    _check(project)
    return project


def find_avatar(project: Project, accepted: Path | None = None) -> str:
    """What to load for a project: a path, or "demo".

    Args:
        project: the project.
        accepted: a file that the user has said to take, whatever it is.

    Raises:
        AvatarNotFound: it is nowhere.
        OtherAvatar: there is one, but not the one the project was made with.
    """
    if accepted is not None:
        return str(accepted)
    reference = project.avatar
    if reference.path == DEMO:
        return DEMO
    there = [place for place in reference.places(project.path) if os.path.isfile(place)]
    if not there:
        raise AvatarNotFound(project)
    if not reference.sha256:
        return str(there[0])
    for place in there:
        if file_sha256(place) == reference.sha256:
            return str(place)
    raise OtherAvatar(project, there[0])


def save_project(
    path: Path, avatar: Avatar, kept: Snapshot, unknown: Mapping[str, Any], sha256: str
) -> None:
    """Write a project; afterwards the old file or the new one is there, whole.

    Args:
        path: where; it ends in .pegasus.yaml.
        avatar: the open avatar.
        kept: what the user has chosen.
        unknown: what an earlier file said that this avatar does not have.
        sha256: of the avatar's file.

    Raises:
        InvalidInput: the folder cannot be written, or the disk is full.
    """
    import yaml

    record: dict[str, Any] = {
        "version": VERSION,
        "avatar": asdict(AvatarReference.of(avatar, path, sha256)),
        "face": face_record(kept.face, Vocabulary.of(avatar), unknown),
        "view": view_record(kept.view),
        "display": display_record(kept.display),
    }
    if kept.export is not None:
        record["export"] = export_record(kept.export)
    record["avatar"] = {key: value for key, value in record["avatar"].items() if value}
    text = yaml.dump(record, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=100)
    with replace_file(path) as partial:
        partial.write_text(_HEADER + text, encoding="utf-8")


def _dumper() -> type[Any]:
    """Plain values, with lists of numbers on a line of their own."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def on_one_line(dumper: Any, values: list[Any]) -> Any:
        return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)

    Dumper.add_representer(list, on_one_line)
    return Dumper


def _read_reference(record: Any, where: str) -> AvatarReference:
    values = read_keys(record, ("name", "path", "absolute_path", "sha256"), where)
    for key, value in values.items():
        if not isinstance(value, str) or "\0" in value:
            raise InvalidInput(f"{where}.{key}: {quoted(value)} is not a text.")
    if not values.get("path"):
        raise InvalidInput(f"{where}: has no path; name the avatar's file.")
    name = values.get("name") or Path(values["path"]).stem
    return AvatarReference(
        name, values["path"], values.get("absolute_path", ""), values.get("sha256", "").lower()
    )


def _check(project: Project) -> None:
    """Find now what is wrong, whichever avatar will be there."""
    project.read_face(Vocabulary())
    project.read_view(View())
    project.read_display(Display())
