"""One square for the whole clip around head and shoulders, so that the camera stays as it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pegasus_runtime.documents import read_json
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from trainer.preprocess.arrays import Array
from trainer.preprocess.estimators import Bytes, FloatArray
from trainer.preprocess.face_track import Track
from trainer.preprocess.linked_files import link
from trainer.preprocess.steps import OWN_FOLDER, Fraction, Options, Workspace

FILE, FOLDER = f"{OWN_FOLDER}/crop.json", f"{OWN_FOLDER}/crop/"
_ABOVE, _BELOW, _ASIDE = 0.75, 0.30, 0.50
"""room around all places of the landmarks, over the height of the face; hair lies above; less cuts
tall hair off, more leaves fewer pixels for the face"""
_LARGER_THAN_FRAME = 1.05
"""Of the frame's longer side, the largest crop: more only adds border with nothing in it."""
_FAR = 1.0
"""percent of the landmarks on each side that may lie farther out; fewer let one bad frame widen the
crop, more cut the head off where it moves far"""

_HOLDS_AS_WELL = 0.04
"""Of a square's side, by which that of other frames of the clip may differ and be kept, with all
that was made in it: less makes it anew more often, more cuts hair off where the head moves."""


@dataclass(frozen=True)
class Crop:
    """A square of the frame, whole pixels, and the camera of what is cut out."""

    left: int
    top: int
    side: int
    size: int
    """side of the pictures that are made of it"""
    width: int
    """of the frame"""
    height: int
    focal_share: float
    """focal length over the longer side of the frame"""

    @property
    def scale(self) -> float:
        """Pixels of the picture for one of the frame."""
        return self.size / self.side

    @property
    def focal(self) -> float:
        """In pixels of the picture."""
        return self.focal_share * max(self.width, self.height) * self.scale

    @property
    def principal(self) -> tuple[float, float]:
        """The middle of the frame, in pixels of the picture."""
        return (self.width / 2 - self.left) * self.scale, (self.height / 2 - self.top) * self.scale

    def to_picture(self, places: FloatArray) -> FloatArray:
        """Places (..., 2 or 3) of the frame as places of the picture."""
        moved = places.astype(np.float64) * self.scale
        moved[..., 0] -= self.left * self.scale
        moved[..., 1] -= self.top * self.scale
        return moved.astype(np.float32)

    def cut_out(self, pixels: Bytes) -> Bytes:
        """(size, size, 3); what lies outside the frame repeats its edge, see `inside`."""
        import cv2

        right, bottom = self.left + self.side, self.top + self.side
        before = max(-self.top, 0), max(-self.left, 0)
        behind = max(bottom - self.height, 0), max(right - self.width, 0)
        part = pixels[max(self.top, 0) : bottom, max(self.left, 0) : right]
        border = cv2.copyMakeBorder(
            part, before[0], behind[0], before[1], behind[1], cv2.BORDER_REPLICATE
        )
        method = cv2.INTER_AREA if self.side > self.size else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(border, (self.size, self.size), interpolation=method))

    def inside(self) -> Array:
        """(size, size) truth: pixels that show the frame and not what was made up beside it."""
        places = (np.arange(self.size) + 0.5) / self.scale
        across, down = places + self.left, places + self.top
        rows = (down > 1) & (down < self.height - 1)
        columns = (across > 1) & (across < self.width - 1)
        return np.asarray(rows[:, None] & columns[None])

    @classmethod
    def around(cls, track: Track, options: Options) -> Crop:
        """The square that holds the head in all frames."""
        present = track.landmarks[track.present]
        places = present[:, :468, :2].reshape(-1, 2)
        low, high = np.percentile(places, [_FAR, 100 - _FAR], axis=0)
        face, (height, width) = track.face_size, track.size
        top, bottom = low[1] - _ABOVE * face, high[1] + _BELOW * face
        side = max(bottom - top, high[0] - low[0] + 2 * _ASIDE * face)
        side = min(side, _LARGER_THAN_FRAME * max(width, height))
        x, y = (low[0] + high[0]) / 2, (top + bottom) / 2
        whole = max(round(side), 16)
        # Where the frame ends below, room is above: there is hair.
        upper = min(y - whole / 2, height - whole) if whole < height else (height - whole) / 2
        return cls(
            round(x - whole / 2), round(upper), whole, options.size, width, height, options.focal
        )

    @classmethod
    def read(cls, work: Workspace) -> Crop:
        """That of a subject."""
        path = work.folder / FILE
        found = read_json(path, dict, max_bytes=10_000)
        try:
            return cls(**found)
        except TypeError:
            raise InvalidInput(f"{path}: is damaged; remove it and start again.") from None


