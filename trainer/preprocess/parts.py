"""The step that writes what is learned: colours without background, a mask, and part labels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pegasus_runtime.files import replace_file
from pegasus_runtime.head import Head, load_free_head
from pegasus_runtime.head.parts import require_parts
from trainer.data.capture_folder import PART_NAMES_FILE
from trainer.preprocess.arrays import Array
from trainer.preprocess.crop import FOLDER as CROPS
from trainer.preprocess.crop import Crop, missing_pictures, read_picture, save_picture
from trainer.preprocess.estimators import Bytes, FloatArray
from trainer.preprocess.face_parsing import FaceLabels, part_names
from trainer.preprocess.fit_step import FittedHead, covered_pixels
from trainer.preprocess.foreground import NOMINAL_SIZE, foreground_colours, foreground_mask
from trainer.preprocess.matte import FOLDER as MATTES
from trainer.preprocess.matte import HAIR_FOLDER
from trainer.preprocess.model_files import PARSING_NAMES
from trainer.preprocess.onnx_networks import asset_digest
from trainer.preprocess.steps import Fraction, Options, Workspace

_FADE_PX = 4
"""Of 512: over which the neckline fades. A shorter fade is a hard edge."""
_LOWEST_VERTICES, _NECK_MARGIN = 40, 0.05
"""What of the head is the end of its neck, and how far above that the mask ends, in its heights:
less draws the last surfels out to cover what they cannot, more cuts chins."""
_FACE = ("skin", "lips", "mouth", "nose", "ears", "eyebrows", "eyelids", "eyes")
"""parts of the head that are learned however low they are"""
_STEEPEST = 0.4
"""rise of that end over its width: seen from the side a few pixels of width tell nothing"""
_SPECK_PX = 9
"""of 512, as wide as clothes are at least: less leaves holes in necks, more leaves thin collars"""
_BESIDE_PX = 8
"""of 512, how far from the fitted head's outline skin may be: less cuts cheeks and takes ears for
hair, more keeps collars"""


class PartsStep:
    """Writes ``image``, ``mask`` and ``semantic``."""

    name, version, after, cost = "parts", 8, ("matte", "hair", "fit", "landmarks", "crop"), 85.0
    outputs = ("image/", "mask/", "semantic/", PART_NAMES_FILE)
    frames_apart = None

    def settings(self, options: Options) -> dict[str, Any]:
        """Which network names the parts, if any."""
        return {"network": asset_digest(PARSING_NAMES)}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`."""
        head = load_free_head()
        names = part_names(head)
        with replace_file(work.folder / PART_NAMES_FILE) as partial:
            partial.write_text(json.dumps(names, indent=1) + "\n", "utf-8")
        maker = _PartsMaker(work, head)
        missing: set[int] = set()
        for kind in ("image", "mask", "semantic"):
            missing |= set(missing_pictures(work.folder / kind, maker.count))
        for done, number in enumerate(sorted(missing), start=maker.count - len(missing) + 1):
            for kind, pixels in maker.make(number).items():
                save_picture(work.folder / kind / f"{number}.png", pixels)
            report(done / maker.count)
        return []


class _PartsMaker:
    """The pictures of one frame after the other."""

    def __init__(self, work: Workspace, head: Head) -> None:
        self._work, self._head = work, head
        self._crop, self._fit = Crop.read(work), FittedHead.read(work)
        self.count = len(self._fit.cameras)
        self._inside = self._crop.inside()
        self._has_hair = (work.folder / HAIR_FOLDER / "1.png").is_file()
        self._neckline = self._find_necklines()
        faces = head.faces.numpy()
        self._face = faces[require_parts(head).on(*_FACE).numpy()[faces].all(axis=1)]
        self._labels = FaceLabels(work, head, self._neckline)

    def make(self, number: int) -> dict[str, Bytes]:
        """image, mask and semantic."""
        picture = read_picture(self._work.folder / CROPS, number)
        matte = self._read(MATTES, number) * self._inside
        own_hair = self._read(HAIR_FOLDER, number) if self._has_hair else None
        vertices = self._fit.vertices(self._head, number)
        aside = self._aside(vertices)
        labels, hair = self._labels.find(picture, matte, own_hair, vertices, aside, number)
        names = self._labels.names
        clothes = _without_specks(labels == names.index("clothes"))
        mask = foreground_mask(matte, hair) * self._above_neckline(vertices, number)
        # Shoulders move on their own: where mattes keep them in some frames, nothing could be
        # learned of them but a smear.
        beside_neck = self._labels.lower_than_ears(vertices) & aside & ~hair
        mask = np.where(clothes | beside_neck, 0, mask)
        labels = np.where(matte < 0.5, names.index("background"), labels)
        return {
            "image": foreground_colours(picture, matte),
            "mask": (mask * 255).round().astype(np.uint8),
            "semantic": labels.astype(np.uint8),
        }

    def _read(self, folder: str, number: int) -> FloatArray:
        pixels = read_picture(self._work.folder / folder, number)
        return np.asarray(pixels.astype(np.float32) / 255)

    def _find_necklines(self) -> Array:
        """(N, S) the row of each column in which the fitted head's neck ends.

        It is level with the head's own shoulders, not with the picture: so a tilted head is cut
        where it always is, and not now lower on one side and now on the other.
        """
        lowest = self._head.template[:, 1].argsort()[:_LOWEST_VERTICES].numpy()
        columns, lines = np.arange(self._crop.size) + 0.5, []
        for number in range(1, self.count + 1):
            places = self._fit.vertices(self._head, number)
            height = places[lowest, 1].mean() - places[:, 1].min()
            middle = np.median(places[lowest], axis=0)
            across, down = places[lowest].T
            slope = np.polyfit(across, down, 1)[0].clip(-_STEEPEST, _STEEPEST)
            lines.append(middle[1] + slope * (columns - middle[0]) - _NECK_MARGIN * height)
        return np.array(lines, np.float32)

    def _aside(self, vertices: Array) -> Array:
        """(S, S) truth for what lies beside the fitted head, where no skin is."""
        import cv2

        size, margin = self._crop.size, _BESIDE_PX * self._crop.size / NOMINAL_SIZE
        head = covered_pixels(vertices[self._head.faces.numpy()], size).astype(np.uint8)
        reach = 2 * round(margin) + 1
        around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        return np.asarray(cv2.dilate(head, around) == 0)

    def _above_neckline(self, vertices: Array, number: int) -> Array:
        """(S, S) 1 above where the head ends, fading to 0; and on a chin that is lower than that.

        Of a head that nods the chin hides the neck. Cut off there, it would be learned to be
        nothing, and from below one would look through it into the mouth.
        """
        rows = np.arange(self._crop.size)[:, None] + 0.5
        fade = _FADE_PX * self._crop.size / NOMINAL_SIZE
        above = np.clip((self._neckline[number - 1] - rows) / fade + 0.5, 0, 1)
        face = covered_pixels(vertices[self._face], self._crop.size)
        return np.asarray(np.maximum(above, face))


def _without_specks(where: Array) -> Array:
    """(S, S) truth without what is thinner than any clothes: a chin's shade has such specks."""
    import cv2

    side = max(round(_SPECK_PX * len(where) / NOMINAL_SIZE), 1)
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, shape) > 0)
