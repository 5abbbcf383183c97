"""A quick look at a video before anything is made of it: about one frame a second.

It judges frames as `frame_filter` does, as far as that can be told without the fit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pegasus_runtime.errors import InvalidInput
from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, DetectedFace, FaceEstimators, FloatArray, Region
from trainer.preprocess.face_checks import MAX_MOVE, MIN_PRESENCE, check_face, find_turn
from trainer.preprocess.frame_filter import (
    Measures,
    refuse_too_few,
    share_covered,
    share_outside,
    upright_face,
)
from trainer.preprocess.frames import FrameSource, Selection, open_source, spread
from trainer.preprocess.look_parts import part_pictures, worn_shares

NUM_SHOWN = 8
"""More say more of the video and take longer to look at; fewer may not show what is wrong."""
_MOST_FRAMES, _MOST_SIDE, _NUM_TURN_SAMPLES = 45, 960, 6
"""Frames looked at: more see more of a long video, which is decoded as far, and take longer."""
_TILE, _AROUND_FACE, _DOT = 208, 1.5, (90, 235, 255)
"""Pixels of a shown face, its side over the face's region, and the landmarks' colour."""
_FEW_FRAMES = 10
"""fewer learn no more than a photograph does"""
_MANY = 0.3
"""share of the looked-at frames with a second face that is worth a word; less warns of passers-by,
more keeps silent where the wrong person may be learned"""
_LANDMARKS_MS = 20.0
"""that the landmark network usually takes where the costs of all steps come true: on two cores of
which others use a third"""
_SLOWNESS = (0.3, 8.0)
"""beyond which it was an accident; wider ones believe a look that something else held up"""


@dataclass(frozen=True, eq=False)
class LookedAt:
    """One frame as it is shown."""

    time_s: float
    picture: Bytes
    """(S, S, 3) RGB, what was found drawn on it"""
    reason: str
    """for which it would be left out; empty for none"""


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen."""

    num_frames: int
    """of the whole video, 0 where nobody knows"""
    duration_s: float
    size: tuple[int, int]
    """(height, width), upright"""
    until_s: float
    """time of the last frame that was looked at"""
    num_faces: int
    """of people that are seen at the same time"""
    num_looked_at: int
    num_left_out: int
    shown: tuple[LookedAt, ...]
    notes: tuple[str, ...]
    slowness: float
    """time that the landmark network takes here over what it took where costs were measured"""
    worn: dict[str, Array] | None = None
    """see `trainer.preprocess.look_parts.worn_shares`; None where that was not asked, too"""
    parts: dict[str, Bytes] = field(default_factory=dict)
    """see `trainer.preprocess.look_parts.part_pictures`; empty where that was not asked"""


@dataclass(frozen=True, eq=False)
class _Seen:
    time_s: float
    pixels: Bytes
    others: int
    """faces beside the one that is used"""
    position: int
    """of the used one, from 1 at the left"""
    landmarks: FloatArray | None
    """(478, 3)"""
    move: float


