"""Which part of the face every vertex belongs to, also of a head whose file does not say.

FLAME's file has no such labels. Its eyeballs follow the eyes' joints, pieces of the mesh that hang
together with no skin are teeth and tongue, and lids, lips, nose, brows and hairline lie where the
68 landmarks say. Lengths are in distances of the eyes, so that a head of any size will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head.mesh_normals import vertex_normals
from pegasus_runtime.head.model import Head
from pegasus_runtime.head.openings import Openings

FloatArray = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
HEAD_PARTS = (
    "skin", "lips", "nose", "ears", "eyebrows", "eyelids", "eyes", "teeth", "tongue", "mouth",
    "neck", "scalp",
)  # fmt: skip
"""of the free head; of other heads some of them"""
WORN_PARTS = ("hair", "hat", "glasses", "clothes")
"""what a person has beyond the head, in part pictures and among surfels"""
PART_NAMES = (*HEAD_PARTS, *WORN_PARTS)
_NAMES = (
    "skin", "lips", "nose", "ears", "eyebrows", "eyelids", "eyes", "mouth", "neck", "scalp",
)  # fmt: skip
_EYES = {3: range(42, 48), 4: range(36, 42)}
"""joint → landmarks around the eye"""
_BROWS, _NOSE, _OUTER_LIPS = (range(17, 22), range(22, 27)), range(27, 36), range(48, 60)
_CONTOUR_ENDS = (0, 16)
_LID_WIDTH, _LID_HEIGHT, _SOCKET = 1.35, 1.15, 1.25
"""of half the eye's width: how far lids reach around it; of the eyeball's radius: its socket. More
takes in brow and cheek, less leaves parts of the lids to the skin."""
_BROW, _NOSE_MARGIN, _LIP_MARGIN = 0.07, 0.06, 1.08
"""Distances in head units, and a factor of the lips' outline: more takes in skin around, less
leaves their edges to it."""
_MOUTH_BEHIND, _MOUTH_REACH = 0.4, 1.2
"""the middle of the inner mouth behind the lips, and how far from there its walls are; more takes
in the throat, less leaves its walls to the skin"""
_NECK_WEIGHT = 0.35
"""Of the first joint in a vertex' skinning weights, from which it is the neck: less takes in chin
and nape."""
# In side view from the eyes' middle, depth and height of the lower edge of the hair: higher in
# front bares the forehead, lower behind takes the neck for scalp.
_HAIRLINE_DEPTH = (-2.12, -1.53, -1.37, -1.18, -0.84, -0.68, -0.48, -0.21, 0.15, 0.85)
_HAIRLINE_HEIGHT = (-1.14, -1.03, -0.17, 0.21, 0.18, 0.02, 0.49, 0.74, 0.93, 0.96)


@dataclass(frozen=True, eq=False)
class HeadParts:
    """The part of every vertex."""

    labels: Tensor
    """(V,) int64 index into names"""
    names: tuple[str, ...]

    def on(self, *names: str) -> Tensor:
        """(V,) bool, which vertices lie on any of the named parts; unknown names have none."""
        wanted = [index for index, name in enumerate(self.names) if name in names]
        return torch.isin(self.labels, torch.tensor(wanted, dtype=torch.long))


@lru_cache(maxsize=2)
def find_parts(head: Head) -> HeadParts | None:
    """Those of the head's file, else those that its landmarks tell; None without both.

    Kept for the latest heads, for finding them takes some hundredths of a second.
    """
    if head.part_labels is not None:
        return HeadParts(head.part_labels, head.part_names)
    if head.landmarks is None:
        return None
    return HeadParts(torch.from_numpy(_Finder(head).labels()), _NAMES)


def require_parts(head: Head) -> HeadParts:
    """The parts of a head.

    Raises:
        InvalidInput: its file has no labels of parts, and there are no landmarks to find them by.
    """
    parts = find_parts(head)
    if parts is None:
        raise InvalidInput(
            f"head {head.name!r}: nothing says where its lids and lips are; put its "
            "landmark_embedding.npy beside it."
        )
    return parts


class _Finder:
    """The parts of one head, painted one over another."""

    def __init__(self, head: Head) -> None:
        openings = Openings.of(head)
        assert openings is not None
        marks, template = openings.neutral, head.template.numpy()
        eyes = np.stack([marks[list(ring)].mean(axis=0) for ring in _EYES.values()])
        self._size = float(np.linalg.norm(eyes[0] - eyes[1]))
        middle = eyes.mean(axis=0)
        self._marks, self._places = ((p - middle) / self._size for p in (marks, template))
        joints = head.joint_directions[0].numpy()
        self._eye_centres = {j: (joints[j] - middle) / self._size for j in _EYES}
        self._faces, self._weights = head.faces.numpy(), head.skinning_weights.numpy()

    def labels(self) -> npt.NDArray[np.int64]:
        """(V,) index into `_NAMES`."""
        labels = np.zeros(len(self._places), np.int64)
        eyes = self._eyes()
        for name, mask in (
            ("neck", self._weights[:, 0] > _NECK_WEIGHT),
            ("scalp", self._scalp()),
            ("eyebrows", self._eyebrows()),
            ("ears", self._ears()),
            ("mouth", self._mouth()),
            ("nose", self._nose()),
            ("lips", self._lips()),
            ("eyelids", self._eyelids(eyes)),
            ("mouth", self._loose_pieces()),
            ("eyes", eyes),
        ):
            labels[mask] = _NAMES.index(name)
        return labels

    def _eyes(self) -> Mask:
        return np.asarray(self._weights[:, list(_EYES)].sum(axis=1) > 0.5)

    def _eyelids(self, eyes: Mask) -> Mask:
        found = np.zeros(len(self._places), bool)
        for joint, ring in _EYES.items():
            corners = self._marks[[ring[0], ring[3]]]
            centre = self._eye_centres[joint]
            half = float(np.linalg.norm(corners[0] - corners[1])) / 2
            middle = self._marks[list(ring)].mean(axis=0)
            flat = (self._places - middle)[:, :2] / (_LID_WIDTH * half, _LID_HEIGHT * half)
            found |= (np.linalg.norm(flat, axis=1) < 1) & (self._places[:, 2] > centre[2] - half)
            mine = self._places[eyes & (self._weights[:, joint] > 0.5)]
            if len(mine):
                radius = float(np.linalg.norm(mine - centre, axis=1).max())
                away = np.linalg.norm(self._places - centre, axis=1)
                found |= away < _SOCKET * radius
        return found

    def _lips(self) -> Mask:
        outline = self._marks[list(_OUTER_LIPS)]
        middle = outline.mean(axis=0)
        grown = middle + _LIP_MARGIN * (outline - middle)
        deepest = outline[:, 2].min() - _LIP_MARGIN + 1
        inside = _inside(self._places[:, :2], grown[:, :2])
        return np.asarray(inside & (self._places[:, 2] > deepest))

    def _mouth(self) -> Mask:
        """The walls of the inner mouth: behind the lips, and turned to its middle."""
        lips = self._marks[list(_OUTER_LIPS)]
        middle = lips.mean(axis=0) - (0, 0, _MOUTH_BEHIND)
        towards = middle - self._places
        inwards = (vertex_normals(self._places, self._faces) * towards).sum(axis=1) > 0
        near = np.linalg.norm(towards, axis=1) < _MOUTH_REACH
        return np.asarray(inwards & near & (self._places[:, 2] < lips[:, 2].max()))

    def _loose_pieces(self) -> Mask:
        """Pieces of the mesh around the mouth that hang together with nothing else."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        count = len(self._places)
        ends = np.concatenate([self._faces[:, [0, 1]], self._faces[:, [1, 2]]])
        joined = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
        _, piece = connected_components(joined, directed=False)
        middle = self._marks[list(_OUTER_LIPS)].mean(axis=0) - (0, 0, _MOUTH_BEHIND)
        sizes = np.bincount(piece)
        sums = [np.bincount(piece, weights=axis) for axis in self._places.T]
        is_near = np.linalg.norm(np.stack(sums, 1) / sizes[:, None] - middle, axis=1) < _MOUTH_REACH
        return np.asarray(is_near[piece] & (piece != sizes.argmax()))

    def _nose(self) -> Mask:
        marks, places = self._marks[list(_NOSE)], self._places
        heights = marks[:, 1]
        top, base = heights.max(), heights.min() - _NOSE_MARGIN
        wings = np.ptp(marks[:, 0]) / 2 + _NOSE_MARGIN
        width = np.interp(places[:, 1], (base, base + wings, top), (wings, wings, wings / 2))
        high = (places[:, 1] > base) & (places[:, 1] < top)
        in_front = places[:, 2] > marks[:, 2].min() - _NOSE_MARGIN
        return np.asarray(high & in_front & (np.abs(places[:, 0]) < width))

    def _eyebrows(self) -> Mask:
        places = self._places
        found = np.zeros(len(places), bool)
        for brow in _BROWS:
            line = self._marks[list(brow)]
            for start, end in zip(line[:-1], line[1:], strict=True):
                along = end - start
                share = np.clip((places - start) @ along / (along @ along), 0, 1)[:, None]
                found |= np.linalg.norm(places - start - share * along, axis=1) < _BROW
        return found

    def _ears(self) -> Mask:
        places, ends = self._places, self._marks[list(_CONTOUR_ENDS)]
        beside = np.abs(places[:, 0]) > np.abs(ends[:, 0]).min()
        low, high = self._marks[list(_OUTER_LIPS), 1].max(), self._marks[17:27, 1].max()
        return np.asarray(beside & (places[:, 1] > low) & (places[:, 1] < high))

    def _scalp(self) -> Mask:
        edge = np.interp(self._places[:, 2], _HAIRLINE_DEPTH, _HAIRLINE_HEIGHT)
        return np.asarray(self._places[:, 1] > edge)


def _inside(points: FloatArray, outline: FloatArray) -> Mask:
    """Which points (V, 2) lie in a closed polygon (K, 2): a ray crosses it oddly often."""
    found = np.zeros(len(points), bool)
    x, y = points.T
    for (x1, y1), (x2, y2) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crosses = (y1 > y) != (y2 > y)
        found ^= crosses & (x < x1 + (y - y1) / (y2 - y1 + 1e-12 * (y1 == y2)) * (x2 - x1))
    return found
