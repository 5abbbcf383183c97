"""What of the head is shown, and before what."""

from __future__ import annotations

from dataclasses import dataclass

PASS_TITLES: dict[str, str] = {
    "rgb": "Colour",
    "albedo": "Albedo",
    "shading": "Shading",
    "normal": "Normals",
    "depth": "Depth",
    "alpha": "Alpha",
    "segmentation": "Segmentation",
}
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
_CHECKER = ((0.42, 0.42, 0.42), (0.34, 0.34, 0.34))


@dataclass(frozen=True)
class Display:
    """The pass that is shown and the background."""

    pass_name: str = "rgb"
    background: str = "studio"
    colour: Colour = (0.85, 0.87, 0.90)
    """used when the background is "colour" """

    def background_colours(self) -> tuple[Colour, Colour]:
        """The two colours of the background: middle and corner, or the checker's."""
        if self.background == "studio":
            return _STUDIO
        if self.background == "checker":
            return _CHECKER
        plain = _PLAIN.get(self.background, self.colour)
        return plain, plain


def display_label(old: Display, new: Display) -> str:
    """What a change of the display is called in the history."""
    if old.pass_name != new.pass_name:
        return f"Show {PASS_TITLES[new.pass_name].lower()}"
    if old.background != new.background:
        return f"Background: {BACKGROUNDS[new.background].lower()}"
    return "Background colour"
