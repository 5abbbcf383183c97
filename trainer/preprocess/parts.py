"""What is learned: a mask without clothes and rim, colours without background, part labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from pegasus_runtime.files import replace_file
from pegasus_runtime.head import Head, load_free_head
from pegasus_runtime.head.parts import WORN_PARTS, require_parts
from trainer.data.capture_folder import PART_NAMES_FILE
from trainer.preprocess import landmark_groups as groups
from trainer.preprocess.arrays import Array
from trainer.preprocess.crop import FOLDER as CROPS
from trainer.preprocess.crop import Crop, missing_pictures, read_picture, save_picture
from trainer.preprocess.estimators import Bytes, FloatArray
from trainer.preprocess.face_track import Track
from trainer.preprocess.fit_step import FittedHead
from trainer.preprocess.matte import FOLDER as MATTES
from trainer.preprocess.matte import HAIR_FOLDER
from trainer.preprocess.model_files import PARSING_NAMES, find_asset
from trainer.preprocess.onnx_networks import PARSING_CLASSES, FaceParser, asset_digest
from trainer.preprocess.steps import Fraction, Options, Workspace

_RIM_PX, _HAIR_RIM_PX = 3, 2
"""of 512, by which mattes are taken in: there a picture shows something of what is behind; fewer
leave background in the rim, more take colour off the person"""
_NOMINAL = 512
"""The side that pixels here are told for."""
_FADE_PX, _REACH_PX = 4, 14
"""Of 512: over which the neckline fades, and how far colours beside the outline are taken from. A
shorter fade is a hard edge; farther colours are steadier, and less those of the place."""
_ALIKE = 24.0
"""of 255: colours of person and background nearer to one another are not told apart. Less of it
amplifies noise, more leaves a rim of background."""
_HEAD_WIDTH, _WIDER = 0.95, 1.06
"""over the face's own: half of the head with its hair, and where skin ends beside the oval. A wider
head takes in what hangs beside it, a narrower one loses hair; the second, less of it takes cheeks
for hair, more hair for cheeks."""
_EAR_DISTANCE = 2.2
"""as the next, of ears, which lie where hair does too; less takes ears for hair, more hair of the
skin's colour for ears"""
_SKIN_DISTANCE = 3.0
"""standard deviations of the face's colours, within which the neck is skin; less loses shaded
necks, more takes in collars of that colour"""
_TEETH_LIGHTNESS, _TEETH_COLOUR = 0.62, 0.75
"""of the skin's, above and below which the inside of the mouth is teeth. A lower first or a higher
second takes tongues for teeth, else shaded teeth are lost."""
_LOWEST_VERTICES, _NECK_MARGIN = 40, 0.05
"""What of the head is the end of its neck, and how far above that the mask ends, in its heights:
less draws the last surfels out to cover what they cannot, more cuts chins."""
_BESIDE_PX = 8
"""of 512, how far from the fitted head's outline neck and jaw may be: less cuts cheeks, more keeps
collars"""
_SAMPLED_FRAMES = 24
"""That colours are learned from: more are surer and take longer."""
_EVERY = 7
"""one in so many pixels of them: as the number of frames"""
_SKIN_SPREAD = (60.0, 9.0, 9.0)
"""variances in L*a*b* that are added to a face's own, for light that differs below the chin; more
takes in collars, less loses shaded necks"""
_SURELY = 0.98
"""of a matte, from which a colour is the person's, and less its rest the background's; less mixes
both into either, more finds no pure colour at soft hair"""
_SURE_HAIR = 0.5
"""Of a matte: less takes the veil beside it for hair, more loses thin hair."""
_OF_PARSING = {
    "skin": ("skin",),
    "lips": ("upper lip", "lower lip"),
    "nose": ("nose",),
    "ears": ("left ear", "right ear", "earring"),
    "eyebrows": ("left brow", "right brow"),
    "eyes": ("left eye", "right eye"),
    "mouth": ("mouth",),
    "neck": ("neck", "necklace"),
    "hair": ("hair",),
    "hat": ("hat",),
    "clothes": ("clothes",),
}


def part_names(head: Head) -> tuple[str, ...]:
    """The names of the labels, in order; they are those of synthetic captures."""
    return (*head.part_names, *WORN_PARTS, "background")


