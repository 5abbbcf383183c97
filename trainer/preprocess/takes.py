"""Where a video is cut, which faces go through it, and which of them is meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pegasus_runtime.errors import InvalidInput
from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import overlap
from trainer.preprocess.face_checks import MAX_MOVE
from trainer.preprocess.scan import Scan
from trainer.preprocess.steps import Options

_OTHER_COLOURS, _OTHER_PICTURE = 0.25, 0.06
"""of a cut: share of pixels of another colour, mean difference of the thumbnails; less takes
flashes and motion for cuts, more misses cuts within a room"""
_OVER_NEIGHBOURS, _NEIGHBOURS = 3.0, 8
"""Times the usual change of so many frames to both sides: less cuts where a camera moves."""
_JUMP, _JUMP_PICTURE, _JUMP_OVER_NEIGHBOURS = 0.35, 0.012, 2.5
"""of a cut within one scene: way of the face over its size, and difference of the thumbnails; less
cuts quick turns of a head, more misses jump cuts"""
_SAME_BOX, _SAME_PLACE, _SAME_SIZE = 0.2, 0.6, 1.8
"""Shared area, way and growth from one frame to the next, of one person: wider ones mix neighbours,
narrower ones lose who moves quickly."""
_MAX_GAP_S = 3.0
"""Without a face, in one take of a person: longer ones may end with somebody else, shorter ones cut
takes where a hand passes."""
_MIN_SHARE = 0.1
"""of a take, that a face is seen to count as one of its people; less makes people of passers-by,
more leaves out who is often turned away"""
_FULL_SIZE = 400.0
"""Pixels of a face beyond which size adds nothing, as networks see no more: more chooses a short
take from near before a long one, less the long one."""


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face through a take: numbers of its detections by frame."""

    faces: dict[int, int]
    """position of the frame → number of the face in the scan"""
    size: float
    """median of the larger side, in pixels"""
    x: float
    """median of its middle"""
    move: float
    """median of what was measured; see `face_checks`"""

    @property
    def is_face(self) -> bool:
        return self.move < MAX_MOVE


@dataclass(frozen=True, eq=False)
class Take:
    """What was filmed in one go, from the first frame up to, without, the last."""

    first: int
    last: int
    tracks: tuple[FaceTrack, ...]
    """of people, from left to right"""


@dataclass(frozen=True, eq=False)
class Choice:
    """Whose face is used, and what to tell of the others."""

    take: Take
    track: FaceTrack
    notes: tuple[str, ...]


def find_takes(scan: Scan) -> list[Take]:
    """All takes in order of time, with their faces."""
    borders = [0, *_find_cuts(scan), scan.num_frames]
    takes = []
    for first, last in zip(borders[:-1], borders[1:], strict=True):
        tracks = _link(scan, first, last)
        shown = [
            t for t in tracks if t.is_face and len(t.faces) >= max(_MIN_SHARE * (last - first), 1)
        ]
        takes.append(Take(first, last, tuple(sorted(shown, key=lambda track: track.x))))
    return takes


def choose(scan: Scan, options: Options, name: str) -> Choice:
    """The face and the take that are used.

    Raises:
        InvalidInput: there is no face, or not the one or the take that was asked for.
    """
    takes = find_takes(scan)
    if options.take > len(takes):
        raise InvalidInput(
            f"{name}: has {_count(len(takes), 'take')}; --take {options.take} is none."
        )
    considered = [takes[options.take - 1]] if options.take else takes
    shown = [(take, track) for take in considered for track in take.tracks]
    if not shown:
        where = f"in take {options.take}" if options.take else "in it"
        like = " (what looks like one is no person's)" if len(scan.score) else ""
        raise InvalidInput(
            f"{name}: no face was found {where}{like}; film a person from the front, whose face is "
            "at least a tenth of the picture."
        )
    take, track = max(shown, key=lambda pair: _worth(pair[1]))
    if options.face:
        if options.face > len(take.tracks):
            raise InvalidInput(
                f"{name}: has {_count(len(take.tracks), 'face')} in the take; --face "
                f"{options.face} is none (they are counted from the left)."
            )
        track = take.tracks[options.face - 1]
    return Choice(take, track, _notes(takes, take, track, options, name))


def _worth(track: FaceTrack) -> float:
    """Long and large."""
    return len(track.faces) * min(track.size, _FULL_SIZE)


