"""The first pass over a video: all faces of every frame, and how alike neighbouring frames are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.preprocess.arrays import Array, Rows, read_arrays, write_arrays
from trainer.preprocess.estimators import Bytes, DetectedFace, FaceEstimators
from trainer.preprocess.face_checks import MIN_PRESENCE, check_face, find_turn
from trainer.preprocess.frames import Frame, Selection
from trainer.preprocess.model_files import FACE_LANDMARKER
from trainer.preprocess.steps import OWN_FOLDER, Fraction, Options, Workspace
from trainer.preprocess.video_decoder import NoFrame

FILE = f"{OWN_FOLDER}/scan.npz"
_PART = f"{OWN_FOLDER}/scan.part.npz"
_THUMB, _LEVELS = 16, 4
"""Pixels of a thumbnail's side and steps of each colour, by which cuts are found: finer ones take
motion for cuts."""
_CHECK_EVERY, _SEARCH_EVERY, _MOST_FACES = 25, 5, 6
"""Frames between checks of a face and searches for new ones, and the largest kept: rarer is
quicker, and finds a face later."""
_NUM_SAMPLES = 6
"""That tell which way is up: more are surer and take longer."""


@dataclass(frozen=True, eq=False)
class Scan:
    """What the first pass has found, upright."""

    size: tuple[int, int]
    """(height, width) of the frames"""
    fps: float
    turn: int
    """quarter turns against the clock that make it upright"""
    index: Array
    """(N,) of each frame in the source"""
    time_s: Array
    """(N,)"""
    thumbs: Array
    """(N, 16, 16, 3) bytes"""
    levels: Array
    """(N, 64) share of each colour"""
    face_frame: Array
    """(F,) position 0..N-1 of the frame that each face is in, in order"""
    score: Array
    """(F,)"""
    box: Array
    """(F, 4)"""
    points: Array
    """(F, 6, 2)"""
    move: Array
    """(F,) see `face_checks`, NaN where it was not measured"""

    @property
    def num_frames(self) -> int:
        return len(self.index)

    @classmethod
    def read(cls, work: Workspace) -> Scan:
        """That of a subject."""
        found = read_arrays(work.folder / FILE)
        height, width, turn = (int(value) for value in found.pop("facts"))
        return cls((height, width), float(found.pop("fps")), turn, **found)

    def face(self, number: int) -> DetectedFace:
        """One of the faces."""
        return DetectedFace(float(self.score[number]), self.box[number], self.points[number])


class ScanStep:
    """Finds faces and cuts; decodes the whole video once."""

    name, version, after, cost = "faces", 1, (), 40.0
    outputs = (FILE, _PART)
    frames_apart = ("every", "limit")

    def settings(self, options: Options) -> dict[str, Any]:
        """Which frames are looked at, and with which weights."""
        return {"every": options.every, "limit": options.limit, "model": FACE_LANDMARKER.sha256}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`."""
        estimators = FaceEstimators()
        rows = Rows(work.folder / _PART)
        earlier = Scan.read(work.earlier) if work.earlier else None
        if earlier and not rows["turn"]:
            rows.add(turn=earlier.turn)
        if not rows["turn"]:
            pictures = [frame.pixels for frame in work.source.samples(_NUM_SAMPLES)]
            rows.add(turn=find_turn(estimators, pictures))
        turn = int(rows["turn"][0])
        done, chosen = len(rows["index"]), work.options.selection
        finder = _Finder(estimators, rows, earlier)
        if not done or not chosen.limit or done < chosen.limit:
            for frame in _frames_from(work, done):
                finder.look(frame, turn)
                rows.save_now_and_then()
                total = work.source.estimated_count(chosen)
                report(min(len(rows["index"]) / total, 1.0) if total else 0.0)
        _write(work, rows, turn)
        rows.discard()
        turned = f"{work.source.path.name}: lies on its side and was turned upright."
        return [turned] if turn else []


def _frames_from(work: Workspace, done: int) -> Any:
    """The frames that are still to be looked at; none when a broken pass had seen the last."""
    chosen = work.options.selection
    try:
        yield from work.source.frames(Selection(chosen.every, chosen.limit, done))
    except NoFrame:
        if not done:
            raise


def upright(frame: Frame, turn: int) -> Bytes:
    """A frame's pixels after so many quarter turns."""
    return np.ascontiguousarray(np.rot90(frame.pixels, turn)) if turn else frame.pixels


