"""The second pass: the landmarks and blendshapes of the chosen face through its take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.preprocess.arrays import Array, Rows, read_arrays, write_arrays
from trainer.preprocess.estimators import (
    NUM_BLENDSHAPES,
    NUM_LANDMARKS,
    Bytes,
    FaceEstimators,
    FloatArray,
    Region,
    overlap,
)
from trainer.preprocess.face_checks import CheckedFace, look_twice
from trainer.preprocess.frames import Selection
from trainer.preprocess.irises import with_seen_irises
from trainer.preprocess.scan import Scan, upright
from trainer.preprocess.smoothing import smooth_landmarks
from trainer.preprocess.steps import OWN_FOLDER, Fraction, Options, Workspace
from trainer.preprocess.takes import Choice, choose

FILE = f"{OWN_FOLDER}/track.npz"
_PART = f"{OWN_FOLDER}/track.part.npz"
_MIN_SHARED = 0.25
"""of the box of the landmarks and that of the detector, when they are of one face; less follows a
neighbour's face, more loses one that turns away"""
_LOOK_AGAIN = 0.009
"""of the face's size, by which two looks differ; less looks again more often, which takes time,
more keeps looks that have not settled"""


@dataclass(frozen=True, eq=False)
class Track:
    """The chosen face in each frame of its take."""

    size: tuple[int, int]
    """(height, width) of the upright frames"""
    fps: float
    """frames a second, of those that are used"""
    turn: int
    """see `Scan`"""
    first: int
    """position of the take's first frame among those that are used"""
    index: Array
    """(N,) in the source"""
    time_s: Array
    """(N,)"""
    present: Array
    """(N,) truth"""
    places: FloatArray
    """(N, 478, 3) landmarks as they were seen, in pixels of the frame; zero where not present"""
    landmarks: FloatArray
    """(N, 478, 3) the same, smoothed over time"""
    blendshapes: FloatArray
    """(N, 52)"""
    move: Array
    """(N,) how much two looks differ, over the face's size"""

    @property
    def num_frames(self) -> int:
        return len(self.index)

    @property
    def face_size(self) -> float:
        """Median height of the face from forehead to chin, in pixels."""
        places = self.landmarks[self.present.astype(bool)]
        return float(np.median(np.ptp(places[:, :468, 1], axis=1)))

    @classmethod
    def read(cls, work: Workspace) -> Track:
        """That of a subject."""
        found = read_arrays(work.folder / FILE)
        height, width, turn, first = (int(value) for value in found.pop("facts"))
        found["present"] = found["present"].astype(bool)
        return cls((height, width), float(found.pop("fps")), turn, first, **found)

    def numbers_in(self, earlier: Track | None) -> dict[int, int]:
        """By number of a picture, from 1, that of the same frame in an earlier capture."""
        known = {} if earlier is None else {int(i): n for n, i in enumerate(earlier.index, 1)}
        return {n: known[int(i)] for n, i in enumerate(self.index, 1) if int(i) in known}

    def frames(self, work: Workspace, skipped: int) -> Any:
        """The take's frames, upright, from the one after so many: (number from 0, pixels)."""
        every, last = work.options.every, self.first + self.num_frames
        if skipped >= self.num_frames:
            return
        selection = Selection(every, last, self.first + skipped)
        for number, frame in enumerate(work.source.frames(selection)):
            yield skipped + number, upright(frame, self.turn)


