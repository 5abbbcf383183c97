"""The document: an open avatar and everything the user has chosen about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.state.display import Display, display_label
from app.state.export_settings import ExportSettings
from app.state.face import Face
from app.state.history import Entry, History, Part
from app.state.signal import Signal
from app.state.view import View, view_label
from pegasus_runtime.parameters import JAW_OPEN_INDEX, AttributeBlend

if TYPE_CHECKING:
    from pegasus_runtime.avatar.avatar import Avatar


@dataclass(frozen=True)
class Snapshot:
    """All that a project keeps of a document, at one moment."""

    face: Face
    view: View
    display: Display
    export: ExportSettings | None = None
    """what the last film was to be; None before the first"""


class Document:
    """Changes go in through methods, and come out as events."""

    def __init__(self) -> None:
        self.avatar_changed: Signal[[]] = Signal()
        self.face_changed: Signal[[]] = Signal()
        self.view_changed: Signal[[]] = Signal()
        self.display_changed: Signal[[]] = Signal()
        self.saved_changed: Signal[[]] = Signal()
        """whether something is unsaved, or where it is saved, may have changed"""
        self.history = History()
        self.avatar: Avatar | None = None
        self.num_opened = 0
        """avatars so far; a newer state of the one that is open is none"""
        self.face = Face()
        self.neutral = Face()
        self.view = View()
        self.display = self.usual_display = Display()
        self.export: ExportSettings | None = None
        self.couples_mouth = True
        """Whether lips that are closed over an open jaw stay so when the jaw moves."""
        self.undoes_camera = True
        """Whether camera and display belong to undo."""
        self.project: Path | None = None
        """where it was saved or opened from"""
        self.unknown: dict[str, Any] = {}
        """what the project says that this avatar does not have; saved again as it is"""
        self.avatar_sha256 = ""
        """of the file that the avatar was read from; empty until it is known"""
        self._saved: Snapshot | None = None
        for changed in (self.face_changed, self.view_changed, self.display_changed):
            changed.connect(self.saved_changed.emit)

    def open(self, avatar: Avatar) -> None:
        """Show another avatar, neutral and framed."""
        face, view = Face.of(avatar.neutral()), View.framing(avatar)
        self._show(avatar, Snapshot(face, view, self._own_display))

    def replace(self, avatar: Avatar) -> None:
        """Show a newer state of the open avatar: what the user has chosen and done stays."""
        was = self.avatar
        if was is None or was.attribute_names != avatar.attribute_names:
            self.open(avatar)
            return
        is_neutral = self.face == self.neutral
        self.avatar, self.avatar_sha256 = avatar, ""
        self.neutral = Face.of(avatar.neutral())
        if is_neutral:
            self.face = self.neutral
        self.avatar_changed.emit()
        self.face_changed.emit()

    def open_project(
        self, avatar: Avatar, project: Path | None, kept: Snapshot, unknown: dict[str, Any]
    ) -> None:
        """Show an avatar as a project says; None for one that was never saved."""
        self._show(avatar, kept, project, unknown)

    def close(self) -> None:
        """Nothing is open any more."""
        self._show(None, Snapshot(Face(), View(), self._own_display))

    @property
    def _own_display(self) -> Display:
        """How it is shown now, but for what a project has brought."""
        return self.usual_display if self.project is not None else self.display

    def _show(
        self,
        avatar: Avatar | None,
        kept: Snapshot,
        project: Path | None = None,
        unknown: dict[str, Any] | None = None,
    ) -> None:
        self.avatar, self.avatar_sha256 = avatar, ""
        self.num_opened += 1
        self.neutral = Face.of(avatar.neutral()) if avatar is not None else Face()
        self.face, self.view, self.export = kept.face, kept.view, kept.export
        display_changed, self.display = kept.display != self.display, kept.display
        self.project, self.unknown = project, unknown or {}
        self._saved = kept if project is not None else None
        self.history.clear()
        for event in (self.avatar_changed, self.face_changed, self.view_changed):
            event.emit()
        if display_changed:
            self.display_changed.emit()

    @property
    def snapshot(self) -> Snapshot:
        """All of it as it is now."""
        return Snapshot(self.face, self.view, self.display, self.export)

    @property
    def is_modified(self) -> bool:
        """Whether closing would lose something.

        Of what was never saved only the face counts: to have looked around is no work.
        """
        if self.avatar is None:
            return False
        if self._saved is None:
            return self.project is not None or self.face != self.neutral
        return self.snapshot != self._saved

    def mark_saved(self, project: Path, saved: Snapshot) -> None:
        """It has been written as it was then."""
        self.project, self._saved = project, saved
        # Undo shall be able to come back to what was saved.
        self.history.end_gesture()
        self.saved_changed.emit()

    def set_avatar_sha256(self, sha256: str) -> None:
        """The checksum of the avatar's file has been worked out."""
        self.avatar_sha256 = sha256
        self.saved_changed.emit()

    def mark_unsaved(self) -> None:
        """What is saved is not this: another avatar is shown, or an earlier editor's last work."""
        self._saved = None
        self.saved_changed.emit()

    def restore(self, kept: Snapshot, entries: tuple[Entry, ...], position: int) -> None:
        """Go on from where an earlier session broke off; the avatar is open already."""
        self.export = kept.export
        for part in (kept.face, kept.view, kept.display):
            self._set(part)
        self.history.load(entries, position)

    def set_export(self, settings: ExportSettings) -> None:
        """The film that was asked for last."""
        self.export = settings
        self.saved_changed.emit()

    def set_expression(self, values: Mapping[int, float], label: str) -> None:
        """Change expression coefficients by index."""
        key = f"expression {sorted(values)}"
        face = self._with_room_for_tongue(self.face.with_expression(values))
        self._change(self._with_lips_closed(face), label, key)

    def set_pose(self, values: Mapping[int, float], label: str) -> None:
        """Change numbers of the pose by index, in radians."""
        face = self._with_lips_closed(self.face.with_pose(values))
        self._change(face, label, f"pose {sorted(values)}")

    def wear(self, category: str, wear: AttributeBlend | None, label: str) -> None:
        """Put an attribute on, change its strength, or take it off (None)."""
        key = f"wear {category} {wear.name if wear else ''}"
        self._change(self.face.wearing(category, wear), label, key)

    def reset_face(self) -> None:
        """Back to the neutral source person."""
        self._change(self.neutral, "Reset all", "reset all")
        self.end_gesture()

    def reset_expression(self) -> None:
        """The face at rest."""
        self.set_expression(dict(enumerate(self.neutral.expression)), "Reset expression")
        self.end_gesture()

    def reset_pose(self) -> None:
        """The rest pose."""
        self.set_pose(dict(enumerate(self.neutral.pose)), "Reset pose")
        self.end_gesture()

    def end_gesture(self) -> None:
        """A drag has ended; see `History.end_gesture`."""
        self.history.end_gesture()

    def set_view(self, view: View) -> None:
        """Look from somewhere else, as far as the camera goes; see `View.limited`."""
        view = view.limited(self.view)
        label = view_label(self.view, view)
        self._change(view, label, label, self.undoes_camera)

    def frame_head(self) -> None:
        """Bring the head back to the middle, from where the user looks now."""
        if self.avatar is not None:
            framed = View.framing(self.avatar)
            now = self.view
            view = View(framed.target, framed.reach, now.yaw_deg, now.pitch_deg, 0.0, now.fov_deg)
            self._change(view, "Frame head", "frame head", self.undoes_camera)
            self.end_gesture()

    def reset_view(self) -> None:
        """The avatar's default view."""
        if self.avatar is not None:
            view = View.framing(self.avatar)
            self._change(view, "Reset camera", "reset camera", self.undoes_camera)
            self.end_gesture()

    def set_display(self, display: Display) -> None:
        """Show another pass or background."""
        label = display_label(self.display, display)
        self._change(display, label, label, self.undoes_camera and self.avatar is not None)

    def undo(self) -> None:
        """Take the last change back."""
        self._restore(self.history.undo())

    def redo(self) -> None:
        """Do it again."""
        self._restore(self.history.redo())

    def go_to(self, position: int) -> None:
        """Take changes back or do them again, until so many are done."""
        self._restore(self.history.go_to(position))

    def _with_lips_closed(self, face: Face) -> Face:
        """The same with "mouth close" the same share of what closes the lips as it is now."""
        if not self.couples_mouth or self.avatar is None:
            return face
        from pegasus_runtime.head.mouth_closing import mouth_closing

        closing = mouth_closing(self.avatar.head)
        if closing is None or face.pose[JAW_OPEN_INDEX] == self.face.pose[JAW_OPEN_INDEX]:
            return face
        now = self.face.expression[closing.index]
        closes, will_close = (closing.at(f.pose[JAW_OPEN_INDEX]) for f in (self.face, face))
        # What the slider cannot do, a project or a command has set: it stays.
        if not 0.0 < now <= closes + 1e-6:
            return face
        return face.with_expression({closing.index: now * will_close / closes})

    def _with_room_for_tongue(self, face: Face) -> Face:
        """The same with the jaw as open as the tongue needs, if the tongue has moved.

        A jaw that somebody has opened farther stays, and so does one that was closed on it.
        """
        if not self.couples_mouth or self.avatar is None:
            return face
        from pegasus_runtime.head.tongue_room import tongue_room

        room = tongue_room(self.avatar.head)
        if room is None or face.expression[room.index] == self.face.expression[room.index]:
            return face
        needed, will_need = (room.at(each.expression[room.index]) for each in (self.face, face))
        jaw = face.pose[JAW_OPEN_INDEX]
        if jaw < needed - 1e-6:
            return face
        follows = jaw <= needed + 1e-6
        return face.with_pose({JAW_OPEN_INDEX: will_need if follows else max(jaw, will_need)})

    def _change(self, part: Part, label: str, key: str, recorded: bool = True) -> None:
        before = self._part(type(part))
        if part != before:
            self._assign(part)
            if recorded:
                self.history.record(label, before, part, key)
            self._event(part).emit()

    def _restore(self, parts: list[Part]) -> None:
        # Of each part only where it ends: a hundred steps are one change to see.
        for part in {type(part): part for part in parts}.values():
            self._set(part)

    def _set(self, part: Part) -> None:
        self._assign(part)
        self._event(part).emit()

    def _part(self, kind: type[Part]) -> Part:
        parts: dict[type[Part], Part] = {Face: self.face, View: self.view, Display: self.display}
        return parts[kind]

    def _assign(self, part: Part) -> None:
        if isinstance(part, Face):
            self.face = part
        elif isinstance(part, View):
            self.view = part
        else:
            self.display = part

    def _event(self, part: Part) -> Signal[[]]:
        if isinstance(part, Face):
            return self.face_changed
        return self.view_changed if isinstance(part, View) else self.display_changed