def _notes(
    takes: list[Take], take: Take, track: FaceTrack, options: Options, name: str
) -> tuple[str, ...]:
    notes = []
    if len(takes) > 1:
        number = takes.index(take) + 1
        share = (take.last - take.first) / takes[-1].last
        other = "" if options.take else " (--take chooses another)"
        notes.append(
            f"{name}: {len(takes)} takes; number {number} is used, {share:.0%} of all{other}."
        )
    if len(take.tracks) > 1:
        number = take.tracks.index(track) + 1
        other = "" if options.face else ", the largest (--face chooses another)"
        notes.append(
            f"{name}: {len(take.tracks)} faces; number {number} from the left is used{other}."
        )
    return tuple(notes)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _find_cuts(scan: Scan) -> list[int]:
    """Positions at which another take begins."""
    thumbs = scan.thumbs.astype(np.float32) / 255
    picture = np.abs(np.diff(thumbs, axis=0)).mean(axis=(1, 2, 3))
    colours = np.abs(np.diff(scan.levels, axis=0)).sum(axis=1) / 2
    ways = _ways(scan)
    cuts = []
    for k in range(len(picture)):
        low, high = max(k - _NEIGHBOURS, 0), k + _NEIGHBOURS + 1
        around = np.delete(picture[low:high], min(k, _NEIGHBOURS))
        usual = float(np.median(around)) if len(around) else 0.0
        is_other = colours[k] > _OTHER_COLOURS and picture[k] > _OTHER_PICTURE
        is_cut = is_other and picture[k] > _OVER_NEIGHBOURS * usual
        least = max(_JUMP_OVER_NEIGHBOURS * usual, _JUMP_PICTURE)
        has_jumped = ways[k] > _JUMP and picture[k] > least
        if is_cut or has_jumped:
            cuts.append(k + 1)
    return cuts


def _ways(scan: Scan) -> Array:
    """(N - 1,) how far the surest face went between neighbouring frames, over its size."""
    frames = scan.face_frame.astype(int)
    ways = np.zeros(max(scan.num_frames - 1, 0))
    starts = np.searchsorted(frames, np.arange(scan.num_frames + 1))
    for k in range(len(ways)):
        now, after = scan.box[starts[k] : starts[k + 1]], scan.box[starts[k + 1] : starts[k + 2]]
        if len(now) and len(after):
            surest = now[int(scan.score[starts[k] : starts[k + 1]].argmax())]
            ways[k] = min(np.abs(_middle(box) - _middle(surest)).max() for box in after)
            ways[k] /= max(_size(surest), 1e-3)
    return ways


def _link(scan: Scan, first: int, last: int) -> list[FaceTrack]:
    """The faces of a take, each linked over its frames."""
    open_tracks: list[dict[int, int]] = []
    frames = scan.face_frame.astype(int)
    step_s = float(np.median(np.diff(scan.time_s))) if scan.num_frames > 1 else 0.0
    max_gap = _MAX_GAP_S / step_s if step_s > 0 else np.inf
    low, high = np.searchsorted(frames, [first, last])
    for number in sorted(range(low, high), key=lambda k: (frames[k], -scan.score[k])):
        frame, box = int(frames[number]), scan.box[number]
        fitting = [
            (_likeness(scan.box[track[max(track)]], box), index)
            for index, track in enumerate(open_tracks)
            if max(track) < frame
        ]
        best, index = max(fitting, default=(0.0, -1))
        if best > 0 and frame - max(open_tracks[index]) <= max_gap:
            open_tracks[index][frame] = number
        else:
            open_tracks.append({frame: number})
    return [_summed_up(scan, track) for track in _joined(scan, open_tracks)]


def _likeness(before: Array, now: Array) -> float:
    """How probable it is that two boxes are of one face; 0 when it is not."""
    shared, ratio = overlap(before, now), _size(now) / max(_size(before), 1e-3)
    if not 1 / _SAME_SIZE < ratio < _SAME_SIZE:
        return 0.0
    way = float(np.abs(_middle(now) - _middle(before)).max()) / max(_size(before), 1e-3)
    return 1.0 + shared if shared > _SAME_BOX else max(_SAME_PLACE - way, 0.0)


def _joined(scan: Scan, tracks: list[dict[int, int]]) -> list[dict[int, int]]:
    """A face that left and came back about where it was is one."""
    joined: list[dict[int, int]] = []
    for track in sorted(tracks, key=lambda t: min(t)):
        box = scan.box[track[min(track)]]
        for earlier in joined:
            before = scan.box[earlier[max(earlier)]]
            way = np.abs(_middle(box) - _middle(before)).max() / max(_size(before), 1e-3)
            ratio = _size(box) / max(_size(before), 1e-3)
            if max(earlier) < min(track) and way < 2 and 1 / _SAME_SIZE < ratio < _SAME_SIZE:
                earlier.update(track)
                break
        else:
            joined.append(dict(track))
    return joined


def _summed_up(scan: Scan, faces: dict[int, int]) -> FaceTrack:
    numbers = list(faces.values())
    boxes, moves = scan.box[numbers], scan.move[numbers]
    measured = moves[np.isfinite(moves)]
    return FaceTrack(
        faces,
        float(np.median([_size(box) for box in boxes])),
        float(np.median(boxes[:, [0, 2]].mean(axis=1))),
        float(np.median(measured)) if len(measured) else np.inf,
    )


def _middle(box: Array) -> Array:
    middle: Array = (box[:2] + box[2:]) / 2
    return middle


def _size(box: Array) -> float:
    return float(max(box[2] - box[0], box[3] - box[1]))