class TrackStep:
    """Follows the face with two looks at every frame; see `face_checks`."""

    name, version, after, cost = "landmarks", 5, ("faces",), 60.0
    outputs = (FILE, _PART)
    frames_apart = ()

    def settings(self, options: Options) -> dict[str, Any]:
        """Whose face it is."""
        return {"take": options.take, "face": options.face}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`."""
        scan = Scan.read(work)
        choice = choose(scan, work.options, work.source.path.name)
        take, rows = choice.take, Rows(work.folder / _PART)
        earlier = Track.read(work.earlier) if work.earlier else None
        follower, total = _Follower(scan, choice, rows, earlier), take.last - take.first
        done, every = len(rows["present"]), work.options.every
        if done < total:
            selection = Selection(every, take.last, take.first + done)
            for frame in work.source.frames(selection):
                follower.follow(upright(frame, scan.turn), take.first + len(rows["present"]))
                rows.save_now_and_then()
                report(len(rows["present"]) / total)
        self._write(work, scan, choice, rows)
        rows.discard()
        return list(choice.notes)

    def _write(self, work: Workspace, scan: Scan, choice: Choice, rows: Rows) -> None:
        found, take = rows.arrays(), choice.take
        count = len(found["present"])
        kept = slice(take.first, take.first + count)
        present = found["present"].astype(bool)
        places = found["places"].astype(np.float32)
        fps = scan.fps / work.options.every
        facts = np.array([*scan.size, scan.turn, take.first])
        write_arrays(
            work.folder / FILE,
            {
                "facts": facts,
                "fps": np.array(fps),
                "index": scan.index[kept],
                "time_s": scan.time_s[kept],
                "present": present,
                "places": places,
                "landmarks": smooth_landmarks(places, present, fps),
                "blendshapes": found["blendshapes"].astype(np.float32),
                "move": found["move"],
            },
        )


class _Follower:
    """Looks where the face was in the frame before, or where the detector sees it."""

    def __init__(self, scan: Scan, choice: Choice, rows: Rows, earlier: Track | None) -> None:
        self._estimators, self._scan, self._rows = FaceEstimators(), scan, rows
        self._earlier = earlier
        known = earlier.index[earlier.present] if earlier else ()
        places = np.flatnonzero(earlier.present) if earlier else ()
        self._known = {int(i): int(number) for i, number in zip(known, places, strict=True)}
        self._own = choice.track.faces
        self._others = [t.faces for t in choice.take.tracks if t is not choice.track]

    def follow(self, pixels: Bytes, position: int) -> None:
        """Add a row for the frame at this position."""
        if not self._take_over(position):
            self._look_anew(pixels, position)

    def _take_over(self, position: int) -> bool:
        """Whether an earlier pass has followed this face to this frame: its row is added."""
        number = self._known.get(int(self._scan.index[position]))
        if number is None or self._earlier is None:
            return False
        earlier = self._earlier
        if not self._is_own(earlier.places[number], position):
            return False
        self._rows.add(
            present=True, places=earlier.places[number], blendshapes=earlier.blendshapes[number],
            move=earlier.move[number],
        )  # fmt: skip
        return True

    def _look_anew(self, pixels: Bytes, position: int) -> None:
        found = next(
            (f for r in self._regions(position) if (f := self._look(pixels, r, position))), None
        )
        places = np.zeros((NUM_LANDMARKS, 3), np.float32)
        values, move = np.zeros(NUM_BLENDSHAPES, np.float32), 1.0
        if found:
            places, move = found.landmarks.places, found.move
            # The blendshape network knows irises as the landmark network places them.
            values = self._estimators.blendshapes(places)
            places = with_seen_irises(pixels, places)
        self._rows.add(present=found is not None, places=places, blendshapes=values, move=move)

    def _regions(self, position: int) -> list[Region]:
        regions, rows = [], self._rows
        if rows["present"] and bool(rows["present"][-1]):
            regions.append(Region.of_landmarks(rows["places"][-1]))
        if position in self._own:
            regions.append(Region.of_face(self._scan.face(self._own[position])))
        return regions

    def _look(self, pixels: Bytes, region: Region, position: int) -> CheckedFace | None:
        if region.side < 8:
            return None
        found = look_twice(self._estimators, pixels, region)
        is_new = not self._rows["present"] or not bool(self._rows["present"][-1])
        if is_new or found.move > _LOOK_AGAIN:
            # A detector's box is not exact, and a face may have gone far: look where it is now.
            found = look_twice(
                self._estimators, pixels, Region.of_landmarks(found.landmarks.places)
            )
        is_own = found.is_face and self._is_own(found.landmarks.places, position)
        return found if is_own else None

    def _is_own(self, places: FloatArray, position: int) -> bool:
        """Whether the detector agrees, as far as it sees the face at all."""
        flat = places[:468, :2]
        box = np.concatenate([flat.min(axis=0), flat.max(axis=0)])
        if position in self._own:
            return overlap(box, self._scan.box[self._own[position]]) > _MIN_SHARED
        seen = [track[position] for track in self._others if position in track]
        return not any(overlap(box, self._scan.box[number]) > _MIN_SHARED for number in seen)
