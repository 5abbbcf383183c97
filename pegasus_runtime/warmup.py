"""What the first picture needs, loaded before it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pegasus_runtime.devices import choose_device

_FIRST_PICTURE = {
    "cpu.shading_lut": ("look_up", "_find_cells"),
    "cpu.joints": ("pose_joints", "_rotate", "_multiply"),
    "cpu.image": ("light_up", "to_bytes"),
    "cpu.projection": (),
    "raster.numba.binning": ("reserve_entries", "fill_tiles"),
    "raster.numba.sorting": ("sort_tiles", "_spread", "_put_right"),
    "raster.numba.surfel_binning": ("place_surfels", "_count_tiles", "count_entries"),
    "raster.numba.surfel_cells": ("open_runs", "find_runs"),
    "raster.numba.surfel_forward": ("draw_surfels", "_clear", "_blend_cell", "_write_cell"),
    "raster.numba.surfels": (),
    "cpu.surfel_pose": (
        "make_triangle_frames", "pose_surfels", "_add_states", "_turned", "_sigmoid",
        "project_surfels",
    ),
    "cpu.surfel_wear": ("wear", "_write_axes"),
}  # fmt: skip
"""Modules of the loops, and those of them that the first picture of surfels needs."""
Report = Callable[[int, int], None]


def load() -> None:
    """Import what draws, and on a CPU let numba begin, which takes it a while."""
    import_module("pegasus_runtime.session")
    if choose_device("auto").type == "cpu":
        import numpy as np

        for name in _FIRST_PICTURE:
            import_module(f"pegasus_runtime.{name}")
        from pegasus_runtime.cpu.image import to_bytes

        to_bytes(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint8))


def watch(report: Report) -> Callable[[], None]:
    """Tell how many loops of how many are compiled, while the first picture waits for them.

    Args:
        report: is called on the thread that compiles, for every loop that is begun or done; not at
            all where an earlier start has kept them. The second number is 0 for a picture that
            needs others than one of surfels, of which there is no list.

    Returns:
        how to stop it.
    """
    if choose_device("auto").type != "cpu":
        return lambda: None
    from pegasus_runtime.cpu import loop_cache

    needed = {
        f"pegasus_runtime.{m}.{loop}" for m, loops in _FIRST_PICTURE.items() for loop in loops
    }
    missing: set[str] = set()
    done: set[str] = set()

    def tell(name: str, is_done: bool) -> None:
        if not missing:
            missing.update(loop for loop in needed if not loop_cache.is_kept(loop))
        missing.add(name)
        if is_done:
            done.add(name)
        report(len(done), len(missing) if missing <= needed else 0)

    return loop_cache.watch(tell)
