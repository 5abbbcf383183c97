"""Which sliders an avatar's face gets: one for each expression, and some that move several."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pegasus_runtime.parameters import JAW_OPEN_INDEX

EXPRESSION_RANGE = (-2.0, 2.0)
"""In standard deviations, where a head tells no range: farther ones deform the face."""
Ranges = Sequence[tuple[float, float]]
"""the least and the greatest coefficient of each expression; empty for `EXPRESSION_RANGE`"""


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
    is_idle: bool = False
    """whether it can do nothing at the moment"""

    def values(self, value: float) -> dict[int, float]:
        """Index → coefficient for a position of the slider."""
        signs = self.signs or (1.0,) * len(self.indices)
        return {i: value * sign for i, sign in zip(self.indices, signs, strict=True)}

    def position(self, coefficients: Sequence[float]) -> float:
        """Where the slider stands: the mean over what it moves."""
        signs = self.signs or (1.0,) * len(self.indices)
        parts = [coefficients[i] * s for i, s in zip(self.indices, signs, strict=True)]
        return sum(parts) / sum(s * s for s in signs)


def single_controls(names: Sequence[str], ranges: Ranges = ()) -> list[Control]:
    """One for each expression direction."""
    return [
        Control(readable(name), (index,), *_common_range((index,), ranges))
        for index, name in enumerate(names)
    ]


def combined_controls(names: Sequence[str], ranges: Ranges = ()) -> list[Control]:
    """The everyday expressions, then every other pair of a left and a right one."""
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        stem = re.sub(r"[\s_]*\b(left|right|inner|outer)\b", "", name.replace("_", " "))
        is_side = stem != name.replace("_", " ")
        if stem and (is_side or readable(stem) in _EVERYDAY):
            groups.setdefault(stem.strip(), []).append(index)
    controls = [
        Control(
            readable(_everyday(stem)),
            tuple(indices),
            *_common_range(indices, ranges),
            tip=_moved(names, indices),
        )
        for stem, indices in groups.items()
        if (len(indices) > 1 or readable(stem) in _EVERYDAY) and stem not in ("jaw", "mouth")
    ]
    return sorted(controls, key=lambda control: _everyday_rank(control.title))


def coupled_to_jaw(control: Control, closes: float) -> Control:
    """A slider over "mouth close" as a share of what closes the lips of the open jaw.

    Args:
        control: over the plain coefficient.
        closes: the coefficient that closes the lips now; 0 for a closed jaw.
    """
    share = replace(control, low=0.0, high=1.0, tip=_CLOSE_TIP)
    return replace(share, signs=(closes,)) if closes > 0 else replace(share, is_idle=True)


def _common_range(indices: Sequence[int], ranges: Ranges) -> tuple[float, float]:
    """What all of these allow."""
    if not ranges:
        return EXPRESSION_RANGE
    low, high = (max(ranges[i][0] for i in indices), min(ranges[i][1] for i in indices))
    return (low, high) if low < high else EXPRESSION_RANGE


_CLOSE_TIP = "Closes the lips of an open jaw: 1 all the way. With the jaw closed it does nothing."
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
        _angle("Sideways", 7, 10, "Degrees; positive moves to the person's left"),
        _angle("Tilt", 8, 10, "Degrees; positive tilts to the person's right", -1.0),
    ),
}


@dataclass(frozen=True)
class Gaze:
    """How far the sliders turn the eyes, in degrees."""

    up_deg: float = 30.0
    down_deg: float = 30.0
    sideways_deg: float = 40.0


def eyes_together(gaze: Gaze) -> tuple[Control, ...]:
    """Sliders that turn both eyes."""
    side, both = gaze.sideways_deg, (math.pi / 180,) * 2
    return (
        Control("Look down", (9, 12), -gaze.up_deg, gaze.down_deg, both, "Degrees, both eyes"),
        Control("Look left", (10, 13), -side, side, both, "Degrees, both eyes"),
    )


def eyes_apart(gaze: Gaze) -> tuple[Control, ...]:
    """Sliders that turn one eye each."""
    down = [
        replace(_angle(f"{eye} eye down", index, gaze.down_deg, "Degrees"), low=-gaze.up_deg)
        for eye, index in (("Left", 9), ("Right", 12))
    ]
    left = [
        _angle(f"{eye} eye left", index, gaze.sideways_deg, "Degrees")
        for eye, index in (("Left", 10), ("Right", 13))
    ]
    return down[0], left[0], down[1], left[1]
