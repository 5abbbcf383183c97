"""What a turntable film shall be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.state.display import Colour, Display
from app.state.records import read_choice, read_keys, read_number, read_numbers
from pegasus_runtime.export.backdrop import Backdrop
from pegasus_runtime.export.film import FILM_FORMATS, film_format
from pegasus_runtime.export.limits import MAX_FPS, MAX_FRAMES, MAX_SIDE, MIN_FPS, MIN_SIDE

VIEWPORT, TRANSPARENT = "viewport", "transparent"
_FORMATS = {known.suffix[1:] or "png": known.suffix for known in FILM_FORMATS}
_KEYS = ("format", "size", "frames", "fps", "background")


@dataclass(frozen=True)
class ExportSettings:
    """One film."""

    out: Path
    """ends as one of `FILM_FORMATS`; without a suffix a folder of PNG files"""
    image_size: tuple[int, int] = (512, 512)
    """(height, width) in pixels"""
    num_frames: int = 120
    fps: float = 30.0
    background: Colour | str = VIEWPORT
    """a colour in 0..1, "transparent", or "viewport" for what is seen there"""

    @property
    def seconds(self) -> float:
        """How long the film plays."""
        return self.num_frames / self.fps

    def backdrop(self, display: Display) -> Backdrop | None:
        """What is behind the head while ``display`` is shown, None where nothing is."""
        if not isinstance(self.background, str):
            return Backdrop.plain(self.background)
        shows_nothing = display.is_see_through and film_format(self.out).carries_alpha
        return None if shows_nothing or self.background == TRANSPARENT else display.backdrop()


def export_record(settings: ExportSettings) -> dict[str, Any]:
    """A film's settings as plain values; where it was written is no part of them."""
    names = {suffix: name for name, suffix in _FORMATS.items()}
    background = settings.background
    return {
        "format": names.get(settings.out.suffix.lower(), "png"),
        "size": list(settings.image_size),
        "frames": settings.num_frames,
        "fps": settings.fps,
        "background": background if isinstance(background, str) else list(background),
    }


def read_export(record: Any, where: str, beside: Path) -> ExportSettings | None:
    """The settings of a record; None where there are none.

    Raises:
        InvalidInput: something in it no film can be.
    """
    if record is None:
        return None
    values = read_keys(record, _KEYS, where)
    kind = read_choice(values.get("format", "mp4"), _FORMATS, f"{where}.format")
    stem = beside.name.partition(".")[0] or "film"
    height, width = read_numbers(values.get("size", [768, 768]), 2, f"{where}.size", MAX_SIDE)
    background = values.get("background", VIEWPORT)
    if background not in (VIEWPORT, TRANSPARENT):
        red, green, blue = read_numbers(background, 3, f"{where}.background", 1.0)
        background = (abs(red), abs(green), abs(blue))
    return ExportSettings(
        beside.with_name(f"{stem}-turntable{_FORMATS[kind]}"),
        (max(MIN_SIDE, int(height)), max(MIN_SIDE, int(width))),
        int(read_number(values.get("frames", 120), f"{where}.frames", 1, MAX_FRAMES)),
        read_number(values.get("fps", 30), f"{where}.fps", MIN_FPS, MAX_FPS),
        background,
    )