@dataclass(frozen=True, eq=False)
class SkinColours:
    """The colours of a face, as a Gaussian in L*a*b*."""

    mean: Array
    """(3,)"""
    inverse: Array
    """(3, 3) of the covariance"""

    @classmethod
    def of(cls, samples: Array) -> SkinColours:
        """Of L*a*b* colours (S, 3)."""
        covariance = np.cov(samples.T) + np.diag(_SKIN_SPREAD)
        return cls(np.median(samples, axis=0), np.linalg.inv(covariance))

    def distance(self, colours: Array) -> Array:
        """(…,) standard deviations from the mean, of colours (…, 3)."""
        away = (colours - self.mean).astype(np.float32)
        whitened = away @ np.linalg.cholesky(self.inverse).astype(np.float32)
        return np.asarray(np.sqrt(np.square(whitened).sum(axis=-1)))


class PartsStep:
    """Writes ``image``, ``mask`` and ``semantic``."""

    name, version, after, cost = "parts", 5, ("matte", "hair", "fit", "landmarks", "crop"), 70.0
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
        self._work, self._head, self._names = work, head, part_names(head)
        track, self._crop, self._fit = Track.read(work), Crop.read(work), FittedHead.read(work)
        self.count, self._present = track.num_frames, track.present
        self._places = self._crop.to_picture(track.landmarks)[..., :2]
        self._inside = self._crop.inside()
        self._has_hair = (work.folder / HAIR_FOLDER / "1.png").is_file()
        own = find_asset(PARSING_NAMES)
        self._parser = FaceParser(own) if own else None
        self._neckline = self._find_necklines(head)
        self._skin = self._learn_skin()
        parts, faces = require_parts(head), head.faces.numpy()
        self._faces_of = {
            name: faces[parts.on(name).numpy()[faces].all(axis=1)] for name in ("nose", "ears")
        }

    def make(self, number: int) -> dict[str, Bytes]:
        """image, mask and semantic."""
        picture = read_picture(self._work.folder / CROPS, number)
        matte = self._read(MATTES, number) * self._inside
        labels, hair = self._label(picture, matte, number)
        clothes = labels == self._names.index("clothes")
        mask = _taken_in(matte, hair, self._crop.size) * self._above_neckline(number)
        mask = np.where(clothes | self._beside_neck(number, hair), 0, mask)
        labels = np.where(matte < 0.5, self._names.index("background"), labels)
        return {
            "image": unmixed(picture, matte),
            "mask": (mask * 255).round().astype(np.uint8),
            "semantic": labels.astype(np.uint8),
        }

    def _read(self, folder: str, number: int) -> FloatArray:
        pixels = read_picture(self._work.folder / folder, number)
        return np.asarray(pixels.astype(np.float32) / 255)

    def _learn_skin(self) -> SkinColours:
        """From the cheeks, the nose and the forehead of some frames."""
        shown = np.flatnonzero(self._present)
        chosen = shown[np.linspace(0, len(shown) - 1, min(_SAMPLED_FRAMES, len(shown))).astype(int)]
        samples = []
        for index in chosen:
            picture = read_picture(self._work.folder / CROPS, int(index) + 1)
            face = self._face_shapes(self._places[index])["skin"]
            samples.append(_lab(picture)[face][::_EVERY])
        return SkinColours.of(np.concatenate(samples))

    def _face_shapes(self, places: FloatArray) -> dict[str, Array]:
        """(S, S) truths by name: the landmarks' polygons, later ones cut out of the skin."""
        outlines = {
            "skin": (groups.OVAL,),
            "eyebrows": (groups.RIGHT_BROW, groups.LEFT_BROW),
            "eyes": (groups.RIGHT_EYE, groups.LEFT_EYE),
            "lips": (groups.OUTER_LIPS,),
            "mouth": (groups.INNER_LIPS,),
        }
        shapes = {
            name: _filled([places[list(line)] for line in lines], self._crop.size)
            for name, lines in outlines.items()
        }
        for name in ("eyebrows", "eyes", "lips", "mouth"):
            shapes["skin"] &= ~shapes[name]
        shapes["lips"] &= ~shapes["mouth"]
        return shapes

    def _label(self, picture: Bytes, matte: FloatArray, number: int) -> tuple[Bytes, Array]:
        """(S, S) labels, and truth where there is hair."""
        labels = np.full(matte.shape, self._names.index("clothes"), np.uint8)
        if not self._present[number - 1]:
            return labels, np.zeros(matte.shape, bool)

        def mark(name: str, where: Array) -> None:
            np.copyto(labels, np.uint8(self._names.index(name)), where=where)

        colours, places = _lab(picture), self._places[number - 1]
        distance = self._skin.distance(colours)
        shapes, like_skin = self._face_shapes(places), distance < _SKIN_DISTANCE
        rows, columns = np.ogrid[: self._crop.size, : self._crop.size]
        outline = places[list(groups.OVAL)]
        centre, width = outline[:, 0].mean(), np.ptp(outline[:, 0])
        above = rows < places[groups.CHIN, 1]
        beside = np.abs(columns - centre) < _HEAD_WIDTH * width
        over_clothes = rows < self._neckline[number - 1]
        mark("neck", like_skin & ~above & over_clothes)
        mark("skin", above & beside)
        hair = self._hair(matte, distance, places, over_clothes & beside, number)
        mark("hair", hair)
        mark("skin", shapes["skin"] & (like_skin | ~hair))
        mark("nose", shapes["skin"] & self._fitted("nose", number))
        # Within the face's outline it would be the far one.
        oval = _filled([outline], self._crop.size)
        mark("ears", like_skin & ~hair & ~oval & self._fitted("ears", number))
        for name in ("eyebrows", "eyes", "lips", "mouth"):
            mark(name, shapes[name])
        mark("teeth", self._teeth(colours, shapes["mouth"]))
        if self._parser:
            labels = self._parsed(self._parser.parse(picture), labels, like_skin)
            hair = labels == self._names.index("hair")
        return labels, hair

    def _hair(
        self, matte: FloatArray, distance: Array, places: FloatArray, on_head: Array, number: int
    ) -> Array:
        own = matte > _SURE_HAIR
        if self._has_hair:
            return np.asarray(own & (self._read(HAIR_FOLDER, number) > _SURE_HAIR))
        # Without its network: above the forehead all, beside the face what is not skin.
        outline = places[list(groups.OVAL)]
        wider = outline.mean(axis=0) + _WIDER * (outline - outline.mean(axis=0))
        face = _filled([wider], self._crop.size)
        brows = places[list(groups.RIGHT_BROW + groups.LEFT_BROW), 1].min()
        over_brows = np.arange(self._crop.size)[:, None] < brows
        is_other = over_brows | (distance > _EAR_DISTANCE)
        return np.asarray(own & on_head & ~face & is_other)

    def _teeth(self, colours: Array, mouth: Array) -> Array:
        """What is light and colourless between the lips."""
        light, colour = colours[..., 0], np.hypot(colours[..., 1], colours[..., 2])
        usual = max(float(np.hypot(*self._skin.mean[1:])), 1.0)
        is_light = light > _TEETH_LIGHTNESS * self._skin.mean[0]
        return np.asarray(mouth & is_light & (colour < _TEETH_COLOUR * usual))

    def _fitted(self, name: str, number: int) -> Array:
        """(S, S) truth where a part of the fitted head turns to the camera."""
        corners = self._fit.vertices(self._head, number)[self._faces_of[name]]
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        # Seen from the front triangles run against the clock; the picture's y points down.
        is_front = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
        return _covered(corners[is_front], self._crop.size)

    def _parsed(self, parsed: Bytes, labels: Bytes, like_skin: Array) -> Bytes:
        """Labels of a network of the user's, where it names a part that we know.

        It takes all that is seen through glasses for glasses, of which only rims are.
        """
        import cv2

        size = self._crop.size
        resized = cv2.resize(parsed, (size, size), interpolation=cv2.INTER_NEAREST)
        kept = labels == self._names.index("teeth")
        for ours, theirs in _OF_PARSING.items():
            numbers = [PARSING_CLASSES.index(name) for name in theirs]
            where = np.isin(resized, numbers) & ~kept
            np.copyto(labels, np.uint8(self._names.index(ours)), where=where)
        behind = np.isin(labels, [self._names.index(name) for name in ("eyes", "eyebrows")])
        rims = (resized == PARSING_CLASSES.index("glasses")) & ~like_skin & ~behind
        np.copyto(labels, np.uint8(self._names.index("glasses")), where=rims)
        return labels

    def _find_necklines(self, head: Head) -> Array:
        """(N,) the row of each picture in which the fitted head's neck ends."""
        lowest = head.template[:, 1].argsort()[:_LOWEST_VERTICES].numpy()
        lines = []
        for number in range(1, self.count + 1):
            rows = self._fit.vertices(head, number)[:, 1]
            height = rows[lowest].mean() - rows.min()
            lines.append(np.median(rows[lowest]) - _NECK_MARGIN * height)
        return np.array(lines)

    def _beside_neck(self, number: int, hair: Array) -> Array:
        """(S, S) truth for what lies lower than the ears, and neither on the head nor is hair.

        Shoulders move on their own: where mattes keep them in some frames, nothing could be learned
        of them but a smear.
        """
        import cv2

        places = self._fit.vertices(self._head, number)
        size, margin = self._crop.size, _BESIDE_PX * self._crop.size / _NOMINAL
        head = _covered(places[self._head.faces.numpy()], size).astype(np.uint8)
        reach = 2 * round(margin) + 1
        around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        ears = places[require_parts(self._head).on("ears").numpy(), 1].max()
        lower = np.arange(size)[:, None] > ears
        # Long hair hangs down from the head; what is dark and does not is a collar.
        _, pieces = cv2.connectedComponents(hair.astype(np.uint8))
        hanging = hair & np.isin(pieces, np.unique(pieces[hair & ~lower]))
        return np.asarray(lower & (cv2.dilate(head, around) == 0) & ~hanging)

    def _above_neckline(self, number: int) -> Array:
        """(S, 1) 1 above where the head ends, fading to 0."""
        rows = np.arange(self._crop.size)[:, None] + 0.5
        fade = _FADE_PX * self._crop.size / _NOMINAL
        return np.asarray(np.clip((self._neckline[number - 1] - rows) / fade + 0.5, 0, 1))


