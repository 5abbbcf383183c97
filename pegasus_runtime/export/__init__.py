"""Pictures and films of an avatar on disk.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "FILM_FORMATS": "film",
    "FilmFormat": "film",
    "Turntable": "turntable",
    "export_turntable": "turntable",
    "film_format": "film",
    "open_film": "film",
    "Backdrop": "backdrop",
    "to_picture": "display",
    "write_image": "image",
}
__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from pegasus_runtime.export.backdrop import Backdrop
    from pegasus_runtime.export.display import to_picture
    from pegasus_runtime.export.film import FILM_FORMATS, FilmFormat, film_format, open_film
    from pegasus_runtime.export.image import write_image
    from pegasus_runtime.export.turntable import Turntable, export_turntable


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
