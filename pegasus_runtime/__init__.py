"""The runtime of personal generative head avatars: load, set parameters, render.

Everything here works without a window. Names are loaded on first use, so that importing the
package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pegasus_runtime.lazy_names import lazy_names

_HOME = {
    "AttributeBlend": "parameters",
    "Avatar": "avatar.avatar",
    "Camera": "camera",
    "Fragments": "raster",
    "Frame": "frame",
    "Head": "head",
    "NetworkSizes": "model.networks",
    "Parameters": "parameters",
    "InvalidInput": "errors",
    "Session": "session",
    "blend": "raster",
    "composite": "raster",
    "import_reference": "avatar.checkpoint_import",
    "initial_avatar": "avatar.avatar",
    "load_avatar": "avatar_file",
    "load_free_head": "head",
    "load_head": "head",
    "rasterize": "raster",
}
__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from pegasus_runtime.avatar.avatar import Avatar, initial_avatar
    from pegasus_runtime.avatar.checkpoint_import import import_reference
    from pegasus_runtime.avatar_file import load_avatar
    from pegasus_runtime.camera import Camera
    from pegasus_runtime.errors import InvalidInput
    from pegasus_runtime.frame import Frame
    from pegasus_runtime.head import Head, load_free_head, load_head
    from pegasus_runtime.model.config import NetworkSizes
    from pegasus_runtime.parameters import AttributeBlend, Parameters
    from pegasus_runtime.raster import Fragments, blend, composite, rasterize
    from pegasus_runtime.session import Session

__getattr__, __dir__ = lazy_names(__name__, _HOME)
