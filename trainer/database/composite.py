"""One frame of the source person with another person's part.

1. The source's avatar is drawn as it is, with what goes marked, and without it, with what is new
   marked: the head's own correspondence aligns them, there is nothing to register.
2. Where something went, or the shape is another's, the frame gives way to the second drawing, in
   the light of the frame: what the frame differs by from the first drawing around there is added.
   Where hair goes, the frame's own skin is carried on instead.
3. The new part is laid over with its own alpha, whose holes are closed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.head.parts import PART_NAMES
from pegasus_runtime.surfels.avatar import SurfelAvatar
from trainer.data.capture_folder import FrameRecord
from trainer.data.images import Pictures
from trainer.database.layers import Drawn, FloatArray, draw_layers
from trainer.database.lent_part import LentPart
from trainer.database.people import PARTS_OF
from trainer.preprocess.inpainting import inpaint

Bytes = npt.NDArray[np.uint8]
BACKGROUND = "background"
_GROWN = 0.008
"""Of the picture's side, by which what goes is enlarged: less leaves a fringe of the old hair, more
replaces good skin."""
_FEATHER = 0.005
"""of the side, over which the frame goes over into the drawing; less shows a seam, more a ghost"""
_LIGHT_REACH = 0.05
"""of the side, over which the difference in light is carried; less is noisy, more ignores shade"""
_SEEN = 0.3
"""Of alpha, from which a drawn part counts as there: less replaces good pixels around single stray
surfels, more leaves thin ends of the old part."""
_SHAPED = 0.04
"""Weight from which the other shape is seen: less redraws more of the cheeks, whose pores the
drawing has not; more makes a step where the old outline stays."""
_SOLID = ("hair", "hat", "eyeglasses")
"""categories that lie on the head rather than being of it"""
_CARRIED_ON = ("hair",)
"""Categories with which the frame's skin is filled in, rather than the drawing's used: what was
filmed at a hairline has its shade. Eleven neighbouring frames of *jonas* with the hair of *amara*
and *kofi*, from two sides: 21.7 to 28.1 dB where the drawing has 20.3 to 21.5, and the error
changes less from frame to frame, by 3.3 to 4.6 grey levels of 255 for 4.9 to 5.2. At ears the
drawing is better, 30 dB for 26 and 2.1 levels for 3.8; at eyes, mouths, brows and noses by 2 to 12
dB."""
_STRAY_REACH, _STRAY_AWAY = 0.04, 0.13
"""Of the picture's side around hair, and of the mean over colours from the frame's usual skin: what
is called skin there and is less like it goes with the hair. Part pictures of videos end hair where
a forehead usually begins. Farther, or less unlike, repaints shaded cheeks; nearer, or more, leaves
a fringe."""
_LEAST_SKIN = 0.02
"""Of the picture, of a frame's skin that is carried on: with less, as from behind, a neck's shade
would be all over the head; with more, fewer frames gain by it."""


@dataclass(frozen=True, eq=False)
class Composite:
    """Pictures of a frame as bytes (S, S) or (S, S, 3)."""

    image: Bytes
    mask: Bytes
    mask_object: Bytes
    normal: Bytes
    semantic: Bytes


def compose(
    lent: LentPart, source: SurfelAvatar, frame: FrameRecord, pictures: Pictures,
    names: tuple[str, ...],
) -> Composite:  # fmt: skip
    """Put a part on a frame.

    Args:
        lent: the part.
        source: the source person's avatar.
        frame: its parameters, with a camera of the pictures' size.
        pictures: of the frame.
        names: of the classes of part pictures, those of `PART_NAMES` and `BACKGROUND` among them.
    """
    before = draw_layers(source.head, source.shape, lent.before, frame, lent.weights)
    after = draw_layers(lent.head, source.shape, lent.after, frame, lent.weights)
    image = np.asarray(pictures.image / 255, np.float32)
    mask = np.asarray(pictures.mask / 255, np.float32)
    classes = pictures.parts
    changed = _changed(lent.category, image, before, after, classes, names)
    side = image.shape[0]
    share = _blurred(changed.astype(np.float32), _FEATHER * side)[..., None]
    share = np.maximum(share, changed[..., None])
    new, new_alpha = _closed(after.marked_colour, after.marked_alpha)
    rest = np.maximum(1 - after.marked_alpha, 1e-3)
    bare_alpha = ((after.alpha - after.marked_alpha) / rest).clip(0, 1)[..., None]
    bare = (after.colour - after.marked_colour) / rest[..., None]
    known = _known_skin(mask, before, share[..., 0], classes, names)
    bare = np.where(bare_alpha > 0.02, bare / np.maximum(bare_alpha, 0.02), 1.0)
    bare = (bare + _difference_in_light(image, before, known)).clip(0, 1)
    if lent.category in _CARRIED_ON and known.mean() > _LEAST_SKIN:
        # What is filled in knows no ear.
        filled = inpaint(pictures.image, ~known) / np.float32(255)
        bare = np.where(_shows_ears(after)[..., None], bare, filled)
    bare = bare * bare_alpha + 1 - bare_alpha
    behind = (1 - share) * image + share * bare
    behind_mask = (1 - share[..., 0]) * mask + share[..., 0] * bare_alpha[..., 0]
    left = (1 - new_alpha)[..., None]
    found_mask = new_alpha + left[..., 0] * behind_mask
    return Composite(
        image=_bytes(new + left * behind),
        mask=_bytes(found_mask),
        mask_object=_bytes(new_alpha),
        normal=_normals(after, pictures, share, found_mask, new_alpha),
        semantic=_classes(after, classes, share[..., 0], found_mask, new_alpha, names),
    )


def _changed(
    category: str, image: FloatArray, before: Drawn, after: Drawn, classes: Bytes | None,
    names: tuple[str, ...],
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """(S, S), where the frame cannot stay as it is behind the new part."""
    import cv2

    gone = before.marked_alpha > _SEEN
    if classes is not None and category != "hat":
        # The frame's own labels are sharper than what an avatar shows.
        wanted = [names.index(name) for name in PARTS_OF[category] if name in names]
        gone |= np.isin(classes, wanted)
        if category == "hair":
            gone |= _stray_hair(image, classes, names) & ~_shows_ears(after)
    if category not in _SOLID and category != "eyebrows":
        gone |= after.marked_alpha > _SEEN
        gone |= (before.region > _SHAPED) | (after.region > _SHAPED)
    reach = 2 * max(round(_GROWN * gone.shape[0]), 1) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    grown = cv2.dilate(gone.astype(np.uint8), disc) > 0
    if classes is not None and category not in _SOLID:
        before_it = [names.index(n) for n in ("hair", "hat", "glasses") if n in names]
        grown &= ~np.isin(classes, before_it)
    return np.asarray(grown)


def _shows_ears(drawn: Drawn) -> npt.NDArray[np.bool_]:
    return np.asarray(drawn.parts == PART_NAMES.index("ears"))


def _stray_hair(image: FloatArray, classes: Bytes, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """(S, S), what is called skin, lies beside hair, and has another colour than skin elsewhere."""
    import cv2

    hair, skin = (np.isin(classes, [names.index(n)]) for n in ("hair", "skin"))
    reach = 2 * max(round(_STRAY_REACH * image.shape[0]), 1) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    beside = cv2.dilate(hair.astype(np.uint8), disc) > 0
    if not (skin & ~beside).any():
        return np.zeros_like(skin)
    usual = np.median(image[skin & ~beside], axis=0)
    return np.asarray(skin & beside & (np.abs(image - usual).mean(axis=2) > _STRAY_AWAY))


def _closed(colour: FloatArray, alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Premultiplied colour (S, S, 3) and alpha (S, S) of the new part without pinholes."""
    import cv2

    kernel = np.ones((3, 3), np.uint8)
    closed = np.maximum(cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, kernel), alpha)
    near = cv2.blur(alpha, (3, 3)) + 1e-4
    filling = cv2.blur(np.ascontiguousarray(colour), (3, 3)) / near[..., None]
    added = (closed - alpha)[..., None]
    return (colour + added * filling).astype(np.float32), closed.clip(0, 1)


