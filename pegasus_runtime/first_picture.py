"""What the first picture needs, loaded before it is asked for."""

from __future__ import annotations

from importlib import import_module

from pegasus_runtime.devices import choose_device

_LOOPS = (
    "avatar.softplus_kernel", "deform.folding", "deform.nearest_kernel", "deform.posing_kernel",
    "deform.patch_kernel", "deform.shading_kernel", "head.skinning_kernel", "picture_kernel",
    "projection_kernel", "raster.numba_engine",
)  # fmt: skip


def load() -> None:
    """Import what draws, and on a CPU let numba begin, which takes it a while."""
    import_module("pegasus_runtime.session")
    if choose_device("auto").type == "cpu":
        import numpy as np

        for name in _LOOPS:
            import_module(f"pegasus_runtime.{name}")
        from pegasus_runtime.avatar.softplus_kernel import activate_values

        one = np.zeros((1, 1), np.float32)
        activate_values(one, one.copy())
