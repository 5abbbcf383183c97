"""Attributes as masked differences: attribute blendshapes over the source person's surfels.

A worn attribute a of strength t adds t · Δ_a to the source person's surfels in its region, and
brings surfels of its own, which are there only with it. Differences of several attributes add up,
and outside of its region an attribute changes nothing, by construction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.avatar.latent import category_of
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.surfels.binding import triangle_frames
from pegasus_runtime.surfels.surfels import Surfels, concatenate

_HIDING, _HIDDEN = "hat", "hair"
"""categories of which the first hides what of the second lies outside its shell"""
_SHELL_REACH = 0.15
"""Hair farther than this from the hat (in units of the head, 4 cm) hangs free of it."""
_SHELL_DEPTH = 0.01
"""Hair less deep than this below the hat's surface would come through it when the head moves."""
_UPRIGHT = 0.6
"""Cosine between the way to the nearest shell point and its normal, below which a point is beside
the shell and not above it."""


@dataclass(frozen=True, eq=False)
class Difference:
    """What an attribute changes of M surfels of the source person; names as in `Surfels`."""

    offset: Tensor
    """(M, 3)"""
    rotation: Tensor
    """(M, 3)"""
    log_radius: Tensor
    """(M, 2)"""
    opacity: Tensor
    """(M,)"""
    colour: Tensor
    """(M, 3)"""

    @classmethod
    def none(cls, count: int) -> Difference:
        """No difference to ``count`` surfels."""
        return cls(*(torch.zeros(count, *size) for size in ((3,), (3,), (2,), (), (3,))))


CHANGED = tuple(f.name for f in fields(Difference))


@dataclass(frozen=True, eq=False)
class Attribute:
    """One attribute of an avatar."""

    name: str
    """CATEGORY_NAME"""
    region: Tensor
    """(M,) int64, ascending: the source person's surfels that it changes"""
    difference: Difference
    own: Surfels
    """that are there only with it"""


