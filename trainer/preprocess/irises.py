"""Irises looked for in the picture itself.

The landmark network follows a look to the side by half and one up or down hardly at all: its irises
lie about the middle of the lids. What is round and dark in a bright eye is found without it:

1. Each eye is cut out, turned level and scaled so that the network's iris has a fixed radius.
2. For every place of a centre and some radii, evidence is added up within the lids: a disc that is
   darker than what is around it (Otsu's separation of two classes), an edge along the rim that gets
   brighter outwards (the integro-differential operator of Daugman 1993), and a darker pupil.
3. The more evidence the best place has, and the more than the network's, the more of the way there
   the iris goes; where an eye is closed or in the dark, the network's stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from trainer.preprocess import landmark_groups as groups
from trainer.preprocess.estimators import Bytes, FloatArray

_EYES = ((groups.RIGHT_EYE, groups.RIGHT_IRIS), (groups.LEFT_EYE, groups.LEFT_IRIS))
_RADIUS, _WIDTH, _HEIGHT = 10, 100, 60
"""Of the network's iris and of the cut-out eye, in its own pixels: smaller ones place irises less
exactly, larger ones take longer and show nothing more of faces in films."""
_RIM_RADII = tuple(round(_RADIUS * share, 1) for share in (0.9, 1.0, 1.1, 1.2, 1.3))
_USUAL_SHARE, _RADIUS_PRIOR = 1.2, 1.0
"""Real irises are a little larger than the network's; far from that they are something else."""
_PUPIL_RADII = (0.35 * _RADIUS, 0.45 * _RADIUS)
_LEAST_OPENING = 1.0
"""of the radius, between the lids: less shows too little of a rim to find its centre"""
_LEAST_PIXELS = 40
"""of an eye within its lids; fewer have no share of white and dark"""
_LEAST_CONTRAST = 6.0
"""of 255, between an eye's bright and dark pixels; less is noise of films"""
_FROM_EVIDENCE, _FROM_GAIN = (1.6, 2.0), (0.0, 0.3)
"""Of the evidence at the best place, and of what it has more than the network's place: from the
first on it is believed, at the second wholly. Shaded eyes have less evidence, and there the network
sees better; lower ones take lashes for irises, higher ones leave a look behind."""
_SAME_PLACE = 1
"""pixels around the network's place that are it as well"""
_AREA, _RIM, _PUPIL = 0.3, 20.0, 20.0
"""weights of the three evidences: discs alone are drawn up into the upper lid's shadow"""
_NEAR_PRIOR = 0.1
"""for each radius squared away from where the network has it"""
_LEAST_ARC = 0.3
"""of a rim: one that is hidden by more than the rest counts less"""


@dataclass(frozen=True, eq=False)
class _Eye:
    """An eye that is cut out of a picture."""

    matrix: npt.NDArray[np.float64]
    """(2, 3) from places of the picture to places here"""
    brightness: FloatArray
    """(H, W)"""
    within: FloatArray
    """(H, W) 1 between the lids"""
    opening: float
    """between the lids, over the radius"""


def with_seen_irises(pixels: Bytes, places: FloatArray) -> FloatArray:
    """Landmarks whose irises lie where the picture shows them.

    Args:
        pixels: (H, W, 3) RGB.
        places: (478, 3) of the landmark network.
    """
    moved = places.copy()
    for lids, iris in _EYES:
        whole = slice(iris, iris + 5)
        eye = _cut_out(pixels, places[list(lids), :2], places[whole, :2])
        if eye is not None:
            moved[whole, :2] += _shift(eye, places[iris, :2]).astype(np.float32)
    return moved


