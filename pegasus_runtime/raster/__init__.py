"""Point rasteriser: discs of one radius, kept front to back, blended by their distance falloff.

Nothing heavy is imported until one of the names below is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pegasus_runtime.raster.engine import available_engines, choose_engine, missing_engines
    from pegasus_runtime.raster.fragments import Fragments
    from pegasus_runtime.raster.rasterizer import (
        composite,
        rasterize,
        render_features,
        render_points,
        visible_points,
    )

__all__ = [
    "Fragments",
    "available_engines",
    "choose_engine",
    "composite",
    "missing_engines",
    "rasterize",
    "render_features",
    "render_points",
    "visible_points",
]

_MODULES = {
    "Fragments": "fragments",
    "available_engines": "engine",
    "choose_engine": "engine",
    "composite": "rasterizer",
    "missing_engines": "engine",
    "rasterize": "rasterizer",
    "render_features": "rasterizer",
    "render_points": "rasterizer",
    "visible_points": "rasterizer",
}


def __getattr__(name: str) -> object:
    """Import the module of a public name when it is first asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
