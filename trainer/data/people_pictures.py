"""What each category of a person looks like, as small pictures for a table to choose from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.config.data import DataConfig
from trainer.data.capture_folder import FrameRecord, read_part_names, read_subject
from trainer.data.image_file import PictureFile
from trainer.data.video_check import as_base64
from trainer.database.people import PARTS_OF, Person
from trainer.preprocess.estimators import Bytes
from trainer.preprocess.look_parts import TILE

_SIDE = 256
"""Pixels in which parts are looked for: more are sharper, and longer to read."""
_AROUND = 1.7
"""side of a shown picture over the part's: more shows more of the face, less only the part"""
_LEAST_TILE = 0.34
"""Of the picture: an eyebrow alone is known by nobody. More shows so much that rows look alike."""
_TRIED_FRAMES = 8
"""of which the one with most of the eyes is shown: more find one that looks straight ahead"""


def pictures_of_parts(person: Person) -> dict[str, str]:
    """What each category of a person looks like, in a frame that faces the camera."""
    data = DataConfig()
    frames = read_subject(person.folder, data.image_size, data.max_bad_share).frames
    names = read_part_names(person.folder)
    labelled = [frame for frame in frames if "semantic" in frame.files]
    some = labelled[:: max(len(labelled) // _TRIED_FRAMES, 1)]
    try:
        facing = max(some, key=lambda frame: _num_pixels(frame, names, "eyes"), default=None)
        return _parts_of_frame(facing, names, person.categories) if facing else {}
    except ValueError:
        return {}


def _num_pixels(frame: FrameRecord, names: Sequence[str], category: str) -> int:
    return int(_mask(frame, names, category).sum())


def _mask(frame: FrameRecord, names: Sequence[str], category: str) -> np.ndarray:
    classes = PictureFile.read(frame.files["semantic"]).classes(_SIDE)
    numbers = [index for index, name in enumerate(names) if name in PARTS_OF[category]]
    return np.isin(classes, numbers)


def _parts_of_frame(
    frame: FrameRecord, names: Sequence[str], categories: Sequence[str]
) -> dict[str, str]:
    picture = PictureFile.read(frame.files["image"]).composite_over_white(_SIDE)
    return {
        category: as_base64(_around(picture, _mask(frame, names, category)))
        for category in categories
    }


def _around(picture: Bytes, mask: np.ndarray) -> Bytes:
    """The square of a picture around what is seen in a mask; all of it where nothing is."""
    side = picture.shape[0]
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return _reduced(picture)
    top, bottom = np.percentile(rows, (1, 99))
    left, right = np.percentile(columns, (1, 99))
    wanted = max(_AROUND * max(bottom - top, right - left), _LEAST_TILE * side)
    wanted = int(min(wanted, side))
    first_row = int(np.clip((top + bottom - wanted) / 2, 0, side - wanted))
    first_column = int(np.clip((left + right - wanted) / 2, 0, side - wanted))
    part = picture[first_row : first_row + wanted, first_column : first_column + wanted]
    return _reduced(part)


def _reduced(picture: Bytes) -> Bytes:
    import cv2

    return np.asarray(cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)
