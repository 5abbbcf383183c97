"""How a face looks in a clip, and what it costs a head to lie where the pictures look otherwise.

Landmarks lie a pixel or so beside the truth, all of a frame to the same side; the pictures know
better. As Lucas and Kanade (1981) aligned pictures, and Blanz and Vetter (1999) heads:

1. Pictures are taken apart into bands of frequencies, and each band is divided by its strength near
   by, so that light and exposure matter little.
2. What points of the skin show on average over the clip is how the face looks.
3. Where a frame's points show something else, its head is moved along the picture's slopes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pegasus_runtime.head import Head
from pegasus_runtime.head.parts import require_parts
from trainer.init.surfel_sampling import sample_triangles, triangle_areas
from trainer.preprocess.arrays import Array
from trainer.preprocess.arrow_system import Doubles, Sums, huber
from trainer.preprocess.estimators import Bytes
from trainer.preprocess.fit_unknowns import Unknowns
from trainer.preprocess.landmark_groups import FIRST_IRIS, OVAL
from trainer.preprocess.landmark_map import landmark_map
from trainer.preprocess.posed_points import PosedPoints
from trainer.preprocess.projected_points import ProjectedPoints

_SIDE = 256
"""of the pictures that are compared: larger ones take longer, smaller ones blur brows"""
_BANDS = ((1.0, 4.0), (2.0, 8.0))
"""Standard deviations in pixels of that, of the finer and the coarser filter of each band. A third,
coarser one gains nothing."""
_FAINT = 4.0
"""Of 255, a band's strength that counts as none: less makes the noise of cheeks as strong as brows,
more leaves dark faces little that counts."""
_LEVELS = 32.0
"""of a byte for one unit of a band, which lies within ±4"""
_NUM_POINTS = 400
"""more take longer and turn the head no better"""
_REACH = 0.015
"""In units of the head (4 mm): only skin so near to a landmark is compared. Brows, nose and mouth
look the same from all sides; with all of the cheeks, whose shading stays where the light is, heads
are turned worse than without pictures (2.7 degrees for 2.4, and 1.8 as it is)."""
_PARTS = ("skin", "nose", "eyebrows", "lips")
_LEAST_FACING, _FACING = 0.2, 0.6
"""Cosines to the camera from which a point is looked at, and from which it counts whole: less sees
what is behind the face, more leaves few points in profiles."""
_UNSURE = 0.05
"""Variance of a band that counts half as much as none: less trusts few points alone, more trusts
what blinks or is hidden by hair."""
_BEND = 0.5
"""of Huber's cost, in units of a band: less is slow, more lets a lock of hair pull at the head"""
_WEIGHT = 20.0
"""Against the landmarks' cost: with 10 a head that nods is followed less (0.5 dB in the avatar of a
film); with 100 another face is bent to its shading and turned 3.3 degrees off instead of 1.7."""
_LOOKS = 4
"""until a mean that passes over what is hidden changes no more"""
_TINY = 1e-6
_TOGETHER = 32
"""frames whose points are looked up at a time: more take more memory"""


class FacePictures:
    """Pictures of a clip in bands of frequencies."""

    def __init__(self, pictures: Iterable[Bytes], size: int) -> None:
        """Of B pictures with sides of so many pixels."""
        self.size = size
        self._bands = torch.from_numpy(np.stack([_bands(picture) for picture in pictures]))

    def shown(self, places: Tensor, first: int) -> Tensor:
        """(B, K, C) what places (B, K, 2) of the pictures from the first one on show, in pixels."""
        here = self._bands[first : first + len(places)].float() / _LEVELS
        grid = places[:, :, None].float() * (2 / self.size) - 1
        found = functional.grid_sample(here, grid, padding_mode="border", align_corners=False)
        return found[..., 0].mT.double()

    def slopes(self, places: Tensor, first: int) -> Tensor:
        """(B, K, C, 2) how that changes with the places."""
        step = 0.5 * self.size / _SIDE
        across, along = step * torch.eye(2, dtype=places.dtype)
        around = torch.cat([places + off for off in (across, -across, along, -along)], dim=1)
        right, left, down, up = self.shown(around, first).chunk(4, dim=1)
        return torch.stack([right - left, down - up], dim=-1) / (2 * step)


