"""Mattes of the person and of the hair, from coarse networks to the pictures' own edges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.preprocess.colours_behind import ColoursBehind
from trainer.preprocess.crop import FOLDER as CROPS
from trainer.preprocess.crop import Crop, missing_pictures, read_picture, save_picture, take_over
from trainer.preprocess.estimators import Bytes, HairMatte, SelfieMatte
from trainer.preprocess.face_track import Track
from trainer.preprocess.model_files import (
    HAIR_SEGMENTATION,
    MATTE_NAMES,
    SAM_DECODER_NAMES,
    SAM_ENCODER_NAMES,
    find_asset,
)
from trainer.preprocess.onnx_networks import PersonSegmenter, PortraitMatte, asset_digest
from trainer.preprocess.outline_in_time import OutlineInTime
from trainer.preprocess.steps import OWN_FOLDER, Fraction, Options, Workspace
from trainer.preprocess.still_background import StillBackground

FloatArray = npt.NDArray[np.floating[Any]]
_Network = Callable[[int, Bytes], FloatArray]
"""From a picture's number and pixels to a coarse matte (R, R) 0..1."""
FOLDER, HAIR_FOLDER = f"{OWN_FOLDER}/matte/", f"{OWN_FOLDER}/hair/"
_RADIUS, _EPSILON = 9, 2e-4
"""of the guided filter, in pixels of 256, and against noise in squares of 0..1; wider and larger
ones smear the outline, smaller ones keep the network's steps and noise"""
_FILTER_SIDE = 256
"""More shows finer hair and takes its square as long."""
_SURE = 0.5
"""From which it is the person: less joins islands of the veil to them, more cuts thin hair off."""
_LOW, _HIGH = 0.12, 0.88
"""values of a refined matte that count as nothing and all: networks and filters leave a veil; a
narrower range makes edges harder and takes thin hair"""
_REACH_SECONDS, _SPARED = 0.12, 1
"""Of the frames so near on either side, which bound a refined matte, how many may be as wrong. More
of both blunts hair that swings and heads that turn (0.7 dB of a clip whose frames were 0.08 seconds
apart, with three on either side), less leaves teeth in an outline that the background has drawn."""
_DECIDED = 0.485
"""from one half, where the network alone is believed; less keeps its steps, more lets the filter
see edges within a coat"""
_MOST_SEEN = 64
"""frames from which the background is learned: more see more of it and take longer"""
_BESIDE = np.ones((7, 7), np.uint8)
"""pixels around what is the person's that stay theirs; more leaves islands near by, less cuts the
soft edge off"""


def guided_filter(guide: Bytes, matte: FloatArray, radius: int, epsilon: float) -> FloatArray:
    """A matte that follows the edges of a picture (He, Sun and Tang 2010; fast version 2015).

    Args:
        guide: (S, S, 3).
        matte: (R, R) 0..1, at whose size the filter's coefficients are worked out.
        radius: of its windows, in pixels of the matte.
        epsilon: colours whose variance is less than this are taken for flat.

    Returns:
        (S, S) 0..1.
    """
    import cv2

    side, size = matte.shape[0], guide.shape[0]
    shape = (2 * radius + 1, 2 * radius + 1)

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(cv2.boxFilter(values, -1, shape, borderType=cv2.BORDER_REFLECT))

    small = cv2.resize(guide, (side, side), interpolation=cv2.INTER_AREA)
    colours = small.astype(np.float32) / 255
    mean_c, mean_m = mean(colours), mean(matte.astype(np.float32))
    covariance = mean(colours * matte[..., None].astype(np.float32)) - mean_c * mean_m[..., None]
    products = np.stack([colours[..., i] * colours[..., j] for i, j in _PAIRS], axis=-1)
    both = np.stack([mean_c[..., i] * mean_c[..., j] for i, j in _PAIRS], axis=-1)
    second = np.concatenate([mean(products[..., :3]), mean(products[..., 3:])], axis=-1) - both
    slope = _solve_symmetric(second, covariance, epsilon)
    offset = mean_m - (slope * mean_c).sum(axis=-1)
    whole = np.concatenate([mean(slope), mean(offset)[..., None]], axis=-1)
    whole = cv2.resize(whole, (size, size), interpolation=cv2.INTER_LINEAR)
    found = (whole[..., :3] * (guide.astype(np.float32) / 255)).sum(axis=-1) + whole[..., 3]
    return np.asarray(found.clip(0, 1))


