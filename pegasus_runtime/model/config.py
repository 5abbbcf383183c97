"""Sizes of an avatar's networks."""

from __future__ import annotations

from dataclasses import dataclass

from pegasus_runtime.errors import InvalidInput


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of an avatar's networks; the defaults are the published ones."""

    num_frequencies: int = 6
    geometry_width: int = 512
    geometry_depth: int = 9
    geometry_skip: int = 4
    """Hidden layer that reads the input again; 0 for none."""
    deformer_width: int = 128
    deformer_depth: int = 4
    shading_width: int = 512
    shading_depth: int = 2
    latent_size: int = 369

    def __post_init__(self) -> None:
        limits = {
            "num_frequencies": (0, 16),
            "geometry_width": (8, 4096),
            "geometry_depth": (1, 32),
            "geometry_skip": (0, self.geometry_depth - 1),
            "deformer_width": (8, 4096),
            "deformer_depth": (1, 32),
            "shading_width": (8, 4096),
            "shading_depth": (1, 32),
            "latent_size": (0, 4096),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InvalidInput(
                    f"network size {name} = {value}: use a number from {low} to {high}."
                )