def _covered(triangles: Array, size: int) -> Array:
    """(S, S) truth within triangles (T, 3, 2)."""
    import cv2

    shape = np.zeros((size, size), np.uint8)
    for triangle in triangles.round().astype(np.int32):  # in one call overlapping ones cancel out
        cv2.fillConvexPoly(shape, triangle, 1)
    return shape > 0


def _filled(outlines: list[FloatArray], size: int) -> Array:
    """(S, S) truth within polygons."""
    import cv2

    shape = np.zeros((size, size), np.uint8)
    cv2.fillPoly(shape, [line.round().astype(np.int32)[:, None] for line in outlines], 1)
    return shape > 0


def unmixed(picture: Bytes, matte: FloatArray) -> Bytes:
    """A picture whose rim has no background in its colours.

    How much of a pixel near the edge is background is told by its colour: where it lies between
    that of the person and that of the background near by. That much is taken off, also where the
    matte says that all is the person's: videos keep colours coarser than light.
    """
    import cv2

    size = picture.shape[0]
    side = max(size // 2, 1)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    inner = cv2.resize(matte, (side, side), interpolation=cv2.INTER_AREA)
    rim = max(round(_RIM_PX * side / _NOMINAL), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * rim + 1, 4 * rim + 1))
    own = (cv2.erode(inner, disc) > _SURELY).astype(np.float32)
    behind = (cv2.dilate(inner, disc[rim:-rim, rim:-rim]) < 1 - _SURELY).astype(np.float32)
    radius = max(round(_REACH_PX * side / _NOMINAL), 2)
    both = [cv2.resize(_mean_where(small, w, radius), (size, size)) for w in (own, behind)]
    band = cv2.resize(own + behind, (size, size)) < 0.999
    rows, columns = np.nonzero(band)
    colours, front, back = (c[rows, columns].astype(np.float32) for c in (picture, *both))
    line = front - back
    length = np.square(line).sum(axis=1)
    share = ((colours - back) * line).sum(axis=1) / np.maximum(length, 1.0)
    # Alike colours tell nothing, and need nothing.
    weight = np.clip(length / _ALIKE**2 - 1, 0, 1) * (1 - share.clip(0, 1))
    found = picture.copy()
    found[rows, columns] = (colours + weight[:, None] * line).clip(0, 255).round()
    return found


