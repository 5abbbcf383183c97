"""Point rasteriser: discs of one radius, or surfels, each an ellipse of its own, front to back.

Nothing heavy is imported until one of the names below is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pegasus_runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from pegasus_runtime.raster.api import (
        composite,
        rasterize,
        render_features,
        render_points,
        visible_points,
    )
    from pegasus_runtime.raster.engine import available_engines, choose_engine, missing_engines
    from pegasus_runtime.raster.fragments import Fragments
    from pegasus_runtime.raster.surfels import blend, largest_weights

_MODULES = {
    "Fragments": "fragments",
    "available_engines": "engine",
    "blend": "surfels",
    "choose_engine": "engine",
    "composite": "api",
    "largest_weights": "surfels",
    "missing_engines": "engine",
    "rasterize": "api",
    "render_features": "api",
    "render_points": "api",
    "visible_points": "api",
}
__all__ = sorted(_MODULES)

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
