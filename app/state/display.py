"""What of the head is shown, and before what."""

from __future__ import annotations

from dataclasses import dataclass

from pegasus_runtime.export.backdrop import Backdrop
from pegasus_runtime.passes import PASSES

PASS_TITLES = {name: known.title for name, known in PASSES.items()}
BACKGROUNDS: dict[str, str] = {
    "studio": "Studio",
    "white": "White",
    "black": "Black",
    "colour": "Own colour",
    "checker": "Checker",
}
Colour = tuple[float, float, float]
_PLAIN: dict[str, Colour] = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}
_STUDIO = ((0.30, 0.32, 0.36), (0.13, 0.14, 0.16))
"""Middle and edge; lighter ones take the contrast from light hair, darker ones from dark."""
_CHECKER_PX = 12.0
"""Points of a square; smaller ones disturb fine hair, larger ones are not known as a pattern."""
_CHECKER = ((0.42, 0.42, 0.42), (0.34, 0.34, 0.34))
"""Greys so near to each other that the pattern is seen only where one looks for it."""


@dataclass(frozen=True)
class Display:
    """The pass that is shown and the background."""

    pass_name: str = "rgb"
    background: str = "studio"
    colour: Colour = (0.85, 0.87, 0.90)
    """used when the background is "colour" """

    @property
    def is_see_through(self) -> bool:
        """Whether there is nothing behind the head, which only a checker can show."""
        return self.background == "checker"

    def backdrop(self, scale: float = 1.0) -> Backdrop:
        """What is behind the head, at so many pixels of the screen to a point."""
        if self.background == "studio":
            return Backdrop(*_STUDIO)
        if self.background == "checker":
            return Backdrop(*_CHECKER, _CHECKER_PX * scale)
        return Backdrop.plain(_PLAIN.get(self.background, self.colour))


def display_label(old: Display, new: Display) -> str:
    """What a change of the display is called in the history."""
    if old.pass_name != new.pass_name:
        return f"Show {PASS_TITLES[new.pass_name].lower()}"
    if old.background != new.background:
        return f"Background: {BACKGROUNDS[new.background].lower()}"
    return "Background colour"
