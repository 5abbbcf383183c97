"""What a rasteriser engine provides, and the list of those there are. A new engine is a module with
the functions of `Engine` and one line in `ENGINES`. Engines share what a number or a test of a
pixel says (`torch_surfels`, `pixel_grid`). Their autograd functions look alike and stay apart: each
keeps for its backward pass what its own forward pass has made, and one class for both would be
longer than the four lines that repeat."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

import torch

from pegasus_runtime.errors import InvalidInput, quoted

# Name, module, and the devices "auto" takes it on; the first that imports is taken. The plain
# torch engine is the oracle and far slower than bringing CUDA tensors to the host for numba.
ENGINES: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("triton", "pegasus_runtime.raster.triton.engine", frozenset({"cuda"})),
    ("pytorch3d", "pegasus_runtime.raster.pytorch3d", frozenset({"cuda"})),
    ("numba", "pegasus_runtime.raster.numba.engine", frozenset({"cpu", "cuda", "mps"})),
    ("torch", "pegasus_runtime.raster.torch_reference", frozenset({"cpu", "cuda", "mps"})),
)
_DISCS_ONLY = frozenset({"pytorch3d"})


class Engine(Protocol):
    """One implementation of the rasteriser; a module with these functions fulfils it.

    Callers have checked shapes and values: points (N, 3) and features (N, C) are floating point,
    sizes are positive. Tensors returned are on the device of the points or features given.
    """

    def rasterize(
        self, points: torch.Tensor, image_size: tuple[int, int], radius: float, num_kept: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Index (int32), depth and squared distance, each (H, W, K); differentiable in the last."""

    def composite(
        self, index: torch.Tensor, distance2: torch.Tensor, features: torch.Tensor, radius: float
    ) -> torch.Tensor:
        """Blend to (H, W, C); differentiable in ``distance2`` and ``features``."""

    def render(
        self,
        points: torch.Tensor,
        features: torch.Tensor,
        image_size: tuple[int, int],
        radius: float,
        num_kept: int,
    ) -> torch.Tensor:
        """Both at once, (H, W, C); differentiable in ``points`` and ``features``."""

    def mark_visible(
        self,
        index: torch.Tensor,
        distance2: torch.Tensor,
        radius: float,
        num_points: int,
        min_weight: float,
    ) -> torch.Tensor:
        """Points first in a pixel or weighing more than ``min_weight``, (N,) bool."""

    def blend(
        self,
        points: torch.Tensor,
        features: torch.Tensor,
        conics: torch.Tensor,
        opacities: torch.Tensor,
        image_size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Surfels to image (H, W, C) and alpha (H, W); differentiable in all but z."""

    def largest_weights(
        self,
        points: torch.Tensor,
        conics: torch.Tensor,
        opacities: torch.Tensor,
        image_size: tuple[int, int],
    ) -> torch.Tensor:
        """What every surfel weighs in the pixel where it weighs most, (N,)."""


def load_engine(name: str) -> Engine:
    """Import the engine called ``name``.

    Raises:
        InvalidInput: there is no engine of that name, or what it needs is not installed.
    """
    modules = {known: module for known, module, _ in ENGINES}
    if not isinstance(name, str) or name not in modules:
        known_names = ", ".join(["auto", *modules])
        raise InvalidInput(
            f"engine {quoted(name)}: there is no such rasteriser; use one of {known_names}."
        )
    try:
        return cast(Engine, importlib.import_module(modules[name]))
    except (ImportError, OSError) as error:
        raise InvalidInput(
            f"engine {name!r}: cannot be loaded ({_reason(error)}); use 'auto'."
        ) from error


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def choose_engine(engine: str, device: torch.device, surfels: bool = False) -> str:
    """The name of the engine to use: ``engine`` itself, or the best for ``device`` if "auto".

    Args:
        engine: its name or "auto".
        device: of the points.
        surfels: whether it has to draw ellipses, not only discs.

    Raises:
        InvalidInput: a named engine is unknown, does not import or has no surfels, or none does.
    """
    if surfels and engine in _DISCS_ONLY:
        raise InvalidInput(f"engine {engine!r}: draws discs only, no surfels; use 'auto'.")
    if engine != "auto":
        load_engine(engine)
        return engine
    for name, _, devices in ENGINES:
        is_fit = device.type in devices and not (surfels and name in _DISCS_ONLY)
        if is_fit and is_available(name):
            return name
    raise InvalidInput(f"engine 'auto': there is no rasteriser for {device.type}; use cpu or cuda.")


def is_available(name: str) -> bool:
    """Whether the engine of that name imports here."""
    try:
        load_engine(name)
    except InvalidInput:
        return False
    return True


def available_engines() -> tuple[str, ...]:
    """The names of the engines that import here."""
    return tuple(name for name, _, _ in ENGINES if is_available(name))


def missing_engines() -> dict[str, str]:
    """The names of the engines that do not import here, and why."""
    missing = {}
    for name, module, _ in ENGINES:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            missing[name] = _reason(error)
    return missing
