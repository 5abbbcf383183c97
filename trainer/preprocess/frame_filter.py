"""Frames that are no good to learn from, with the reason of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from trainer.preprocess import landmark_groups as groups
from trainer.preprocess.arrays import Array
from trainer.preprocess.crop import FOLDER as CROPS
from trainer.preprocess.crop import Crop, read_picture
from trainer.preprocess.estimators import REGION_SCALE, Bytes, FloatArray, Region
from trainer.preprocess.face_track import Track
from trainer.preprocess.fit_step import FittedHead
from trainer.preprocess.steps import OWN_FOLDER, Fraction, Options, Workspace

SKIP_FILE, MEASURES_FILE = "skip.json", f"{OWN_FOLDER}/measures.json"
NO_FACE, CUT_OFF = "no face was found", "the face is cut off by the frame"
BLURRED, COVERED = "is blurred", "something is before the face"
FAR_OFF = "the head does not fit the landmarks"
_NOMINAL = 512
"""The side that residuals are told for, whatever a crop's own."""
_CUT_OFF_SHARE = 0.03
"""Of the landmarks, outside of the picture: less drops frames whose chin or brow leaves it a
little."""
_FACE_SIDE, _BLOCKS = 64, 8
"""Side of the faces that are compared, and blocks along it: more see smaller things before a face,
and noise."""
_BLUR_SHARE = 0.3
"""of the clip's usual sharpness; more drops quick turns, less keeps frames that blur what is
learned"""
_COVERED_BLOCK, _COVERED_SHARE, _COVERED_OVER_USUAL = 1.1, 0.16, 2.2
"""Difference from which a block is covered, share of such blocks, and times the clip's usual share:
less of them drops grimaces, more keeps hands before faces."""
_MAX_MOVE, _MOVE_OVER_USUAL = 0.018, 2.5
"""Of the landmarks between two looks, and times the clip's usual: less drops good frames, more
keeps covered faces."""
_MAX_RESIDUAL, _RESIDUAL_OVER_USUAL = 4.0, 2.5
"""Pixels of 512, and times the clip's usual: less drops grimaces that the head cannot make, more
keeps frames whose head is elsewhere."""
_MIN_FRAMES = 2
"""With fewer there is nothing to learn, and nothing to look at beside it."""


@dataclass(frozen=True, eq=False)
class Measures:
    """What is measured of each frame, NaN where there is no face."""

    cut_off: Array
    """(N,) share of the face's outline beyond the frame"""
    sharpness: Array
    """(N,) of the face, at one size"""
    covered: Array
    """(N,) share of the face that looks as it never does in the clip"""
    move: Array
    """(N,) how much two looks at the landmarks differ"""
    residual: Array
    """(N,) median distance of the fitted head's landmarks, in pixels of 512"""

    def reasons(self) -> dict[int, str]:
        """By number from 1, why frames are left out."""
        found: dict[int, str] = {}
        checks = (
            (FAR_OFF, _is_above(self.residual, _MAX_RESIDUAL, _RESIDUAL_OVER_USUAL)),
            (COVERED, _is_above(self.covered, _COVERED_SHARE, _COVERED_OVER_USUAL)),
            (COVERED, _is_above(self.move, _MAX_MOVE, _MOVE_OVER_USUAL)),
            (BLURRED, self.sharpness < _BLUR_SHARE * np.nanmedian(self.sharpness)),
            (CUT_OFF, self.cut_off > _CUT_OFF_SHARE),
            (NO_FACE, np.isnan(self.cut_off)),
        )
        for reason, is_bad in checks:
            found |= {int(index) + 1: reason for index in np.flatnonzero(is_bad)}
        return dict(sorted(found.items()))


def _is_above(values: Array, least: float, over_usual: float) -> Array:
    return np.asarray(values > max(least, over_usual * float(np.nanmedian(values))))