class CropStep:
    """Cuts the square out of every frame of the take; pictures that are there stay."""

    name, version, after, cost = "crop", 1, ("landmarks",), 45.0
    outputs = (FILE, FOLDER)
    frames_apart = ("focal",)

    def settings(self, options: Options) -> dict[str, Any]:
        """Size and focal length."""
        return {"size": options.size, "focal": options.focal}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`."""
        import json

        track = Track.read(work)
        crop = Crop.around(track, work.options)
        earlier = work.earlier
        crop = (_earlier_crop(earlier, crop) if earlier else None) or crop
        with replace_file(work.folder / FILE) as partial:
            partial.write_text(json.dumps(asdict(crop)) + "\n", "utf-8")
        if earlier:
            take_over(work, earlier, FOLDER)
        missing = set(missing_pictures(work.folder / FOLDER, track.num_frames))
        if missing:
            for number, pixels in track.frames(work, min(missing) - 1):
                if number + 1 in missing:
                    save_picture(work.folder / FOLDER / f"{number + 1}.png", crop.cut_out(pixels))
                report((number + 1) / track.num_frames)
        if crop.scale > 2:
            return [
                f"{work.source.path.name}: the head is only {crop.side} pixels large and was "
                f"enlarged {crop.scale:.1f} times; a smaller --size shows as much."
            ]
        return []


def _earlier_crop(earlier: Workspace, wanted: Crop) -> Crop | None:
    """The square of an earlier capture of this video, where it holds the head as well."""
    if not (earlier.folder / FILE).is_file():
        return None
    found = Crop.read(earlier)
    kept = replace(found, focal_share=wanted.focal_share)
    is_alike = (kept.size, kept.width, kept.height) == (wanted.size, wanted.width, wanted.height)
    ways = kept.left - wanted.left, kept.top - wanted.top, kept.side - wanted.side
    return kept if is_alike and max(map(abs, ways)) <= _HOLDS_AS_WELL * wanted.side else None


def take_over(work: Workspace, earlier: Workspace, folder: str) -> set[int]:
    """Have the pictures of an earlier capture that show frames of this one, in a folder of both.

    Returns:
        Their numbers. They are none where the earlier pictures were cut out otherwise.
    """
    if not (earlier.folder / folder).is_dir():
        return set()
    now, before = Crop.read(work), Crop.read(earlier)
    if replace(before, focal_share=now.focal_share) != now:
        return set()
    found = set()
    for number, old in Track.read(work).numbers_in(Track.read(earlier)).items():
        source, target = earlier.folder / folder / f"{old}.png", work.folder / folder
        if source.is_file():
            link(source, target / f"{number}.png")
            found.add(number)
    return found


def missing_pictures(folder: Path, count: int) -> list[int]:
    """Numbers from 1 of the pictures that are not there yet."""
    return [n for n in range(1, count + 1) if not (folder / f"{n}.png").is_file()]


def save_picture(path: Path, pixels: Array) -> None:
    """Write a picture, which appears whole or not at all; InvalidInput where it cannot be."""
    import cv2

    ordered = np.ascontiguousarray(pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    # Encoded first: OpenCV does not tell of a disk that fills up at a file's last bytes.
    encoded = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    with replace_file(path) as partial:
        partial.write_bytes(encoded.tobytes())


def read_picture(folder: Path, number: int) -> Bytes:
    """A picture of this program's own making, (S, S, 3) RGB or (S, S).

    Raises:
        InvalidInput: it is gone or damaged.
    """
    import cv2

    path = folder / f"{number}.png"
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None:
        raise InvalidInput(f"{path}: is gone or damaged; remove it and start again.")
    return np.asarray(pixels[..., ::-1] if pixels.ndim == 3 else pixels)
