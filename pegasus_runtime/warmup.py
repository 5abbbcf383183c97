"""What the first picture needs, loaded before it is asked for."""

from __future__ import annotations

from importlib import import_module

from pegasus_runtime.devices import choose_device

_LOOPS = (
    "cpu.shading_lut", "cpu.joints", "cpu.image", "cpu.projection",
    "raster.numba.surfels", "cpu.surfel_pose", "cpu.surfel_wear",
)  # fmt: skip


def load() -> None:
    """Import what draws, and on a CPU let numba begin, which takes it a while."""
    import_module("pegasus_runtime.session")
    if choose_device("auto").type == "cpu":
        import numpy as np

        for name in _LOOPS:
            import_module(f"pegasus_runtime.{name}")
        from pegasus_runtime.cpu.image import to_bytes

        to_bytes(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint8))