_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def _solve_symmetric(matrix: FloatArray, right: FloatArray, epsilon: float) -> FloatArray:
    """(…, 3) solutions for (…, 6) upper halves of symmetric matrices, by cofactors."""
    a, b, c, d, e, f = (matrix[..., k] for k in range(6))
    a, d, f = a + epsilon, d + epsilon, f + epsilon
    rows = np.stack([d * f - e * e, c * e - b * f, b * e - c * d], axis=-1)
    determinant = a * rows[..., 0] + b * rows[..., 1] + c * rows[..., 2]
    x, y, z = (right[..., k] for k in range(3))
    first = rows[..., 0] * x + rows[..., 1] * y + rows[..., 2] * z
    second = rows[..., 1] * x + (a * f - c * c) * y + (b * c - a * e) * z
    third = rows[..., 2] * x + (b * c - a * e) * y + (a * d - b * b) * z
    return np.asarray(np.stack([first, second, third], axis=-1) / determinant[..., None])


def refine(picture: Bytes, coarse: FloatArray) -> FloatArray:
    """A coarse matte (R, R) at the picture's size and edges, without a veil."""
    import cv2

    side = min(_FILTER_SIDE, picture.shape[0])
    method = cv2.INTER_AREA if coarse.shape[0] > side else cv2.INTER_LINEAR
    small = np.asarray(
        cv2.resize(coarse.astype(np.float32), (side, side), interpolation=method), np.float32
    )
    radius = max(round(_RADIUS * side / _FILTER_SIDE), 1)
    found = guided_filter(picture, small, radius, _EPSILON)
    found = (found - _LOW) / (_HIGH - _LOW)
    # Far from the network's own edge it is right: filters see edges within a coat too.
    large = cv2.resize(small, picture.shape[:2], interpolation=cv2.INTER_LINEAR)
    sure = np.abs(large - 0.5) > _DECIDED
    return np.where(sure, large.round(), found.clip(0, 1)).astype(np.float32)


def keep_person(matte: FloatArray, places: FloatArray) -> FloatArray:
    """Without what does not hang together with the face of these landmarks (478, 2)."""
    import cv2

    solid = (matte > _SURE).astype(np.uint8)
    count, labels = cv2.connectedComponents(solid)
    if count <= 2:
        return matte
    face = np.zeros_like(solid)
    cv2.fillConvexPoly(face, cv2.convexHull(places[:468, :2].round().astype(np.int32)), 1)
    votes = np.bincount(labels[(face > 0) & (solid > 0)], minlength=count)
    if not votes[1:].any():
        return matte
    own = (labels == 1 + int(votes[1:].argmax())).astype(np.uint8)
    near = cv2.dilate(own, _BESIDE) > 0
    return np.where(near, matte, 0).astype(np.float32)


