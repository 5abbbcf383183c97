"""Pictures and films of an avatar on disk.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pegasus_runtime.lazy_names import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _HOME)
