"""Point rasteriser: discs of one radius, or surfels, each an ellipse of its own, front to back.

Nothing heavy is imported until one of the names below is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

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

__all__ = [
    "Fragments",
    "available_engines",
    "blend",
    "choose_engine",
    "composite",
    "largest_weights",
    "missing_engines",
    "rasterize",
    "render_features",
    "render_points",
    "visible_points",
]

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


def __getattr__(name: str) -> object:
    """Import the module of a public name when it is first asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