class MatteStep:
    """The person's matte: network, the clip's own background, guided filter, and the frames
    around each."""

    name, version, after, cost = "matte", 6, ("crop", "landmarks"), 65.0
    outputs = (FOLDER,)
    frames_apart = ()

    def settings(self, options: Options) -> dict[str, Any]:
        """Which network."""
        own = asset_digest(MATTE_NAMES)
        sam = [] if own else [asset_digest(n) for n in (SAM_ENCODER_NAMES, SAM_DECODER_NAMES)]
        return {"network": own or "".join(sam)}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`."""
        track, crop = Track.read(work), Crop.read(work)
        places = crop.to_picture(track.landmarks)
        estimate = _network(places, track.present)
        missing = missing_pictures(work.folder / FOLDER, track.num_frames)
        # A matting network of the user's has hair that is finer than what is told here.
        if missing and not find_asset(MATTE_NAMES):
            estimate = _before_background(estimate, work.folder / CROPS, track.num_frames)

        def finish(number: int, picture: Bytes, coarse: FloatArray) -> FloatArray:
            matte = refine(picture, coarse)
            shown = track.present[number - 1]
            return keep_person(matte, places[number - 1]) if shown else matte

        _estimate(work, FOLDER, estimate, finish, report)
        return []


def _network(places: FloatArray, present: npt.NDArray[np.bool_]) -> _Network:
    """What gives coarse mattes: a matting network of the user's, Segment Anything, or ours."""
    own = find_asset(MATTE_NAMES)
    if own:
        matting = PortraitMatte(own)
        return lambda _number, picture: matting.estimate(picture)
    segmenter, selfie = PersonSegmenter.find(), SelfieMatte()

    def estimate(number: int, picture: Bytes) -> FloatArray:
        if segmenter and present[number - 1]:
            return segmenter.estimate(picture, places[number - 1])
        return selfie.estimate(picture)

    return estimate


def _before_background(estimate: _Network, crops: Path, count: int) -> _Network:
    """A network whose mattes are corrected by what the clip shows behind the person."""
    chosen = np.unique(np.linspace(1, count, min(count, _MOST_SEEN)).round().astype(int))
    pictures = ((int(number), read_picture(crops, int(number))) for number in chosen)
    frames = [(picture, estimate(number, picture)) for number, picture in pictures]
    still = StillBackground.of(frames)
    behind = ColoursBehind.of((picture, still.correct(picture, own)) for picture, own in frames)
    return lambda number, picture: behind.correct(
        picture, still.correct(picture, estimate(number, picture))
    )


class HairStep:
    """The hair's matte of the network that a user may have put into the asset folder."""

    name, version, after = "hair", 3, ("crop", "landmarks")
    outputs = (HAIR_FOLDER,)
    frames_apart = ()

    @property
    def cost(self) -> float:
        """Without the network it takes no time."""
        return 300.0 if find_asset((HAIR_SEGMENTATION.name,)) else 0.0

    def settings(self, options: Options) -> dict[str, Any]:
        """Whether there is a network."""
        return {"network": asset_digest((HAIR_SEGMENTATION.name,))}

    def run(self, work: Workspace, report: Fraction) -> list[str]:
        """See `Step`; without the network nothing is written."""
        network = HairMatte.find()
        if network is None:
            return []

        def finish(_number: int, picture: Bytes, coarse: FloatArray) -> FloatArray:
            return refine(picture, coarse)

        _estimate(work, HAIR_FOLDER, lambda _, picture: network.estimate(picture), finish, report)
        return []


def _estimate(
    work: Workspace,
    folder: str,
    estimate: _Network,
    finish: Callable[[int, Bytes, FloatArray], FloatArray],
    report: Fraction,
) -> None:
    """Write a matte for each picture: refined from the median of the coarse ones around it, and
    held to the refined ones around it, whose outlines have other noise each."""
    crops, track, crop = work.folder / CROPS, Track.read(work), Crop.read(work)
    places, count = crop.to_picture(track.landmarks)[..., :2] / crop.size, track.num_frames
    known = take_over(work, work.earlier, folder) if work.earlier else set()

    def coarse(number: int) -> FloatArray:
        if number in known:
            # What is finished tells its neighbours no less than what the network would say.
            return read_picture(work.folder / folder, number) / np.float32(255)
        return estimate(number, read_picture(crops, number))

    def refined(number: int) -> FloatArray:
        if number in known:
            return coarse(number)
        return finish(number, read_picture(crops, number), coarsely(number))

    coarsely = OutlineInTime(coarse, 1, 0, track, places)
    reach = int(_REACH_SECONDS * track.fps)
    held = OutlineInTime(refined, reach, _SPARED, track, places)
    missing = missing_pictures(work.folder / folder, count)
    for done, number in enumerate(missing, start=count - len(missing) + 1):
        matte = held(number)
        save_picture(work.folder / folder / f"{number}.png", (matte * 255).round().astype(np.uint8))
        report(done / count)