def _known_skin(
    mask: FloatArray, before: Drawn, share: FloatArray, classes: Bytes | None,
    names: tuple[str, ...],
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """(S, S), where frame and drawing both show skin that stays."""
    known = (mask > 0.95) & (before.alpha > 0.95) & (share < 0.02)
    if classes is not None:
        skin = [names.index(n) for n in ("skin", "nose", "ears", "neck", "scalp") if n in names]
        known &= np.isin(classes, skin)
    return np.asarray(known)


def _difference_in_light(
    image: FloatArray, before: Drawn, known: npt.NDArray[np.bool_]
) -> FloatArray:
    """(S, S, 3), what the frame's known skin differs by from the drawing of it, carried to all."""
    weight = known.astype(np.float32)
    difference = (image - before.over_white) * weight[..., None]
    sigma = _LIGHT_REACH * image.shape[0]
    total = _blurred(weight, sigma)
    found = _blurred(difference, sigma) / (total + 0.01)[..., None]
    return np.asarray(found, np.float32)


def _normals(
    after: Drawn, pictures: Pictures, share: FloatArray, mask: FloatArray, new_alpha: FloatArray
) -> Bytes:
    length = np.linalg.norm(after.normal, axis=2, keepdims=True)
    drawn = after.normal / np.maximum(length, 1e-4) * 0.5 + 0.5
    drawn = mask[..., None] * drawn + (1 - mask[..., None]) * (128 / 255)
    if pictures.normals is None:
        return _bytes(drawn)
    use = np.maximum(share, new_alpha[..., None])
    return _bytes(use * drawn + (1 - use) * pictures.normals.astype(np.float32) / 255)


def _classes(
    after: Drawn, classes: Bytes | None, share: FloatArray, mask: FloatArray,
    new_alpha: FloatArray, names: tuple[str, ...],
) -> Bytes:  # fmt: skip
    table = np.array([names.index(name) for name in PART_NAMES], np.uint8)
    drawn = table[after.parts]
    use = np.maximum(share, new_alpha) > 0.5
    found = drawn if classes is None else np.where(use, drawn, classes)
    return np.where(mask > 0.5, found, np.uint8(names.index(BACKGROUND))).astype(np.uint8)


def _blurred(values: FloatArray, sigma: float) -> FloatArray:
    import cv2

    return np.asarray(cv2.GaussianBlur(values, (0, 0), max(sigma, 0.5)), np.float32)


def _bytes(values: FloatArray) -> Bytes:
    return (values.clip(0, 1) * 255).round().astype(np.uint8)
