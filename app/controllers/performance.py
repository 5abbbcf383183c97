"""A greeting: what the demo avatar plays at the start, until the user touches anything.

The pictures are asked of the live view, as a drag's are, and the document knows nothing of them:
nothing of a greeting can be undone, saved or restored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer

from app.controllers.editor import Editor
from app.state.face import Face
from pegasus_runtime.parameters import AttributeBlend

DURATION_S = 8.0
"""The last key lies before it; less cuts the performance off."""
_EVERY_MS = 33
"""30 pictures a second; more often asks for pictures that no machine draws."""
_NOD, _TURN, _TILT, _NECK_TURN = 0, 1, 2, 4
"""places in the pose"""
_TURNS = ((0.2, 0.0), (1.4, 0.42), (2.8, -0.38), (3.8, 0.0), (5.0, 0.0), (5.8, 0.3), (7.4, 0.0))
"""Larger ones show less of the face, smaller ones less of what is behind it."""
_TILTS = ((3.4, 0.0), (4.2, 0.07), (5.4, 0.07), (6.2, -0.05), (7.4, 0.0))
"""Larger ones tip the head over, smaller ones are not noticed."""
_NODS = ((4.6, 0.0), (5.0, 0.08), (5.5, 0.0))
"""Deeper ones show hair instead of the face."""
_SMILES = ((2.6, 0.0), (3.6, 0.9), (6.8, 0.9), (7.6, 0.0))
"""More of it looks forced, less is not noticed."""
_BLINKS = ((2.0, 0.0), (2.12, 1.0), (2.3, 0.0), (6.1, 0.0), (6.22, 1.0), (6.4, 0.0))
"""A blink takes a third of a second; slower ones look tired, quicker ones may fall between two
pictures."""
_HAT_S = (4.4, 6.3)
"""Keys: seconds from the beginning, and radians, coefficients or on and off."""
_TOUCHES = frozenset(
    (
        QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick, QEvent.Type.KeyPress,
        QEvent.Type.Wheel, QEvent.Type.TouchBegin, QEvent.Type.TabletPress, QEvent.Type.DragEnter,
        QEvent.Type.Shortcut, QEvent.Type.NativeGesture,
    )
)  # fmt: skip


def face_at(
    seconds: float, neutral: Face, expression_names: Sequence[str], attributes: Sequence[str]
) -> Face:
    """The face at a time of the greeting; the neutral one before it begins and when it is over.

    Args:
        seconds: since it has begun.
        neutral: what it begins and ends with.
        expression_names: of the head; those it does not have are left out.
        attributes: what can be worn; the first hat of them is put on.
    """
    if not 0.0 < seconds < DURATION_S:
        return neutral
    turn = _value(seconds, _TURNS)
    pose = {
        _NOD: _value(seconds, _NODS),
        _TURN: 0.4 * turn,
        _TILT: _value(seconds, _TILTS),
        _NECK_TURN: 0.6 * turn,
    }
    played = {"smile": _value(seconds, _SMILES), "blink": _value(seconds, _BLINKS)}
    expression = {
        index: max(neutral.expression[index], played[name.split()[0]])
        for index, name in enumerate(expression_names)
        if name in ("smile left", "smile right", "blink left", "blink right")
    }
    face = neutral.with_expression(expression)
    face = face.with_pose({index: neutral.pose[index] + add for index, add in pose.items()})
    hats = [name for name in attributes if name.startswith("hat_")]
    if hats and _HAT_S[0] <= seconds < _HAT_S[1]:
        face = face.wearing("hat", AttributeBlend(hats[0]))
    return face


def _value(seconds: float, keys: Sequence[tuple[float, float]]) -> float:
    """Between keys, with a soft start and a soft end each."""
    if seconds <= keys[0][0]:
        return keys[0][1]
    for (t0, v0), (t1, v1) in zip(keys, keys[1:], strict=False):
        if seconds < t1:
            return v0 + (v1 - v0) * (0.5 - 0.5 * math.cos(math.pi * (seconds - t0) / (t1 - t0)))
    return keys[-1][1]


class Performance(QObject):
    """Plays once, as soon as the open avatar and its gallery are shown."""

    def __init__(
        self, editor: Editor, parent: QObject, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._editor, self._clock = editor, clock
        self._started: float | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self._step)
        self._is_over = False

    def play(self) -> None:
        """Begin when the full picture and the gallery are there."""
        document = self._editor.document
        document.avatar_changed.connect(self._on_avatar)
        for changed in (document.face_changed, document.view_changed, document.display_changed):
            changed.connect(self._on_change)
        # Until a face is there nothing shall hold it up.
        self._editor.live.picture_ready.connect(lambda _: self._wait())

    def _wait(self) -> None:
        application = QCoreApplication.instance()
        if application is not None and not self._is_over and not self._timer.isActive():
            application.installEventFilter(self)
            self._timer.start()

    def stop(self) -> None:
        """Show the document again, for good."""
        if not self._is_over:
            self._is_over = True
            self._timer.stop()
            application = QCoreApplication.instance()
            if application is not None:
                application.removeEventFilter(self)
            self._editor.live.show_instead(None)

    @property
    def is_playing(self) -> bool:
        """Whether something else than the document is shown."""
        return self._started is not None and not self._is_over

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in _TOUCHES:
            self.stop()
        return False

    def _on_avatar(self) -> None:
        if self.is_playing:
            self.stop()

    def _on_change(self) -> None:
        # Opening changes everything, too.
        if self._started is not None or self._editor.document.history.labels:
            self.stop()

    def _step(self) -> None:
        editor, document = self._editor, self._editor.document
        if document.avatar is None:
            return
        if self._started is None:
            # Thumbnails would have to wait, and what they wear is quick to wear again.
            if editor.live.is_settled and editor.thumbnails.num_pending == 0:
                self._started = self._clock()
            return
        seconds = self._clock() - self._started
        if seconds >= DURATION_S:
            self.stop()
            return
        avatar = document.avatar
        names, attributes = avatar.head.expression_names, avatar.attribute_names
        editor.live.show_instead(face_at(seconds, document.neutral, names, attributes))