@dataclass(frozen=True, eq=False)
class Wardrobe:
    """A person's surfels, and all attributes that can be put on."""

    source: Surfels
    attributes: tuple[Attribute, ...]
    rest_corners: Tensor
    """(F, 3, 3) corners of the head's triangles at rest, where it is decided what hides what"""

    @cached_property
    def num_surfels(self) -> int:
        return len(self.source) + sum(len(attribute.own) for attribute in self.attributes)

    @cached_property
    def ranges(self) -> dict[str, range]:
        """Attribute's name → places of its own surfels among `everything`."""
        found, first = {}, len(self.source)
        for attribute in self.attributes:
            found[attribute.name] = range(first, first + len(attribute.own))
            first += len(attribute.own)
        return found

    @cached_property
    def everything(self) -> Surfels:
        """The source person's surfels, then the own ones of each attribute."""
        return concatenate([self.source, *(attribute.own for attribute in self.attributes)])

    def worn(self, strengths: Mapping[str, float]) -> list[Attribute]:
        """The attributes with a strength other than 0."""
        return [a for a in self.attributes if strengths.get(a.name, 0.0) != 0.0]

    def dressed(self, strengths: Mapping[str, float]) -> Surfels:
        """All surfels with the differences of what is worn."""
        changed = {name: getattr(self.everything, name).clone() for name in CHANGED}
        for attribute in self.worn(strengths):
            for name, values in changed.items():
                difference = getattr(attribute.difference, name)
                values.index_add_(0, attribute.region, strengths[attribute.name] * difference)
        return replace(self.everything, **changed)

    def presence(self, strengths: Mapping[str, float]) -> Tensor:
        """(N,) in 0..1 by which the opacities of `everything` are multiplied.

        Args:
            strengths: attribute's name → strength; 0 is the source person, 1 the attribute, more
                is beyond. Attributes that are not named are not worn.
        """
        presence = torch.zeros(self.num_surfels)
        presence[: len(self.source)] = 1
        worn = self.worn(strengths)
        for attribute in worn:
            own = self.ranges[attribute.name]
            presence[own.start : own.stop] = self._presence(attribute, worn, strengths)
        return presence

    def changed(self, strengths: Mapping[str, float]) -> Tensor:
        """(N,) bool, which of `everything` belong to what is worn or are changed by it."""
        changed = torch.zeros(self.num_surfels, dtype=torch.bool)
        for attribute in self.worn(strengths):
            own = self.ranges[attribute.name]
            changed[own.start : own.stop] = True
            changed[attribute.region] = True
        return changed

    def resized(self, num_surfels: int) -> Wardrobe:
        """The same with more or fewer surfels: an even subset, or copies moved a little."""
        generator = torch.Generator().manual_seed(0)
        share = num_surfels / max(self.num_surfels, 1)

        def taken(surfels: Surfels) -> tuple[Surfels, Tensor]:
            total, count = len(surfels), round(len(surfels) * share)
            rounds = -(-count // max(total, 1))
            orders = [torch.randperm(total, generator=generator) for _ in range(rounds)]
            index = torch.cat([torch.zeros(0, dtype=torch.long), *orders])[:count]
            moved = surfels.chosen(index)
            radii = moved.log_radius.exp().mean(dim=1, keepdim=True)
            jitter = radii * torch.randn(count, 3, generator=generator)
            jitter[:total] = 0
            smaller = moved.log_radius - 0.5 * math.log(max(share, 1.0))
            return replace(moved, offset=moved.offset + jitter, log_radius=smaller), index

        source, index = taken(self.source)
        attributes = []
        for attribute in self.attributes:
            row = torch.full((len(self.source),), -1)
            row[attribute.region] = torch.arange(len(attribute.region))
            region = (row[index] >= 0).nonzero()[:, 0]
            rows = row[index[region]]
            difference = Difference(**{n: getattr(attribute.difference, n)[rows] for n in CHANGED})
            attributes.append(
                Attribute(attribute.name, region, difference, taken(attribute.own)[0])
            )
        return Wardrobe(source, tuple(attributes), self.rest_corners)

    def _presence(
        self, attribute: Attribute, worn: Sequence[Attribute], strengths: Mapping[str, float]
    ) -> Tensor:
        """(M,) of an attribute's own surfels."""
        strength = min(max(strengths[attribute.name], 0.0), 1.0)
        presence = torch.full((len(attribute.own),), strength)
        if category_of(attribute.name) != _HIDDEN:
            return presence
        for other in worn:
            if category_of(other.name) == _HIDING:
                left = 1 - min(max(strengths[other.name], 0.0), 1.0)
                presence[self._hidden_by(other, attribute)] *= left
        return presence

    def _hidden_by(self, hat: Attribute, hair: Attribute) -> Tensor:
        """(M,) bool, which of a hair's own surfels a hat hides; found once for each pair."""
        key = (hat.name, hair.name)
        if key not in self._hidden:
            shell = rest_surfels(hat.own, self.rest_corners)
            strands, _ = rest_surfels(hair.own, self.rest_corners)
            self._hidden[key] = outside_shell(strands, *shell)
        return self._hidden[key]

    @cached_property
    def _hidden(self) -> dict[tuple[str, str], Tensor]:
        return {}


def rest_surfels(surfels: Surfels, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Points and normals (N, 3) of surfels on the head at rest, whose corners (F, 3, 3) are given.

    Normals point away from the triangle on which a surfel rides.
    """
    frames = triangle_frames(corners)[surfels.triangle]
    foot = (corners[surfels.triangle] * surfels.barycentric[:, :, None]).sum(dim=1)
    points = foot + (frames @ surfels.offset[:, :, None])[:, :, 0]
    normals = (frames @ rotation_matrices(surfels.rotation))[:, :, 2]
    outward = (normals * frames[:, :, 2]).sum(dim=1, keepdim=True)
    return points, torch.where(outward < 0, -normals, normals)


def outside_shell(points: Tensor, shell: Tensor, normals: Tensor) -> Tensor:
    """(N,) bool, which points lie on or outside of a shell that covers them.

    A point below the shell's rim has its nearest shell point beside it, not under it, and stays.

    Args:
        points: (N, 3)
        shell: (M, 3) points of the shell.
        normals: (M, 3) theirs, outward.
    """
    from scipy.spatial import cKDTree

    if not len(points) or not len(shell):
        return torch.zeros(len(points), dtype=torch.bool)
    found = cKDTree(shell.numpy()).query(points.numpy(), distance_upper_bound=_SHELL_REACH)
    distance, index = (torch.from_numpy(np.asarray(each)) for each in found)
    near = distance.isfinite()
    index = torch.where(near, index, 0)
    height = ((points - shell[index]) * normals[index]).sum(dim=1)
    beside = height.abs() < _UPRIGHT * distance
    return near & (height > -_SHELL_DEPTH) & ~(beside & (distance > _SHELL_DEPTH))
