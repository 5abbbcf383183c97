"""The passes of a picture: the one table of what there is, and of how each is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pegasus_runtime.errors import InvalidInput, quoted


@dataclass(frozen=True)
class Pass:
    """One picture of many that a render gives."""

    title: str
    """for people"""
    channels: int
    over_background: bool
    """drawn before a background; the others are numbers, and stand on black"""


PASSES: dict[str, Pass] = {
    "rgb": Pass("Colour", 3, True),
    "albedo": Pass("Albedo", 3, True),
    "shading": Pass("Shading", 3, True),
    "normal": Pass("Normals", 3, True),
    "depth": Pass("Depth", 1, False),
    "alpha": Pass("Alpha", 1, False),
    "segmentation": Pass("Segmentation", 1, False),
}


def check_passes(passes: object) -> tuple[str, ...]:
    """The passes asked for.

    Raises:
        InvalidInput: one of them does not exist.
    """
    if isinstance(passes, str):
        passes = (passes,)
    if not isinstance(passes, Iterable):
        raise InvalidInput(f"passes {quoted(passes)}: give names, some of {', '.join(PASSES)}.")
    names = tuple(passes)
    for name in names:
        if not isinstance(name, str) or name not in PASSES:
            raise InvalidInput(f"pass {quoted(name)}: use one of {', '.join(PASSES)}.")
    return names


def pass_widths(names: tuple[str, ...]) -> dict[str, int]:
    """How many columns are blended for each pass, in their order, and always alpha."""
    return {name: PASSES[name].channels for name in (*names, "alpha")}
