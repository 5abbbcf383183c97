"""The document: an open avatar and everything the user has chosen about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.state.display import Display
from app.state.events import Event
from app.state.face import Face, Wear
from app.state.history import History
from app.state.view import View

if TYPE_CHECKING:
    from pegasus_runtime.avatar.avatar import Avatar


class Document:
    """Changes go in through methods, and come out as events."""

    def __init__(self) -> None:
        self.avatar_changed: Event[[]] = Event()
        self.face_changed: Event[[]] = Event()
        self.view_changed: Event[[]] = Event()
        self.display_changed: Event[[]] = Event()
        self.history = History()
        self.avatar: Avatar | None = None
        self.face = Face()
        self.neutral = Face()
        self.view = View()
        self.display = Display()

    def open(self, avatar: Avatar) -> None:
        """Show another avatar, neutral and framed."""
        self.avatar = avatar
        self.neutral = self.face = Face.of(avatar.neutral())
        self.view = View.framing(avatar)
        self.history.clear()
        for event in (self.avatar_changed, self.face_changed, self.view_changed):
            event.emit()

    def set_expression(self, values: Mapping[int, float], label: str) -> None:
        """Change expression coefficients by index."""
        key = f"expression {sorted(values)}"
        self._change(self.face.with_expression(values), label, key)

    def set_pose(self, values: Mapping[int, float], label: str) -> None:
        """Change numbers of the pose by index, in radians."""
        self._change(self.face.with_pose(values), label, f"pose {sorted(values)}")

    def wear(self, category: str, wear: Wear | None, label: str) -> None:
        """Put an attribute on, change its strength, or take it off (None)."""
        key = f"wear {category} {wear.name if wear else ''}"
        self._change(self.face.wearing(category, wear), label, key)

    def reset_face(self) -> None:
        """Back to the neutral source person."""
        self._change(self.neutral, "Reset all", "reset all")
        self.end_gesture()

    def reset_expression(self) -> None:
        """No expression."""
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
        """Look from somewhere else. Undo takes back edits of the face and leaves the view."""
        if view != self.view:
            self.view = view
            self.view_changed.emit()

    def frame_head(self) -> None:
        """Bring the head back to the middle, from where the user looks now."""
        if self.avatar is not None:
            framed = View.framing(self.avatar)
            now = self.view
            self.set_view(
                View(framed.target, framed.reach, now.yaw_deg, now.pitch_deg, 0.0, now.fov_deg)
            )

    def reset_view(self) -> None:
        """The avatar's default view."""
        if self.avatar is not None:
            self.set_view(View.framing(self.avatar))

    def set_display(self, display: Display) -> None:
        """Show another pass or background."""
        if display != self.display:
            self.display = display
            self.display_changed.emit()

    def undo(self) -> None:
        """Take the last change of the face back."""
        self._restore(self.history.undo())

    def redo(self) -> None:
        """Do it again."""
        self._restore(self.history.redo())

    def _change(self, face: Face, label: str, key: str) -> None:
        if face != self.face:
            before, self.face = self.face, face
            self.history.record(label, before, face, key)
            self.face_changed.emit()

    def _restore(self, face: Face | None) -> None:
        if face is not None:
            self.face = face
            self.face_changed.emit()
