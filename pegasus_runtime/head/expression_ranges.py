"""How far each expression of a head goes before the head is no face any more.

Measured on the mesh alone, with one expression on the neutral head at rest:

1. The skin may not fold over: little of it turns by more than 60 degrees from where it was.
2. Few edges may get much longer than they were; where no action is meant, very few.
3. Lids may not pass through each other, nor open wider than a face can.
4. Lips may not pass through each other.

An action ("smile left") is made for one direction. Of its opposite less is a face: it is also held
to leave the lips together, and ends at -1; beyond 1 an action is exaggerated, up to 1.5. Components
without a meaning of their own, which have a number in their name, are held to the same in both
directions.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pegasus_runtime.head.model import Head
from pegasus_runtime.head.openings import FloatArray, Openings
from pegasus_runtime.head.parts import find_parts
from pegasus_runtime.lru_cache import LRUCache

Range = tuple[float, float]
LIMIT = 2.0
"""No expression is measured beyond this coefficient. More lets sliders go where a face was never
fitted, less stops what a face can still do."""
_ACTION_LIMIT, _OPPOSITE_LIMIT = 1.5, 1.0
"""The farthest coefficient with the side that an action is made for, and with the other: beyond,
faces are no faces. Less makes expressions faint."""
_STEP = 0.05
"""Ranges end at a multiple of this. Finer ones let a little more of a range be used, and take
longer to measure."""
_TURNED_COSINE, _MOST_TURNED = 0.5, 0.0012
"""of the angle to the neutral normal, and the share of the face's area that may be beyond it; more
of the first or less of the second ends ranges sooner"""
_STRETCHED, _MOST_STRETCHED = 1.45, 0.01
"""times longer than at rest, and the share of all edges that may be; less of either ends ranges
sooner, more lets skin become thin"""
_TORN, _MOST_TORN = 1.6, 0.002
"""the same in few places, for what no action is made for: a lid may, a nostril may not; less ends
ranges sooner, more lets corners tear"""
_LIDS, _OPPOSITE_LIDS = (-0.3, 1.5), (-0.3, 1.2)
"""Opening between the landmarks of the lids, in neutral openings. They lie on the lids' skin, so
that closed lids carry them past each other. A wider range lets lids cross or stare."""
_LIP_CROSSING, _LIP_PARTING = 0.11, 0.015
"""in widths of the mouth, from the neutral opening; more lets lips pass through each other, less
ends smiles early"""
_FACE_PARTS = ("skin", "lips", "nose", "eyebrows", "eyelids")
_KEPT_BYTES = 1 << 20
"""Of heads that were measured: less measures one again when it is opened anew."""
_UNSHOWN, _BEYOND = 0.6, 1.1
"""How far an action goes of which a film has shown less, and what it may exceed that it has shown:
more tears lips and lids where they move as no frame has taught, less makes expressions faint"""
_STILL = 1e-4
"""in head units: skin that moves less does not move; more leaves faint motion unmeasured, less
measures rounding"""
_ranges: LRUCache[tuple[Range, ...]] = LRUCache(_KEPT_BYTES, lambda found: 64 * len(found))


def expression_ranges(head: Head) -> tuple[Range, ...]:
    """The least and the greatest coefficient of each expression that is a face; kept per head.

    0 lies within every range, and `LIMIT` is the farthest an end goes.
    """
    return _ranges.get(_key(head), lambda: _measure_all(head))


def shown_ranges(head: Head, shown: npt.ArrayLike) -> tuple[Range, ...]:
    """The same of a person of whom a film has shown actions up to some coefficients (50,).

    What moves no skin, a tongue, no film can show; it goes as far as the head's.
    """
    names = [name.replace("_", " ") for name in head.expression_names]
    most = dict(zip(names, np.asarray(shown).tolist(), strict=True))
    found = list(expression_ranges(head))
    skin = np.unique(head.faces.numpy()[_face_triangles(head)])
    moves_skin = np.abs(head.expression_directions.numpy()[skin]).max(axis=(0, 1)) > _STILL
    for index, name in enumerate(names):
        if is_action(name) and moves_skin[index]:
            least, greatest = found[index]
            end = max(_UNSHOWN, _BEYOND * max(most[name], most.get(_mirrored(name), 0.0)))
            found[index] = max(least, -end), min(greatest, end)
    return tuple(found)


def is_action(name: str) -> bool:
    """Whether an expression has a meaning, and with it a direction."""
    return not re.search(r"\d", name)


def _key(head: Head) -> tuple[str, bool, bool]:
    return head.sha256, head.part_labels is None, head.landmarks is None


def _measure_all(head: Head) -> tuple[Range, ...]:
    measure, names = _FaceMeasure(head), head.expression_names
    ends = {
        name.replace("_", " "): (measure.end(index, -1.0), measure.end(index, 1.0))
        for index, name in enumerate(names)
    }
    # A face is never quite symmetric; its sliders are.
    own = [ends[name.replace("_", " ")] for name in names]
    pairs = [(o, ends.get(_mirrored(name), o)) for name, o in zip(names, own, strict=True)]
    return tuple((0.0 - min(a[0], b[0]), min(a[1], b[1])) for a, b in pairs)


def _mirrored(name: str) -> str:
    sides = {"left": "right", "right": "left"}
    return re.sub(r"\b(left|right)\b", lambda found: sides[found[0]], name.replace("_", " "))


class _FaceMeasure:
    """Whether the neutral head with one expression is a face."""

    def __init__(self, head: Head) -> None:
        self._names = head.expression_names
        self._template = head.template.numpy()
        # (50, V, 3), each direction in one piece.
        moved = np.moveaxis(head.expression_directions.numpy(), 2, 0)
        self._directions = np.ascontiguousarray(moved)
        self._faces = head.faces.numpy()[_face_triangles(head)]
        corners = self._template[self._faces]
        self._normals = _normals(corners)
        self._areas = np.linalg.norm(self._normals, axis=1)
        self._edges = _edges(self._faces)
        ends = self._template[self._edges]
        self._lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        self._openings = Openings.of(head)

    def end(self, index: int, sign: float) -> float:
        """How far the expression goes in a direction: the largest multiple of a step, from 0."""
        is_made_for = is_action(self._names[index])
        is_opposite = is_made_for and sign < 0
        limit = (_OPPOSITE_LIMIT if is_opposite else _ACTION_LIMIT) if is_made_for else LIMIT
        tears = is_opposite or not is_made_for
        is_face = self._test(sign * self._directions[index], is_opposite, tears)
        if is_face is None:
            return 0.0 if is_opposite else limit
        low, high = 0, round(limit / _STEP)
        if is_face(high * _STEP):
            return high * _STEP
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if is_face(middle * _STEP) else (low, middle)
        return low * _STEP

    def _test(
        self, direction: FloatArray, is_opposite: bool, tears: bool
    ) -> Callable[[float], bool] | None:
        """Whether a coefficient of the direction is a face; None where it moves no skin."""
        moves = np.abs(direction).max(axis=1) > _STILL
        chosen = moves[self._faces].any(axis=1)
        if not chosen.any():
            return None
        stretched = moves[self._edges].any(axis=1)
        corners, change = self._template[self._faces[chosen]], direction[self._faces[chosen]]
        ends, pull = self._template[self._edges[stretched]], direction[self._edges[stretched]]
        neutral, areas = self._normals[chosen], self._areas[chosen]
        lengths = self._lengths[stretched]
        limits = [(_STRETCHED * lengths, _MOST_STRETCHED * len(self._edges))]
        if tears:
            limits.append((_TORN * lengths, _MOST_TORN * len(self._edges)))

        def is_face(coefficient: float) -> bool:
            normals = _normals(corners + coefficient * change)
            cosine = (normals * neutral).sum(axis=1)
            turned = cosine < _TURNED_COSINE * areas * np.linalg.norm(normals, axis=1)
            if areas[turned].sum() > _MOST_TURNED * self._areas.sum():
                return False
            moved = ends + coefficient * pull
            now = np.linalg.norm(moved[:, 1] - moved[:, 0], axis=1)
            if any((now > longest).sum() > most for longest, most in limits):
                return False
            openings = self._openings
            return openings is None or _are_apart(openings, coefficient * direction, is_opposite)

        return is_face


def _are_apart(openings: Openings, moved: FloatArray, is_opposite: bool) -> bool:
    """Whether lids and lips are as a face has them when vertices move by ``moved`` (V, 3)."""
    marks = openings.moved(moved)
    least, most = _OPPOSITE_LIDS if is_opposite else _LIDS
    lids = openings.lids(marks)
    parting = openings.lips(marks) - openings.lips(openings.neutral)
    may_part = not is_opposite or parting.max() <= _LIP_PARTING
    lids_are = bool(least <= lids.min() and lids.max() <= most)
    return lids_are and bool(parting.min() >= -_LIP_CROSSING and may_part)


def _face_triangles(head: Head) -> npt.NDArray[np.bool_]:
    """Those of the outer skin of the face (F,); all of a head of whose parts nothing is known."""
    parts = find_parts(head)
    wanted = None if parts is None else parts.on(*_FACE_PARTS).numpy()
    if wanted is None or not wanted.any():
        return np.ones(len(head.faces), bool)
    return np.asarray(wanted[head.faces.numpy()].sum(axis=1) >= 2)


def _normals(corners: FloatArray) -> FloatArray:
    """Normals (T, 3) of triangles (T, 3, 3), twice as long as their area."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _edges(faces: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Both vertices (E, 2) of every edge of triangles (T, 3), each edge once."""
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    keys = np.unique(ends[:, 0] * (faces.max() + 1) + ends[:, 1])
    return np.stack(np.divmod(keys, faces.max() + 1), axis=1)
