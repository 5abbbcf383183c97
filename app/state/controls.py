"""Which sliders an avatar's face gets: one for each expression, and some that move several."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

EXPRESSION_RANGE = (-2.0, 2.0)
JAW_OPEN_INDEX = 6
"""Rotation of the jaw around x in the pose."""


@dataclass(frozen=True)
class Control:
    """A slider over some expression coefficients, or over some numbers of the pose."""

    title: str
    indices: tuple[int, ...]
    low: float = EXPRESSION_RANGE[0]
    high: float = EXPRESSION_RANGE[1]
    signs: tuple[float, ...] = ()
    """what each index gets for a value of 1; empty means 1 for all"""
    tip: str = ""

    def values(self, value: float) -> dict[int, float]:
        """Index → coefficient for a position of the slider."""
        signs = self.signs or (1.0,) * len(self.indices)
        return {i: value * sign for i, sign in zip(self.indices, signs, strict=True)}

    def position(self, coefficients: Sequence[float]) -> float:
        """Where the slider stands: the mean over what it moves."""
        signs = self.signs or (1.0,) * len(self.indices)
        parts = [coefficients[i] * s for i, s in zip(self.indices, signs, strict=True)]
        return sum(parts) / sum(s * s for s in signs)


def single_controls(names: Sequence[str]) -> list[Control]:
    """One for each expression direction."""
    return [Control(readable(name), (index,)) for index, name in enumerate(names)]


def combined_controls(names: Sequence[str]) -> list[Control]:
    """The everyday expressions, then every other pair of a left and a right one."""
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        stem = re.sub(r"[\s_]*\b(left|right|inner|outer)\b", "", name.replace("_", " "))
        is_side = stem != name.replace("_", " ")
        if stem and (is_side or readable(stem) in _EVERYDAY):
            groups.setdefault(stem.strip(), []).append(index)
    controls = [
        Control(readable(_everyday(stem)), tuple(indices), tip=_moved(names, indices))
        for stem, indices in groups.items()
        if (len(indices) > 1 or readable(stem) in _EVERYDAY) and stem not in ("jaw", "mouth")
    ]
    return sorted(controls, key=lambda control: _everyday_rank(control.title))


_EVERYDAY = (
    "Smile",
    "Blink",
    "Brow raise",
    "Brow down",
    "Mouth pucker",
    "Mouth frown",
    "Eye squint",
    "Eye wide",
)


def _everyday(stem: str) -> str:
    return "brow raise" if stem in ("brow up", "brows up") else stem


def _everyday_rank(title: str) -> int:
    return _EVERYDAY.index(title) if title in _EVERYDAY else len(_EVERYDAY)


def _moved(names: Sequence[str], indices: Sequence[int]) -> str:
    return "Moves " + ", ".join(names[index] for index in indices)


def readable(name: str) -> str:
    """A name as a title: ``mouth_smile_left`` becomes "Mouth smile left"."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def attribute_title(name: str) -> str:
    """An attribute's name without its category: ``hair_curly_long`` becomes "Curly long"."""
    return readable(name.partition("_")[2] or name)


def _angle(title: str, index: int, limit_deg: float, tip: str, sign: float = 1.0) -> Control:
    # A slider in degrees over a rotation vector in radians.
    scale = sign * math.pi / 180
    return Control(title, (index,), -limit_deg, limit_deg, (scale,), tip)


JAW_OPEN = Control("Jaw open", (JAW_OPEN_INDEX,), 0.0, 30.0, (math.pi / 180,), "Degrees")
POSE_GROUPS: dict[str, tuple[Control, ...]] = {
    "Head": (
        _angle("Nod", 0, 60, "Degrees; positive looks down"),
        _angle("Turn", 1, 90, "Degrees; positive turns to the person's left"),
        _angle("Tilt", 2, 45, "Degrees; positive tilts to the person's right", -1.0),
    ),
    "Neck": (
        _angle("Nod", 3, 45, "Degrees; positive looks down"),
        _angle("Turn", 4, 60, "Degrees; positive turns to the person's left"),
        _angle("Tilt", 5, 35, "Degrees; positive tilts to the person's right", -1.0),
    ),
    "Jaw": (
        JAW_OPEN,
        _angle("Sideways", 7, 15, "Degrees; positive moves to the person's left"),
        _angle("Tilt", 8, 10, "Degrees; positive tilts to the person's right", -1.0),
    ),
}
EYES_LINKED = (
    Control("Look down", (9, 12), -30, 30, (math.pi / 180,) * 2, "Degrees, both eyes"),
    Control("Look left", (10, 13), -40, 40, (math.pi / 180,) * 2, "Degrees, both eyes"),
)
EYES_APART = (
    _angle("Left eye down", 9, 30, "Degrees"),
    _angle("Left eye left", 10, 40, "Degrees"),
    _angle("Right eye down", 12, 30, "Degrees"),
    _angle("Right eye left", 13, 40, "Degrees"),
)