def _write(work: Workspace, rows: Rows, turn: int) -> None:
    arrays = rows.arrays()
    height, width = (int(side) for side in arrays["size"][0])
    num_faces = len(rows["score"])
    empty = {"face_frame": (0,), "score": (0,), "box": (0, 4), "points": (0, 6, 2), "move": (0,)}
    faces = {k: arrays[k] if num_faces else np.zeros(v) for k, v in empty.items()}
    frames = {k: arrays[k] for k in ("index", "time_s", "thumbs", "levels")}
    facts = {"facts": np.array([height, width, turn]), "fps": np.array(work.source.fps)}
    write_arrays(work.folder / FILE, {**facts, **frames, **faces})


class _Finder:
    """Adds a frame's faces to the rows."""

    def __init__(self, estimators: FaceEstimators, rows: Rows, earlier: Scan | None) -> None:
        self._estimators, self._rows, self._earlier = estimators, rows, earlier
        known = earlier.index if earlier else ()
        self._known = {int(index): number for number, index in enumerate(known)}

    def look(self, frame: Frame, turn: int) -> None:
        if self._earlier and frame.index in self._known:
            self._take_over(self._earlier, frame, self._known[frame.index])
        else:
            self._look_anew(upright(frame, turn), frame)

    def _take_over(self, earlier: Scan, frame: Frame, number: int) -> None:
        """What an earlier pass has seen in this frame."""
        position = len(self._rows["index"])
        for face in np.flatnonzero(earlier.face_frame == number):
            self._rows.add(
                face_frame=position, score=earlier.score[face], box=earlier.box[face],
                points=earlier.points[face], move=earlier.move[face],
            )  # fmt: skip
        self._rows.add(
            index=frame.index, time_s=frame.time_s, thumbs=earlier.thumbs[number],
            levels=earlier.levels[number], size=earlier.size,
        )  # fmt: skip

    def _look_anew(self, pixels: Bytes, frame: Frame) -> None:
        import cv2

        position = len(self._rows["index"])
        faces = sorted(self._faces(pixels, position), key=lambda face: -face.side)[:_MOST_FACES]
        for face in faces:
            is_due = position % _CHECK_EVERY == 0 or not self._was_checked(face, position)
            move = check_face(self._estimators, pixels, face) if is_due else None
            # What is no face, by its presence too, has moved without end.
            moved = (
                np.nan
                if move is None
                else move.move
                if move.landmarks.presence > MIN_PRESENCE
                else 9.0
            )
            self._rows.add(
                face_frame=position, score=face.score, box=face.box, points=face.points, move=moved
            )
        thumb = cv2.resize(pixels, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
        size = pixels.shape[:2]
        small = cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA)
        levels = cv2.calcHist([small], [0, 1, 2], None, [_LEVELS] * 3, [0, 256] * 3).ravel() / 4096
        self._rows.add(
            index=frame.index, time_s=frame.time_s, thumbs=thumb, levels=levels, size=size
        )

    def _faces(self, pixels: Bytes, position: int) -> list[DetectedFace]:
        found = self._estimators.detect(pixels)
        if found:
            return found
        before = self._boxes_at(position - 1)
        near = [face for box in before for face in self._near(pixels, box)]
        if near or position % _SEARCH_EVERY:
            return near[:1] if len(before) == 1 else near
        return self._estimators.find_small(pixels)

    def _near(self, pixels: Bytes, box: Array) -> list[DetectedFace]:
        """Faces about where a small one was in the frame before."""
        side = int(4 * max(box[2] - box[0], box[3] - box[1], 8))
        height, width = pixels.shape[:2]
        left = int(np.clip((box[0] + box[2] - side) / 2, 0, max(width - side, 0)))
        top = int(np.clip((box[1] + box[3] - side) / 2, 0, max(height - side, 0)))
        shift = np.array([left, top], np.float32)
        found = self._estimators.detect(pixels[top : top + side, left : left + side])
        return [DetectedFace(f.score, f.box + np.tile(shift, 2), f.points + shift) for f in found]

    def _boxes_at(self, position: int) -> list[Array]:
        frames, boxes = self._rows["face_frame"], self._rows["box"]
        found = []
        for number in range(len(frames) - 1, max(len(frames) - 1 - _MOST_FACES, -1), -1):
            if int(frames[number]) == position:
                found.append(boxes[number])
        return found

    def _was_checked(self, face: DetectedFace, position: int) -> bool:
        """Whether a face about there was in the frame before."""
        centre = (face.box[:2] + face.box[2:]) / 2
        for box in self._boxes_at(position - 1):
            if np.abs((box[:2] + box[2:]) / 2 - centre).max() < face.side / 2:
                return True
        return False
