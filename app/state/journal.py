"""The journal: what an editor would lose if it ended now, line by line.

A line says how the history differs from the line before: how many entries are the same from the
start, which follow, and how many are done. The first line holds everything. Lines are written whole
and one after the other, so that whatever ends the program leaves all but the last one readable. The
file's name says which process it belongs to: only what a dead one has left is anybody else's.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from app.state.app_dirs import state_folder
from app.state.display import Display
from app.state.document import Document, Snapshot
from app.state.export_settings import export_record, read_export
from app.state.face import Face
from app.state.history import MAX_ENTRIES, Entry, Part
from app.state.project import AvatarReference, Project, find_avatar, project_name
from app.state.records import (
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
from pegasus_runtime.documents import parse_json, read_bytes
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.process_identity import ProcessIdentity, this_process

if TYPE_CHECKING:
    from pegasus_runtime.avatar.avatar import Avatar

VERSION = 1
MAX_BYTES = 32 << 20
"""Of a journal that is read; one that is written is made anew long before."""
_FORGOTTEN_S = 900.0
"""A journal of another machine that was not touched for so long has no owner any more: less takes
an open one over, more offers what was lost there later."""
_SUFFIX = ".journal"
_DAMAGED = ".damaged"
_PARTS: dict[type[Part], str] = {Face: "face", View: "view", Display: "display"}


@dataclass(frozen=True)
class State:
    """A document at one moment, with its history; nothing in it ever changes."""

    kept: Snapshot
    entries: tuple[Entry, ...]
    position: int
    is_modified: bool
    reference: AvatarReference
    project: Path | None
    unknown: dict[str, Any]
    names: Vocabulary

    @classmethod
    def of(cls, document: Document, names: Vocabulary) -> State:
        """That of a document that has an avatar from a file."""
        assert document.avatar is not None
        here = document.project or document.avatar.path or Path()
        return cls(
            document.snapshot,
            document.history.entries,
            document.history.position,
            document.is_modified,
            AvatarReference.of(document.avatar, here, document.avatar_sha256),
            document.project,
            document.unknown,
            names,
        )


def line_of(state: State, before: State | None) -> bytes:
    """One line: everything, or what is different from the line before."""
    same = 0
    if before is not None:
        limit = min(len(state.entries), len(before.entries))
        while same < limit and state.entries[same] is before.entries[same]:
            same += 1
    names = state.names
    record: dict[str, Any] = {
        "keep": same,
        "add": [_entry_record(entry, names) for entry in state.entries[same:]],
        "position": state.position,
        "modified": state.is_modified,
        "face": face_record(state.kept.face, names),
        "view": view_record(state.kept.view),
        "display": display_record(state.kept.display),
        "export": export_record(state.kept.export) if state.kept.export else None,
        "project": str(state.project or ""),
        "time": time.time(),
    }
    if before is None:
        record |= {"version": VERSION, "avatar": vars(state.reference), "unknown": state.unknown}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def new_journal() -> Path:
    """Where this process may keep a journal; the file is not there yet.

    Raises:
        InvalidInput: the folder cannot be made.
    """
    return state_folder() / _file_name(this_process())


@dataclass(frozen=True)
class Restored:
    """What a journal held, for the avatar that is open again."""

    kept: Snapshot
    entries: tuple[Entry, ...]
    position: int
    project: Path | None
    unknown: dict[str, Any]


@dataclass
class Recovery:
    """The journal of an editor that has ended without being asked to."""

    path: Path
    reference: AvatarReference
    project: Path | None
    written: float
    """seconds since 1970"""
    num_changes: int
    _lines: Sequence[dict[str, Any]] = field(repr=False, default=())

    @property
    def title(self) -> str:
        """What was open."""
        return project_name(self.project) if self.project else self.reference.name

    def avatar_source(self, accepted: Path | None = None) -> str:
        """What to load; ``accepted`` is a file to take whatever the journal names.

        Raises:
            FileNotFoundError: the avatar is nowhere any more.
            InvalidInput: it is another one now.
        """
        here = self.project or Path(self.reference.absolute_path or self.reference.name)
        return find_avatar(Project(here, self.reference, {}, None, None, None), accepted)

    def restored(self, avatar: Avatar) -> Restored:
        """What was there, with the history.

        Raises:
            InvalidInput: a line holds what no document can.
        """
        names, where = Vocabulary.of(avatar), str(self.path.name)
        entries: list[Entry] = []
        for line in self._lines:
            del entries[line["keep"] :]
            entries += [_read_entry(record, names, where) for record in line["add"]]
            if len(entries) > MAX_ENTRIES:
                raise InvalidInput(f"{where}: holds more than {MAX_ENTRIES} changes.")
        last = self._lines[-1]
        here = self.project or Path("film").absolute()
        kept = Snapshot(
            read_face(last["face"], names, where).face,
            read_view(last["view"], where, View()),
            read_display(last["display"], where, Display()),
            read_export(last["export"], where, here),
        )
        unknown = self._lines[0].get("unknown") or {}
        return Restored(kept, tuple(entries), last["position"], self.project, unknown)

    def claim(self) -> bool:
        """Make the journal this process's own; False where another editor was faster."""
        mine = new_journal()
        try:
            self.path.rename(mine)
        except OSError:
            return False
        self.path = mine
        return True

    def discard(self) -> None:
        """Throw it away."""
        if self.claim():
            self.path.unlink(missing_ok=True)