class AppearanceCost:
    """Of a head in the pictures of a clip."""

    def __init__(
        self,
        head: Head,
        pictures: FacePictures,
        present: Doubles,
        lens: tuple[float, float, float],
    ) -> None:
        """Of a head.

        Args:
            head: whose skin is looked at.
            pictures: of B frames.
            present: (B,) 1 where a face was found and 0 elsewhere.
            lens: focal length and principal point in pixels.
        """
        self._skin, self._pictures = ProjectedPoints(_skin_points(head), lens), pictures
        self._present = torch.from_numpy(present)[:, None]
        self._look, self._weights = torch.zeros(0), torch.zeros(0)

    def learn(self, at: Unknowns) -> None:
        """Take what the points show on average for how the face looks."""
        facing = (self._skin.facing(at) - _LEAST_FACING) / (_FACING - _LEAST_FACING)
        seen = (facing.clamp(0, 1) * self._present)[..., None]
        shown, weights = self._shown(at), seen
        for _ in range(_LOOKS):
            self._look = (weights * shown).sum(dim=0) / weights.sum(dim=0).clamp_min(_TINY)
            off = (shown - self._look).abs()
            weights = seen / off.clamp_min(_BEND)
        variance = (seen * off.square()).sum(dim=0) / seen.sum(dim=0).clamp_min(_TINY)
        trusted = seen / (variance + _UNSURE)
        self._weights = _WEIGHT * trusted / trusted.sum(dim=(1, 2), keepdim=True).clamp_min(_TINY)

    def of_frames(self, at: Unknowns) -> Tensor:
        """(B,)"""
        off = (self._shown(at) - self._look).abs()
        total: Tensor = (self._weights * huber(off, _BEND)).sum(dim=(1, 2))
        return total

    def add_to(self, sums: Sums, at: Unknowns, rows: slice, seen: Tensor) -> None:
        """Add the residuals of these frames, each of which counts by a weight (B,)."""
        places = self._skin.places(at)
        off = self._pictures.shown(places, rows.start) - self._look
        slopes = self._pictures.slopes(places, rows.start)
        weights = self._weights[rows] * seen[:, None, None] / off.abs().clamp_min(_BEND)
        by_frame, by_shared, _ = self._skin.slopes(at, through=slopes)
        sums.add(by_frame, by_shared, off, weights)

    def _shown(self, at: Unknowns) -> Tensor:
        """(B, K, C)"""
        parts = []
        for first in range(0, len(at.frames), _TOGETHER):
            places = self._skin.places(at.some(slice(first, first + _TOGETHER)))
            parts.append(self._pictures.shown(places, first))
        return torch.cat(parts)


def _bands(picture: Bytes) -> Array:
    """(C, R, R) int8"""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    bands = []
    for fine, coarse in _BANDS:
        band = cv2.GaussianBlur(small, (0, 0), fine) - cv2.GaussianBlur(small, (0, 0), coarse)
        strength = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 2 * coarse))
        bands.append(band / (strength + _FAINT))
    return np.asarray((np.stack(bands) * _LEVELS).clip(-127, 127).astype(np.int8))


def _skin_points(head: Head) -> PosedPoints:
    """Points spread evenly near the landmarks, without lids, eyes and the inside of the mouth."""
    from scipy.spatial import cKDTree

    marks = landmark_map(head).on_mesh(head, head.template)[:FIRST_IRIS].numpy()
    inner = marks[np.setdiff1d(np.arange(FIRST_IRIS), OVAL)]
    near = torch.from_numpy(cKDTree(inner).query(head.template.numpy())[0] < _REACH)
    wanted = (near & require_parts(head).on(*_PARTS))[head.faces].all(dim=1)
    areas = triangle_areas(head.template[head.faces]) * wanted
    random = torch.Generator().manual_seed(0)
    return PosedPoints(head, *sample_triangles(areas, _NUM_POINTS, random))