def _mean_where(colours: FloatArray, weight: FloatArray, radius: int) -> FloatArray:
    """Mean colour of weighted pixels near each pixel, farther ones where there is none near."""
    import cv2

    weighted, means = colours * weight[..., None], []
    for factor in (1, 4):
        side = 2 * radius * factor + 1
        total = cv2.boxFilter(weighted, -1, (side, side), normalize=False)
        count = cv2.boxFilter(weight, -1, (side, side), normalize=False)
        means.append((total / np.maximum(count, 1e-3)[..., None], count > 0.5))
    (near, is_near), (far, is_far) = means
    far = np.where(is_far[..., None], far, colours)
    return np.where(is_near[..., None], near, far).astype(np.float32)


def _taken_in(matte: FloatArray, hair: Array, size: int) -> FloatArray:
    """A matte whose edge lies further in, less so at hair, which is thin."""
    import cv2

    def eroded(pixels: int) -> FloatArray:
        width = 2 * max(round(pixels * size / _NOMINAL), 1) + 1
        shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        return np.asarray(cv2.erode(matte, shape, borderType=cv2.BORDER_REPLICATE))

    near = cv2.dilate(hair.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return np.where(near, eroded(_HAIR_RIM_PX), eroded(_RIM_PX))


def _lab(picture: Bytes) -> FloatArray:
    """(S, S, 3) L* 0..100, a* and b*."""
    import cv2

    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))
