"""The parameters of surfels: small ellipses, each bound to a triangle of the head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

NUM_STATES = 8
"""Shared states of expression and pose that a surfel's place and colour may follow. HeadGaS (Dhamo
et al. 2023) uses as many blend features as its tracker has expressions; eight hold what a small
capture shows, and each one more costs 7 numbers a surfel and 2 % of a frame."""


@dataclass(frozen=True, eq=False)
class Surfels:
    """N surfels. All but the binding and the part are learned."""

    triangle: Tensor
    """(N,) int64 triangle of the head on which each rides"""
    barycentric: Tensor
    """(N, 3) where on the triangle; sums to 1"""
    offset: Tensor
    """(N, 3) from there, in the triangle's frame"""
    rotation: Tensor
    """(N, 3) axis-angle in radians, from the triangle's frame to the surfel's: its two radii lie
    along the first two axes, its normal is the third"""
    log_radius: Tensor
    """(N, 2) natural logarithm of the two standard deviations, in units of the head"""
    opacity: Tensor
    """(N,) logit"""
    colour: Tensor
    """(N, 3) logit of the albedo"""
    offset_states: Tensor
    """(N, R, 3) what each state adds to the offset"""
    colour_states: Tensor
    """(N, R, 3) what each state adds to the colour's logit"""
    opacity_states: Tensor
    """(N, R) what each state adds to the opacity's logit"""
    part: Tensor
    """(N,) uint8 index into `head.parts.PART_NAMES` of what each shows, once that has been found"""

    def __len__(self) -> int:
        return len(self.triangle)

    def map(self, function: Callable[[Tensor], Tensor]) -> Surfels:
        """The same with a function applied to every array."""
        return replace(self, **{f.name: function(getattr(self, f.name)) for f in fields(self)})

    def to(self, device: torch.device | str) -> Surfels:
        """The same on another device."""
        return self.map(lambda values: values.to(device))

    def chosen(self, index: Tensor) -> Surfels:
        """Those of an index (M,)."""
        return self.map(lambda values: values[index])


LEARNED = tuple(
    f.name for f in fields(Surfels) if f.name not in ("triangle", "barycentric", "part")
)
"""arrays that training changes by gradients"""


def concatenate(parts: Sequence[Surfels]) -> Surfels:
    """All surfels of several sets, in order."""
    return Surfels(
        **{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Surfels)}
    )


def new_surfels(
    triangle: Tensor,
    barycentric: Tensor,
    offset: Tensor,
    rotation: Tensor,
    radius: Tensor | float,
    opacity: float = 0.88,
) -> Surfels:
    """Round gray surfels that follow the head alone.

    Args:
        triangle: (N,)
        barycentric: (N, 3)
        offset: (N, 3) in the triangle's frame.
        rotation: (N, 3) axis-angle from the triangle's frame.
        radius: (N,) or one for all, standard deviation in units of the head.
        opacity: of all, 0 to 1. Near 1 nothing behind shows through, and gradients vanish.
    """
    count = len(triangle)
    spread = torch.as_tensor(radius, dtype=torch.float32).expand(count)
    zeros = torch.zeros(count, NUM_STATES, 3)
    return Surfels(
        triangle=triangle.long(),
        barycentric=barycentric.float(),
        offset=offset.float(),
        rotation=rotation.float(),
        log_radius=spread.log()[:, None].repeat(1, 2),
        opacity=torch.full((count,), float(torch.logit(torch.tensor(opacity)))),
        colour=torch.zeros(count, 3),
        offset_states=zeros,
        colour_states=zeros.clone(),
        opacity_states=torch.zeros(count, NUM_STATES),
        part=torch.zeros(count, dtype=torch.uint8),
    )