class FilterStep:
    """Writes skip.json, and what was measured."""

    name, version, after, cost = "filter", 1, ("landmarks", "crop", "fit"), 9.0
    outputs = (SKIP_FILE, MEASURES_FILE)
    frames_apart = None

    def settings(self, options: Options) -> dict[str, Any]:
        """Nothing beyond what it reads."""
        return {}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`."""
        measures = measure(work, report)
        reasons = measures.reasons()
        name, count = work.source.path.name, len(measures.cut_off)
        refuse_too_few(name, count, reasons)
        _write(work, SKIP_FILE, {str(number): reason for number, reason in reasons.items()})
        _write(work, MEASURES_FILE, _as_lists(measures))
        return [f"{name}: {_tell(reasons, count)}"] if reasons else []


def refuse_too_few(name: str, count: int, reasons: dict[int, str]) -> None:
    """Raises InvalidInput when next to nothing of so many frames of a video can be used."""
    kept = count - len(reasons)
    if kept >= _MIN_FRAMES:
        return
    told = list(reasons.values())
    usual = f" (mostly: {max(set(told), key=told.count)})" if told else ""
    raise InvalidInput(
        f"{name}: {kept} of {count} frames can be used{usual}; film again with the whole face in "
        "the picture, in good light."
    )


def read_reasons(work: Workspace) -> dict[int, str]:
    """By number of the frame, why it is left out."""
    found = read_json(work.folder / SKIP_FILE, dict)
    return {int(number): str(reason) for number, reason in found.items()}


def measure(work: Workspace, report: Fraction) -> Measures:
    """Look at all frames of a subject."""
    track, crop, fit = Track.read(work), Crop.read(work), FittedHead.read(work)
    places = crop.to_picture(track.landmarks)[..., :2]
    count = track.num_frames
    faces = np.full((count, _FACE_SIDE, _FACE_SIDE), np.nan, np.float32)
    sharpness = np.full(count, np.nan)
    for index in np.flatnonzero(track.present):
        picture = read_picture(work.folder / CROPS, int(index) + 1)
        faces[index], sharpness[index] = upright_face(picture, places[index])
        report((index + 1) / count)
    residual = np.nanmedian(fit.residuals, axis=1) * _NOMINAL / crop.size
    return Measures(
        cut_off=np.where(track.present, share_outside(track.landmarks, track.size), np.nan),
        sharpness=sharpness,
        covered=share_covered(faces),
        move=np.where(track.present, track.move, np.nan),
        residual=np.where(track.present, residual, np.nan),
    )


def share_outside(landmarks: FloatArray, size: tuple[int, int]) -> Array:
    """(N,) share of the outline of each face (N, 478, 2 or 3) that is beyond (height, width)."""
    outline = landmarks[:, list(groups.OVAL), :2]
    height, width = size
    outside = (outline < 1).any(axis=2)
    outside |= (outline[..., 0] > width - 1) | (outline[..., 1] > height - 1)
    return np.asarray(outside.mean(axis=1))


def upright_face(picture: Bytes, places: FloatArray) -> tuple[FloatArray, float]:
    """The face in grey, level and at one size and contrast, and how sharp it is."""
    import cv2

    whole = Region.of_landmarks(places)
    region = Region(whole.x, whole.y, whole.side / REGION_SCALE, whole.angle)
    large = cv2.cvtColor(region.cut_out(picture, 4 * _FACE_SIDE), cv2.COLOR_RGB2GRAY)
    sharpness = float(cv2.Laplacian(large.astype(np.float32), cv2.CV_32F).var())
    face = cv2.resize(large, (_FACE_SIDE, _FACE_SIDE), interpolation=cv2.INTER_AREA)
    face = cv2.GaussianBlur(face.astype(np.float32), (0, 0), 1.0)
    return (face - face.mean()) / max(float(face.std()), 1.0), sharpness


def share_covered(faces: FloatArray) -> Array:
    """(N,) share of the blocks of each face that differ from all that the clip usually shows."""
    usual = np.nanmedian(faces, axis=0)
    away = np.abs(faces - usual).reshape(len(faces), _BLOCKS, _FACE_SIDE // _BLOCKS, _BLOCKS, -1)
    blocks = away.mean(axis=(2, 4))
    inner = blocks[:, 1:-1, 1:-1].reshape(len(faces), -1)
    share = (inner > _COVERED_BLOCK).mean(axis=1)
    return np.where(np.isnan(inner[:, 0]), np.nan, share)


def _tell(reasons: dict[int, str], count: int) -> str:
    counts = {reason: list(reasons.values()).count(reason) for reason in reasons.values()}
    parts = [f"{number} ({reason})" for reason, number in counts.items()]
    return f"{len(reasons)} of {count} frames are left out: {', '.join(parts)}."


def _as_lists(measures: Measures) -> dict[str, list[float | None]]:
    return {
        name: [None if np.isnan(v) else round(float(v), 4) for v in getattr(measures, name)]
        for name in ("cut_off", "sharpness", "covered", "move", "residual")
    }


def _write(work: Workspace, name: str, content: Any) -> None:
    with replace_file(work.folder / name) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