def look(video: Path, face: int = 0, with_parts: bool = False) -> Look:
    """Look at a video.

    Args:
        video: a video, or a folder of pictures.
        face: whose face is meant, from 1 at the left; 0 for the largest.
        with_parts: whether hats and glasses are looked for, and pictures cut out of each part.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is no video, or shows no face.
    """
    source, estimators = open_source(video), FaceEstimators()
    frames = _frames(source)
    turn = find_turn(
        estimators, [p for _, p in frames[:: max(len(frames) // _NUM_TURN_SAMPLES, 1)]]
    )
    looker = _Looker(estimators, face)
    seen = [
        looker.see(at, np.ascontiguousarray(np.rot90(pixels, turn)) if turn else pixels)
        for at, pixels in frames
    ]
    if all(one.landmarks is None for one in seen):
        raise InvalidInput(
            f"{video.name}: no face was found in it; film a person from the front, whose face is "
            "at least a tenth of the picture."
        )
    count = source.estimated_count(Selection())
    reasons = _reasons(seen)
    refuse_too_few(video.name, len(seen), reasons)
    good = [one for n, one in enumerate(seen, 1) if n not in reasons]
    faces = [(one.pixels, one.landmarks) for one in good or seen if one.landmarks is not None]
    return Look(
        worn=worn_shares(faces) if with_parts else None,
        parts=part_pictures(faces) if with_parts else {},
        num_frames=count,
        duration_s=count / source.fps if count else 0.0,
        size=(seen[0].pixels.shape[0], seen[0].pixels.shape[1]),
        until_s=seen[-1].time_s,
        num_faces=_num_faces(seen),
        num_looked_at=len(seen),
        num_left_out=len(reasons),
        shown=_shown(seen, reasons),
        notes=tuple(_notes(seen, reasons, turn, count, face)),
        slowness=float(np.clip(np.median(looker.took_ms) / _LANDMARKS_MS, *_SLOWNESS)),
    )


def _frames(source: FrameSource) -> list[tuple[float, Bytes]]:
    """About one a second from the beginning, reduced as soon as they are there."""
    import cv2

    # Only a frame tells how many there are a second.
    source.samples(1)
    total = source.estimated_count(Selection())
    every = max(round(source.fps), 1)
    if total:
        # Short ones have enough to be judged by as well.
        every = max(min(every, total // NUM_SHOWN), 1)
    found = []
    for frame in source.frames(Selection(every, _MOST_FRAMES)):
        height, width = frame.pixels.shape[:2]
        scale = min(_MOST_SIDE / max(height, width), 1.0)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        pixels = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
        found.append((frame.time_s, np.asarray(pixels, np.uint8)))
    return found


class _Looker:
    """Finds the face that is meant in each picture."""

    def __init__(self, estimators: FaceEstimators, wanted: int) -> None:
        self._estimators, self._wanted = estimators, wanted
        self.took_ms: list[float] = []
        """the landmark network, for each face; with all else that this machine does"""

    def see(self, time_s: float, pixels: Bytes) -> _Seen:
        """What one picture shows."""
        found = self._estimators.detect(pixels) or self._estimators.find_small(pixels)
        faces: list[tuple[DetectedFace, FloatArray, float]] = []
        for face in sorted(found, key=lambda face: -face.side)[:3]:
            checked = check_face(self._estimators, pixels, face)
            if checked.move < MAX_MOVE and checked.landmarks.presence > MIN_PRESENCE:
                faces.append((face, checked.landmarks.places, checked.move))
        if not faces:
            return _Seen(time_s, pixels, 0, 1, None, np.nan)
        from_left = sorted(faces, key=lambda found: float(found[0].box[0]))
        used, places, move = (
            from_left[min(self._wanted, len(faces)) - 1] if self._wanted else faces[0]
        )
        self._measure(pixels, places)
        position = 1 + sum(bool(face.box[0] < used.box[0]) for face, *_ in faces)
        return _Seen(time_s, pixels, len(faces) - 1, position, places, move)

    def _measure(self, pixels: Bytes, places: FloatArray) -> None:
        began = time.perf_counter()
        self._estimators.landmarks(pixels, Region.of_landmarks(places))
        self.took_ms.append(1000 * (time.perf_counter() - began))


def _reasons(seen: list[_Seen]) -> dict[int, str]:
    """By number from 1, why frames would be left out."""
    height, width = seen[0].pixels.shape[:2]
    places = [np.full((478, 3), np.nan) if s.landmarks is None else s.landmarks for s in seen]
    is_face = np.array([s.landmarks is not None for s in seen])
    faces, sharpness = [], []
    for one in seen:
        face, sharp = (
            (np.full((64, 64), np.nan, np.float32), np.nan)
            if one.landmarks is None
            else upright_face(one.pixels, one.landmarks)
        )
        faces.append(face)
        sharpness.append(sharp)
    outside = share_outside(np.stack(places).astype(np.float32), (height, width))
    return Measures(
        cut_off=np.where(is_face, outside, np.nan),
        sharpness=np.array(sharpness),
        covered=share_covered(np.stack(faces)),
        move=np.array([s.move for s in seen]),
        residual=np.where(is_face, 0.0, np.nan),
    ).reasons()


def _num_faces(seen: list[_Seen]) -> int:
    """How many people are seen at the same time, passers-by apart."""
    crowded = [one.others for one in seen if one.others]
    return max(crowded) + 1 if len(crowded) >= max(_MANY * len(seen), 1) else 1


def _notes(
    seen: list[_Seen], reasons: dict[int, str], turn: int, count: int, face: int
) -> list[str]:
    notes = []
    if (most := _num_faces(seen)) > 1:
        positions = [one.position for one in seen if one.others]
        used = max(set(positions), key=positions.count)
        why = "" if face else ", the largest"
        notes.append(f"{most} faces: number {used} from the left is used{why}.")
    if turn:
        notes.append("It lies on its side and is turned upright.")
    if count and count < _FEW_FRAMES:
        notes.append(f"It has only {count} frames; twenty seconds are better.")
    told = list(reasons.values())
    parts = [f"{told.count(r)} of {len(seen)}: {r}" for r in dict.fromkeys(told)]
    if parts:
        notes.append(f"Left out of the frames looked at: {'; '.join(parts)}.")
    return notes


def _shown(seen: list[_Seen], reasons: dict[int, str]) -> tuple[LookedAt, ...]:
    """Spread over the video, some of those that are left out among them."""
    numbers = range(1, len(seen) + 1)
    good = [n for n in numbers if n not in reasons]
    room = max(NUM_SHOWN // 3, NUM_SHOWN - len(good))
    left_out = spread([n for n in numbers if n in reasons], room)
    kept = spread(good, NUM_SHOWN - len(left_out))
    return tuple(
        LookedAt(seen[n - 1].time_s, _tile(seen[n - 1]), reasons.get(n, ""))
        for n in sorted({*left_out, *kept})
    )


def _inside(centre: float, side: float, length: int) -> float:
    """The nearest centre of a span that does not reach over the picture's edge."""
    return length / 2 if side > length else min(max(centre, side / 2), length - side / 2)


def _tile(one: _Seen) -> Bytes:
    """The face with its landmarks, or the middle of the picture without one."""
    import cv2

    height, width = one.pixels.shape[:2]
    region = Region(width / 2, height / 2, min(height, width), 0.0)
    if one.landmarks is not None:
        around = Region.of_landmarks(one.landmarks)
        side = around.side * _AROUND_FACE
        region = Region(_inside(around.x, side, width), _inside(around.y, side, height), side, 0.0)
    tile = region.cut_out(one.pixels, _TILE)
    if one.landmarks is not None:
        matrix = region.matrix(_TILE)
        places = one.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        for x, y in np.round(places * 16).astype(int):
            cv2.circle(tile, (int(x), int(y)), 12, _DOT, -1, cv2.LINE_AA, 4)
    return tile
