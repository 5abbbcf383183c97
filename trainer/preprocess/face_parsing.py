"""Face parsing: the part of the head that each pixel shows, by landmarks, fit and colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import WORN_PARTS, require_parts
from trainer.preprocess import landmark_groups as groups
from trainer.preprocess.arrays import Array
from trainer.preprocess.colour_histogram import lab
from trainer.preprocess.crop import FOLDER as CROPS
from trainer.preprocess.crop import Crop, read_picture
from trainer.preprocess.estimators import Bytes, FloatArray
from trainer.preprocess.face_track import Track
from trainer.preprocess.fit_step import covered_pixels
from trainer.preprocess.hair_colours import GuessedHair, HairColours
from trainer.preprocess.matte import FOLDER as MATTES
from trainer.preprocess.model_files import PARSING_NAMES, find_asset
from trainer.preprocess.onnx_networks import PARSING_CLASSES, FaceParser
from trainer.preprocess.steps import Workspace

_HEAD_WIDTH, _WIDER = 0.95, 1.06
"""over the face's own: half of the head with its hair, and where skin ends beside the oval. A wider
head takes in what hangs beside it, a narrower one loses hair; the second, less of it takes cheeks
for hair, more hair for cheeks."""
_SKIN_DISTANCE = 3.0
"""standard deviations of the face's colours, within which the neck is skin; less loses shaded
necks, more takes in collars of that colour"""
_TEETH_LIGHTNESS, _TEETH_COLOUR = 0.62, 0.75
"""of the skin's, above and below which the inside of the mouth is teeth. A lower first or a higher
second takes tongues for teeth, else shaded teeth are lost."""
_SAMPLED_FRAMES = 24
"""That colours are learned from: more are surer and take longer."""
_EVERY = 7
"""one in so many pixels of them: as the number of frames"""
_SKIN_SPREAD = (60.0, 9.0, 9.0)
"""variances in L*a*b* that are added to a face's own, for light that differs below the chin; more
takes in collars, less loses shaded necks"""
_SURE_HAIR, _SURELY_SHOWN = 0.5, 0.95
"""Of a matte: less takes the veil beside it for hair, more loses thin hair; the second, less of it
learns colours from what is behind, more finds no place at thin hair to learn from."""
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


class FaceLabels:
    """The labels of one picture after the other."""

    def __init__(self, work: Workspace, head: Head, necklines: Array) -> None:
        """Of a subject with a matte, a track and a crop; necks end in these rows (N, S)."""
        self._work, self.names = work, part_names(head)
        self._necklines = necklines
        track, self._crop = Track.read(work), Crop.read(work)
        self._present = track.present
        self._places = self._crop.to_picture(track.landmarks)[..., :2]
        own = find_asset(PARSING_NAMES)
        self._parser = FaceParser(own) if own else None
        self._skin, self._hair = self._learn_colours()
        share = self._places / self._crop.size
        self._guessed = GuessedHair(self._hair_evidence, share, track.present, track.fps)
        parts, faces = require_parts(head), head.faces.numpy()
        self._ears = parts.on("ears").numpy()
        self._faces_of = {
            name: faces[parts.on(name).numpy()[faces].all(axis=1)] for name in ("nose", "ears")
        }

    def find(
        self,
        picture: Bytes,
        matte: FloatArray,
        hair_matte: FloatArray | None,
        vertices: Array,
        aside: Array,
        number: int,
    ) -> tuple[Bytes, Array]:
        """Those of a picture.

        Args:
            picture: (S, S, 3).
            matte: (S, S) 0..1 of the person.
            hair_matte: (S, S) 0..1 of the hair, if a network found one.
            vertices: (V, 2) places of the fitted head's.
            aside: (S, S) truth for what lies beside that head.
            number: of the picture, from 1.

        Returns:
            (S, S) labels, numbers of `names`; and (S, S) truth where there is hair.
        """
        labels = np.full(matte.shape, self.names.index("clothes"), np.uint8)
        if not self._present[number - 1]:
            return labels, np.zeros(matte.shape, bool)

        def mark(name: str, where: Array) -> None:
            np.copyto(labels, np.uint8(self.names.index(name)), where=where)

        colours, places = lab(picture), self._places[number - 1]
        distance = self._skin.distance(colours)
        shapes, like_skin = self._face_shapes(places), distance < _SKIN_DISTANCE
        rows = np.arange(self._crop.size)[:, None]
        above, over_clothes = rows < places[groups.CHIN, 1], rows < self._necklines[number - 1]
        beside = self._beside(places)
        mark("neck", like_skin & ~above & over_clothes)
        mark("skin", above & beside)
        # Beside a jaw: a head that is drawn in or tilted has its collar there.
        lower = self.lower_than_ears(vertices)
        wider = self._wider_face(places)
        mark("clothes", above & beside & lower & ~like_skin & ~wider)
        hair = self._coloured_like_hair(like_skin, number) & over_clothes & beside & ~wider
        if hair_matte is not None:
            # The network ends hair that hangs beside a neck where the neck does.
            hair |= hair_matte > _SURE_HAIR
        # What mixes with the background at its edge has neither's colour. Skin it is not.
        mark("clothes", aside & lower)
        hair = _touching(hair, hair | (aside & ~lower & over_clothes & beside))
        hair = _hanging_down(hair & (matte > _SURE_HAIR), lower)
        mark("hair", hair)
        mark("skin", shapes["skin"] & (like_skin | ~hair))
        mark("nose", shapes["skin"] & self._fitted("nose", vertices))
        # Within the face's outline it would be the far one.
        oval = _filled([places[list(groups.OVAL)]], self._crop.size)
        mark("ears", like_skin & ~hair & ~oval & self._fitted("ears", vertices))
        for name in ("eyebrows", "eyes", "lips", "mouth"):
            mark(name, shapes[name])
        mark("teeth", self._teeth(colours, shapes["mouth"]))
        if self._parser:
            labels = self._parsed(self._parser.parse(picture), labels, like_skin)
            hair = _hanging_down(labels == self.names.index("hair"), lower)
        return labels, hair

    def _coloured_like_hair(self, like_skin: Array, number: int) -> Array:
        """(S, S) truth, by the colours of this person's hair; what is above the brows and like no
        skin is hair, whatever its light."""
        brows = self._places[number - 1][list(groups.RIGHT_BROW + groups.LEFT_BROW), 1].min()
        above = np.arange(self._crop.size)[:, None] < brows
        return np.asarray(self._guessed.find(number, self._crop.size) | above & ~like_skin)

    def lower_than_ears(self, vertices: Array) -> Array:
        """(S, 1) truth for the rows below the ears of a head with its vertices in places (V, 2)."""
        rows = np.arange(self._crop.size)[:, None]
        return np.asarray(rows > vertices[self._ears, 1].max(initial=0))

    def _learn_colours(self) -> tuple[SkinColours, HairColours]:
        """From the face, what is around it, and what is below the neck, of some frames."""
        shown = np.flatnonzero(self._present)
        chosen = shown[np.linspace(0, len(shown) - 1, min(_SAMPLED_FRAMES, len(shown))).astype(int)]
        samples: list[list[Array]] = [[], [], [], []]
        rows = np.arange(self._crop.size)[:, None]
        for index in chosen:
            colours, places = lab(self._read(CROPS, index + 1)), self._places[index]
            own = self._read(MATTES, index + 1) > 255 * _SURELY_SHOWN
            beside, below = self._beside(places), own & (rows > self._necklines[index])
            around = own & (rows < places[groups.CHIN, 1]) & beside & ~self._wider_face(places)
            regions = self._face_shapes(places)["skin"], around, below & ~beside, below & beside
            for kept, region in zip(samples, regions, strict=True):
                kept.append(colours[region][::_EVERY])
        face, around, shoulders, chest = map(np.concatenate, samples)
        return SkinColours.of(face), HairColours.of(around, face, shoulders, chest)

    def _hair_evidence(self, number: int) -> FloatArray:
        matte = self._read(MATTES, number).astype(np.float32) / 255
        return np.asarray(self._hair.evidence(lab(self._read(CROPS, number))) * matte)

    def _read(self, folder: str, number: int) -> Bytes:
        return read_picture(self._work.folder / folder, int(number))

    def _beside(self, places: FloatArray) -> Array:
        """(1, S) truth for the columns in which the head is."""
        outline = places[list(groups.OVAL), 0]
        columns = np.arange(self._crop.size)
        return np.asarray(np.abs(columns - outline.mean()) < _HEAD_WIDTH * np.ptp(outline))[None]

    def _wider_face(self, places: FloatArray) -> Array:
        """(S, S) truth where the face ends in skin, not hair."""
        outline = places[list(groups.OVAL)]
        wider = outline.mean(axis=0) + _WIDER * (outline - outline.mean(axis=0))
        return _filled([wider], self._crop.size)

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

    def _teeth(self, colours: Array, mouth: Array) -> Array:
        """What is light and colourless between the lips."""
        light, colour = colours[..., 0], np.hypot(colours[..., 1], colours[..., 2])
        usual = max(float(np.hypot(*self._skin.mean[1:])), 1.0)
        is_light = light > _TEETH_LIGHTNESS * self._skin.mean[0]
        return np.asarray(mouth & is_light & (colour < _TEETH_COLOUR * usual))

    def _fitted(self, name: str, vertices: Array) -> Array:
        """(S, S) truth where a part of the fitted head turns to the camera."""
        corners = vertices[self._faces_of[name]]
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        # Seen from the front triangles run against the clock; the picture's y points down.
        is_front = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
        return covered_pixels(corners[is_front], self._crop.size)

    def _parsed(self, parsed: Bytes, labels: Bytes, like_skin: Array) -> Bytes:
        """Labels of a network of the user's, where it names a part that we know.

        It takes all that is seen through glasses for glasses, of which only rims are.
        """
        import cv2

        size = self._crop.size
        resized = cv2.resize(parsed, (size, size), interpolation=cv2.INTER_NEAREST)
        kept = labels == self.names.index("teeth")
        for ours, theirs in _OF_PARSING.items():
            numbers = [PARSING_CLASSES.index(name) for name in theirs]
            where = np.isin(resized, numbers) & ~kept
            np.copyto(labels, np.uint8(self.names.index(ours)), where=where)
        behind = np.isin(labels, [self.names.index(name) for name in ("eyes", "eyebrows")])
        rims = (resized == PARSING_CLASSES.index("glasses")) & ~like_skin & ~behind
        np.copyto(labels, np.uint8(self.names.index("glasses")), where=rims)
        return labels


def _touching(some: Array, all_of_it: Array) -> Array:
    """(S, S) truth for those connected pieces of all in which some lie."""
    import cv2

    _, pieces = cv2.connectedComponents(all_of_it.astype(np.uint8))
    return np.asarray(all_of_it & np.isin(pieces, np.unique(pieces[some])))


def _hanging_down(hair: Array, lower: Array) -> Array:
    """(S, S) truth without what is lower than the ears and does not hang down from above: long
    hair does, a dark collar does not."""
    return np.asarray(hair & (~lower | _touching(hair & ~lower, hair)))


def _filled(outlines: list[FloatArray], size: int) -> Array:
    """(S, S) truth within polygons."""
    import cv2

    shape = np.zeros((size, size), np.uint8)
    cv2.fillPoly(shape, [line.round().astype(np.int32)[:, None] for line in outlines], 1)
    return shape > 0