def find_recoveries() -> list[Recovery]:
    """What dead editors have left unsaved, newest first; the rest they have left is cleared away.

    A file that is no journal is set aside under another name, where somebody can look at it.
    """
    found = []
    with suppress(OSError, InvalidInput):
        for path in sorted(state_folder().glob(f"*{_SUFFIX}")):
            if path.name.startswith(".") or not _is_abandoned(path):
                continue
            with suppress(OSError):
                try:
                    recovery = read_journal(path)
                except (InvalidInput, FileNotFoundError):
                    path.replace(path.with_name(path.name + _DAMAGED))
                    continue
                if recovery is None:
                    path.unlink()
                else:
                    found.append(recovery)
    return sorted(found, key=lambda recovery: -recovery.written)


def read_journal(path: Path) -> Recovery | None:
    """What a journal holds; None where nothing is unsaved. A last line that is torn is left out.

    Raises:
        FileNotFoundError: it is not there.
        InvalidInput: it is no journal.
    """
    lines = list(_read_lines(read_bytes(path, MAX_BYTES), path.name))
    if not lines:
        raise InvalidInput(f"{path.name}: not a journal.")
    first, last = lines[0], lines[-1]
    if first.get("version") != VERSION or not isinstance(first.get("avatar"), dict):
        raise InvalidInput(f"{path.name}: not a journal of this version.")
    reference = first["avatar"]
    read_keys(reference, ("name", "path", "absolute_path", "sha256"), path.name)
    if not all(isinstance(value, str) for value in reference.values()) or len(reference) != 4:
        raise InvalidInput(f"{path.name}: names no avatar.")
    if not last["modified"]:
        return None
    project = Path(last["project"]) if last["project"] else None
    return Recovery(
        path, AvatarReference(**reference), project, last["time"], last["position"], lines
    )


def touch(path: Path) -> None:
    """Show other machines that share the folder that somebody is still there."""
    with suppress(OSError):
        os.utime(path)


def _read_lines(raw: bytes, where: str) -> Iterator[dict[str, Any]]:
    kinds = {
        "keep": int, "add": list, "position": int, "modified": bool, "face": dict, "view": dict,
        "display": dict, "export": dict | None, "project": str, "time": float,
    }  # fmt: skip
    for text in raw.split(b"\n")[:-1]:
        line = parse_json(text, where, dict)
        for key, kind in kinds.items():
            if key not in line or not isinstance(line[key], kind):
                raise InvalidInput(f"{where}: {key} is missing or of another kind.")
        yield line


def _entry_record(entry: Entry, names: Vocabulary) -> dict[str, Any]:
    return {
        "label": entry.label,
        "key": entry.key,
        "part": _PARTS[type(entry.after)],
        "before": _part_record(entry.before, names),
        "after": _part_record(entry.after, names),
    }


def _part_record(part: Part, names: Vocabulary) -> dict[str, Any]:
    if isinstance(part, Face):
        return face_record(part, names)
    return view_record(part) if isinstance(part, View) else display_record(part)


def _read_entry(record: Any, names: Vocabulary, where: str) -> Entry:
    values = read_keys(record, ("label", "key", "part", "before", "after"), where)
    label, key, part = values.get("label"), values.get("key"), values.get("part")
    if not (isinstance(label, str) and isinstance(key, str) and part in _PARTS.values()):
        raise InvalidInput(f"{where}: a change has no name.")
    before, after = (
        _read_part(values.get(side), str(part), names, where) for side in ("before", "after")
    )
    return Entry(label, before, after, key)


def _read_part(record: Any, part: str, names: Vocabulary, where: str) -> Part:
    if part == "face":
        return read_face(record, names, where).face
    if part == "view":
        return read_view(record, where, View())
    return read_display(record, where, Display())


def _file_name(owner: ProcessIdentity) -> str:
    parts = (owner.host, str(owner.pid), repr(owner.started), uuid.uuid4().hex[:8])
    return "~".join(quote(part, safe="") for part in parts) + _SUFFIX


def _is_abandoned(path: Path) -> bool:
    parts = [unquote(part) for part in path.name.removesuffix(_SUFFIX).split("~")]
    try:
        host, pid, started, _ = parts
        owner = ProcessIdentity(int(pid), float(started), host)
    except (ValueError, TypeError):
        return True
    if owner.is_here:
        return not owner.is_alive
    return time.time() - path.stat().st_mtime > _FORGOTTEN_S
