"""Which part of the face every vertex belongs to."""

from __future__ import annotations

import numpy as np

from pegasus_runtime.head.parts import HEAD_PARTS
from trainer.head_builder.anny_source import HeadSource
from trainer.head_builder.landmarks import BROW_MM, LIP_OUTER_MM

# Lower edge of the hair in side view, millimetres: depth z, height y there. Higher in front bares
# the forehead, lower behind takes the neck for scalp.
HAIRLINE_Z_MM = (-60.0, -22.0, -12.0, 0.0, 22.0, 32.0, 45.0, 62.0, 85.0, 130.0)
HAIRLINE_Y_MM = (-62.0, -55.0, 0.0, 24.0, 22.0, 12.0, 42.0, 58.0, 70.0, 72.0)
# Half width of the nose by height, millimetres: more takes cheek in, less leaves its wings out.
NOSE_Y_MM = (-46.0, -42.0, -34.0, -15.0, 5.0, 12.0)
NOSE_HALF_WIDTH_MM = (0.0, 14.0, 21.5, 14.0, 9.0, 0.0)
BROW_HALF_HEIGHT_MM = 4.5
"""Higher brows take in the lids' fold, lower ones lose hairs at their edge."""
EYE_CENTRE_MM, EYE_RADII_MM = (32.0, 9.0), (18.5, 12.0)
"""Of the ellipse of the lids: a larger one takes in brow and cheek, a smaller one leaves their fold
out."""
EAR_MOTION = 0.1
"""Of the largest motion of an ear's shape, from which skin belongs to it: less takes the temple in,
more loses its root."""
NECK_WEIGHT, LIP_MARGIN = 0.35, 1.02
"""Of the first joint in skinning weights, and of the lips' outline: as in the runtime, which finds
the parts of heads without labels; less of the first takes the chin for neck, more of the second
skin for lips."""
NOSE_MM, EYELIDS_MM, BROWS_MM, LIPS_MM = 85.0, 70.0, 65.0, 91.0
"""Depths from which a part's outline in front view counts: less takes the same heights at the sides
and the back of the head along, more loses the outer ends of lids, brows and lips."""


def part_labels(source: HeadSource, template: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Index into ``HEAD_PARTS`` of every vertex, (V,) int64; ``template`` (V, 3) in metres."""
    labels = np.zeros(len(template), dtype=np.int64)

    def paint(name: str, mask: np.ndarray) -> None:
        labels[mask] = HEAD_PARTS.index(name)

    side_mm, height_mm, depth_mm = np.abs(template[:, 0]) * 1e3, *(template[:, 1:].T * 1e3)
    front = np.stack([side_mm, height_mm], axis=1)
    paint("neck", weights[:, 0] > NECK_WEIGHT)
    paint("scalp", height_mm > np.interp(depth_mm, HAIRLINE_Z_MM, HAIRLINE_Y_MM))
    width = np.interp(height_mm, NOSE_Y_MM, NOSE_HALF_WIDTH_MM, left=0.0, right=0.0)
    paint("nose", (side_mm < width) & (depth_mm > NOSE_MM))
    offset = (front - np.array(EYE_CENTRE_MM)) / np.array(EYE_RADII_MM)
    paint("eyelids", (np.linalg.norm(offset, axis=1) < 1.0) & (depth_mm > EYELIDS_MM))
    brow = _distance_to_line(front, np.array(BROW_MM)) < BROW_HALF_HEIGHT_MM
    paint("eyebrows", brow & (depth_mm > BROWS_MM))
    paint("ears", _ears(source))
    regions = source.regions
    paint("mouth", regions["mouth_cavity"])
    paint("lips", _inside(front, np.array(LIP_OUTER_MM) * LIP_MARGIN) & (depth_mm > LIPS_MM))
    paint("mouth", regions["mouth_cavity"] & ~regions["head"])
    paint("eyelids", regions["eye_cavity.L"] | regions["eye_cavity.R"])
    paint("tongue", regions["tongue"])
    paint("teeth", regions["upper-teeth"] | regions["lower-teeth"])
    for side in "LR":
        paint("eyes", regions[f"eye_front.{side}"] | regions[f"eye_back.{side}"])
    return labels


def _ears(source: HeadSource) -> np.ndarray:
    """What swings out when the ears are made to stand off, (V,) bool."""
    ears = np.zeros(len(source.template), dtype=bool)
    for side in "lr":
        index = source.model.blendshape_labels.index(f"local_change:{side}-ear-wing-incr")
        motion = np.linalg.norm(source.shapes[index], axis=-1)
        ears |= motion > EAR_MOTION * motion.max()
    return ears


def _distance_to_line(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Distance (V,) of flat ``points`` (V, 2) to the open polygon ``line`` (K, 2)."""
    best = np.full(len(points), np.inf)
    for start, end in zip(line[:-1], line[1:], strict=True):
        along = end - start
        where = np.clip((points - start) @ along / (along @ along), 0.0, 1.0)
        best = np.minimum(best, np.linalg.norm(points - start - where[:, None] * along, axis=1))
    return best


def _inside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Which ``points`` (V, 2), x >= 0, lie inside half an ``outline`` (K, 2) closed at x = 0."""
    x, y = points[:, 0], points[:, 1]
    top = outline[: int(outline[:, 0].argmax()) + 1]
    bottom = outline[int(outline[:, 0].argmax()) :][::-1]
    upper = np.interp(x, top[:, 0], top[:, 1])
    lower = np.interp(x, bottom[:, 0], bottom[:, 1])
    return np.asarray((x < outline[:, 0].max()) & (y < upper) & (y > lower))