def _cut_out(pixels: Bytes, lids: FloatArray, iris: FloatArray) -> _Eye | None:
    """None where the eye is too small or closed."""
    import cv2

    radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
    first, last = sorted((lids[0], lids[8]), key=lambda corner: float(corner[0]))
    if radius < 1 or float(np.linalg.norm(last - first)) < radius:
        return None
    x, y = (last - first) / np.linalg.norm(last - first) * _RADIUS / radius
    turn = np.array([[x, y], [-y, x]], np.float64)
    shift = np.array([_WIDTH / 2, _HEIGHT / 2]) - turn @ lids.mean(axis=0)
    outline = (lids @ turn.T + shift).astype(np.float32)
    opening = float(np.ptp(outline[:, 1])) / _RADIUS
    if opening < _LEAST_OPENING:
        return None
    # OpenCV counts from the middle of the first pixel.
    matrix = np.column_stack([turn, shift + turn @ (0.5, 0.5) - 0.5])
    cut = cv2.warpAffine(
        pixels, matrix, (_WIDTH, _HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    within = np.zeros((_HEIGHT, _WIDTH), np.float32)
    hull = np.round((cv2.convexHull(outline) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(within, [hull], 1.0, shift=4)
    # Blue tells least: skin and whites are bright in red and green, irises and pupils are not.
    brightness = cut[..., :2].astype(np.float32).mean(axis=2)
    return _Eye(np.column_stack([turn, shift]), brightness, within, opening)


def _shift(eye: _Eye, expected: FloatArray) -> npt.NDArray[np.float64]:
    """(2,) how far in the picture the iris lies from where it is expected, none if unsure."""
    import cv2

    inner = np.asarray(cv2.erode(eye.within, np.ones((3, 3))), np.float32)
    seen = eye.brightness[inner > 0]
    if len(seen) < _LEAST_PIXELS:
        return np.zeros(2)
    dark, bright = np.percentile(seen, (3, 97))
    if bright - dark < _LEAST_CONTRAST:
        return np.zeros(2)
    # Highlights are brighter than whites.
    level = np.clip((eye.brightness - dark) / (bright - dark), -0.2, 1).astype(np.float32)
    near = (eye.matrix[:, :2] @ expected + eye.matrix[:, 2] - 0.5).astype(np.float32)
    evidence = _evidence(level, inner, eye.within, near)
    radius, row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    best, there = float(evidence[radius, row, column]), _best_around(evidence, near)
    way = np.array([column, row]) + _beside(evidence[radius], int(row), int(column)) - near
    sure = np.interp(best, _FROM_EVIDENCE, (0, 1)) * np.interp(best - there, _FROM_GAIN, (0, 1))
    return np.asarray(np.linalg.solve(eye.matrix[:, :2], sure * way))


def _best_around(evidence: FloatArray, place: FloatArray) -> float:
    column, row = np.clip(np.round(place), 0, (_WIDTH - 1, _HEIGHT - 1)).astype(int)
    rows = slice(max(row - _SAME_PLACE, 0), row + _SAME_PLACE + 1)
    columns = slice(max(column - _SAME_PLACE, 0), column + _SAME_PLACE + 1)
    return float(evidence[:, rows, columns].max())


def _evidence(
    level: FloatArray, inner: FloatArray, within: FloatArray, near: FloatArray
) -> FloatArray:
    """(radii, H, W) for each pixel as a centre."""
    import cv2

    smooth = cv2.GaussianBlur(level, (0, 0), 1.0)
    # Edges of lids and lashes are none of an iris.
    edges = np.asarray(cv2.erode(within, np.ones((5, 5))), np.float32)
    slopes = [cv2.Sobel(smooth, -1, *way, ksize=3) / 8 * edges for way in ((1, 0), (0, 1))]
    slope = [np.asarray(values, np.float32) for values in slopes]
    pupil: FloatArray = np.max(
        [_brightens(slope, edges, radius) for radius in _PUPIL_RADII], axis=0
    )
    y, x = np.mgrid[:_HEIGHT, :_WIDTH]
    away = ((x - near[0]) ** 2 + (y - near[1]) ** 2) / _RADIUS**2
    common = np.asarray(_PUPIL * pupil - _NEAR_PRIOR * away, np.float32)
    return np.stack(
        [
            _AREA * _stands_out(level, inner, radius)
            + _RIM * _brightens(slope, edges, radius)
            - _RADIUS_PRIOR * (radius / _RADIUS - _USUAL_SHARE) ** 2
            + common
            for radius in _RIM_RADII
        ]
    ).astype(np.float32)


def _stands_out(level: FloatArray, inner: FloatArray, radius: float) -> FloatArray:
    """How much of what differs in an eye a dark disc explains, 0..1 (H, W)."""
    disc = _disc(radius)
    count, total = inner.sum(), (inner * level).sum()
    variance = max(float((inner * level**2).sum() / count - (total / count) ** 2), 1e-6)
    part, dark = _filtered(inner, disc), _filtered(inner * level, disc)
    rest = count - part
    lighter = (total - dark) / np.maximum(rest, 1) - dark / np.maximum(part, 1)
    is_both = (lighter > 0) & (part > 0.1 * count) & (rest > 0.03 * count)
    return np.where(is_both, part * rest / count**2 * lighter**2 / variance, 0.0)


def _brightens(slope: list[FloatArray], edges: FloatArray, radius: float) -> FloatArray:
    """Mean slope outwards along the seen part of a circle (H, W)."""
    ring, across, down = _ring(radius)
    outwards = _filtered(slope[0], across) + _filtered(slope[1], down)
    return np.asarray(outwards / (_filtered(edges, ring) + _LEAST_ARC * ring.sum()))


def _filtered(values: FloatArray, kernel: FloatArray) -> FloatArray:
    import cv2

    return np.asarray(cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_CONSTANT))


def _distance(reach: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    y, x = (np.mgrid[-reach : reach + 1, -reach : reach + 1]).astype(np.float32)
    return x, y, np.asarray(np.hypot(x, y), np.float32)


@cache
def _disc(radius: float) -> FloatArray:
    return np.asarray(np.clip(radius + 0.5 - _distance(int(radius) + 2)[2], 0, 1), np.float32)


@cache
def _ring(radius: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A soft circle, and the same times the direction outwards."""
    x, y, distance = _distance(int(radius) + 4)
    ring = np.exp(-0.5 * (distance - radius) ** 2).astype(np.float32)
    outwards = ring / np.maximum(distance, 1e-6)
    return ring, (outwards * x).astype(np.float32), (outwards * y).astype(np.float32)


def _beside(evidence: FloatArray, row: int, column: int) -> npt.NDArray[np.float64]:
    """(2,) how far beside a pixel the top of a parabola through it and its neighbours lies."""
    shift = np.zeros(2)
    for axis, (line, at) in enumerate(((evidence[row], column), (evidence[:, column], row))):
        if 0 < at < len(line) - 1:
            before, here, behind = (float(value) for value in line[at - 1 : at + 2])
            bend = before - 2 * here + behind
            shift[axis] = np.clip(0.5 * (before - behind) / bend, -1, 1) if bend < 0 else 0.0
    return shift
