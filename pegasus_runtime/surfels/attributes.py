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

from pegasus_runtime.head import Head, pose_head
from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.model.latent import category_of
from pegasus_runtime.surfels.binding import place_on_triangles
from pegasus_runtime.surfels.surfels import Surfels, concatenate

_HIDING, HIDDEN = "hat", "hair"
"""categories of which the first hides what of the second lies outside its shell"""
_SHELL_ANGLE, _SHELL_NEIGHBOURS = 0.045, 4
"""A direction is covered when so many of a hat's surfels lie within so many radians of it: twice
the distance of neighbours in a hat of 10,000. With more of it hair below the rim goes too."""
_CROWN = 3.0
"""How many more such angles it may be straight above the shell's opening, where hats are seen
seldom and have few surfels, and no hair hangs out: less leaves curls on a crown, more takes hair at
a rim that rises."""
_EDGES = torch.tensor([0.02, 0.98])
"""Of the shell's extent: nearer to 0 and 1 a few surfels astray move its middle, farther from them
the rim is left out."""
_CLAIMED, _OFFSET_SCALE = 0.3, 20.0
"""A hat that changes one of the person's surfels by this much uses it for itself or hides it;
hair that is put on with it no longer changes it: less keeps hair away from beside a hat, more lets
it into the hat. An offset by 1 / scale counts as one logit."""


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

    def size(self) -> Tensor:
        """(M,) how far place and colour of each surfel move, in logits of a colour."""
        size: Tensor = _OFFSET_SCALE * self.offset.norm(dim=1) + self.colour.norm(dim=1) / 2
        return size

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
    part: Tensor | None = None
    """(M,) uint8, as `Surfels.part`: what each of the region shows while it is worn; None: that is
    not known"""


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
        self.add_differences(changed, strengths)
        return replace(self.everything, **changed)

    def add_differences(self, values: Mapping[str, Tensor], strengths: Mapping[str, float]) -> None:
        """Add what is worn to arrays of `everything`, by name, in place."""
        for attribute in self.worn(strengths):
            share = strengths[attribute.name] * self.share(attribute, strengths)
            for name, array in values.items():
                difference = getattr(attribute.difference, name)
                change = difference * share.view(-1, *[1] * (difference.ndim - 1))
                array.index_add_(0, attribute.region, change)

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
            presence[own.start : own.stop] = min(max(strengths[attribute.name], 0.0), 1.0)
        for hat, hair in _hiding(worn):
            left = 1 - min(max(strengths[hat.name], 0.0), 1.0)
            presence[self._hidden_by(hat, hair)] *= left
        return presence

    def changed(self, strengths: Mapping[str, float]) -> Tensor:
        """(N,) bool, which of `everything` belong to what is worn or are changed by it."""
        changed = torch.zeros(self.num_surfels, dtype=torch.bool)
        for attribute in self.worn(strengths):
            own = self.ranges[attribute.name]
            changed[own.start : own.stop] = True
            changed[attribute.region] = True
        return changed

    def share(self, attribute: Attribute, strengths: Mapping[str, float]) -> Tensor:
        """(M,) how much of an attribute's difference is left beside what else is worn."""
        share = torch.ones(len(attribute.region))
        for hat, hair in _hiding(self.worn(strengths)):
            if hair is attribute:
                claim = self._claim_of(hat)[attribute.region]
                share = share * (1 - min(max(strengths[hat.name], 0.0), 1.0) * claim)
        return share

    def _claim_of(self, hat: Attribute) -> Tensor:
        """(N,) in 0..1, how much a hat needs each of the person's surfels for itself."""
        if hat.name not in self._claims:
            change = hat.difference
            size = change.size() + change.opacity.abs() / 4
            claim = torch.zeros(len(self.source))
            claim[hat.region] = (size / _CLAIMED).clamp(0, 1)
            self._claims[hat.name] = claim
        return self._claims[hat.name]

    def _hidden_by(self, hat: Attribute, hair: Attribute) -> Tensor:
        """(K,) surfels of `everything` of a hair that a hat hides; found once for each pair."""
        key = (hat.name, hair.name)
        if key not in self._hidden:
            used = hat.region[self._claim_of(hat)[hat.region] > 0.5]
            shell, _ = self._at_rest(hat, used, opaque=True)
            changed = torch.cat([hair.region, torch.tensor(self.ranges[hair.name])]).long()
            strands, reach = self._at_rest(hair, hair.region)
            self._hidden[key] = changed[outside_shell(strands, reach, shell)]
        return self._hidden[key]

    def _at_rest(
        self, attribute: Attribute, among: Tensor, opaque: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Points (K, 3) of some of the person's surfels and an attribute's own, worn at rest.

        The second is how far each reaches, (K,).
        """
        dressed = self.dressed({attribute.name: 1.0})
        index = torch.cat([among, torch.tensor(self.ranges[attribute.name])]).long()
        if opaque:
            index = index[dressed.opacity[index] > 0]
        chosen = dressed.chosen(index)
        points, _ = rest_surfels(chosen, self.rest_corners)
        return points, 2 * chosen.log_radius.max(dim=1).values.exp()

    @cached_property
    def _claims(self) -> dict[str, Tensor]:
        return {}

    @cached_property
    def _hidden(self) -> dict[tuple[str, str], Tensor]:
        return {}

    def chosen(self, source: Tensor, own: Mapping[str, Tensor]) -> Wardrobe:
        """Some of the surfels, in another order, or more than once.

        Args:
            source: indices of the person's surfels.
            own: attribute's name → indices of its own.
        """
        attributes = []
        for attribute in self.attributes:
            row = torch.full((len(self.source),), -1)
            row[attribute.region] = torch.arange(len(attribute.region))
            region = (row[source] >= 0).nonzero()[:, 0]
            rows = row[source[region]]
            difference = Difference(**{n: getattr(attribute.difference, n)[rows] for n in CHANGED})
            mine = attribute.own.chosen(own[attribute.name])
            part = None if attribute.part is None else attribute.part[rows]
            attributes.append(Attribute(attribute.name, region, difference, mine, part))
        return Wardrobe(self.source.chosen(source), tuple(attributes), self.rest_corners)

    def with_parts(self, part: Tensor, regions: Sequence[Tensor | None]) -> Wardrobe:
        """The same of which is known what each surfel shows.

        Args:
            part: (N,) of `everything`.
            regions: of each attribute (M,) what its region shows while it is worn, or None.
        """
        attributes = tuple(
            replace(a, own=replace(a.own, part=part[self.ranges[a.name]]), part=worn)
            for a, worn in zip(self.attributes, regions, strict=True)
        )
        source = replace(self.source, part=part[: len(self.source)])
        return replace(self, source=source, attributes=attributes)

    def resized(self, num_surfels: int) -> Wardrobe:
        """The same with more or fewer surfels: an even subset, or copies moved a little."""
        generator = torch.Generator().manual_seed(0)
        share = num_surfels / max(self.num_surfels, 1)

        def index(total: int) -> Tensor:
            count = round(total * share)
            orders = [
                torch.randperm(total, generator=generator)
                for _ in range(-(-count // max(total, 1)))
            ]
            return torch.cat([torch.zeros(0, dtype=torch.long), *orders])[:count]

        def spread(surfels: Surfels, total: int) -> Surfels:
            smaller = surfels.log_radius - 0.5 * math.log(max(share, 1.0))
            jitter = smaller.exp().mean(dim=1, keepdim=True)
            jitter = jitter * torch.randn(len(surfels), 3, generator=generator)
            jitter[:total] = 0
            return replace(surfels, offset=surfels.offset + jitter, log_radius=smaller)

        taken = self.chosen(
            index(len(self.source)), {a.name: index(len(a.own)) for a in self.attributes}
        )
        attributes = tuple(
            replace(new, own=spread(new.own, len(old.own)))
            for new, old in zip(taken.attributes, self.attributes, strict=True)
        )
        source = spread(taken.source, len(self.source))
        return Wardrobe(source, attributes, self.rest_corners)


def _hiding(worn: Sequence[Attribute]) -> list[tuple[Attribute, Attribute]]:
    """Pairs of a hat and a hair under it."""
    return [
        (hat, hair)
        for hat in worn
        for hair in worn
        if category_of(hat.name) == _HIDING and category_of(hair.name) == HIDDEN
    ]


def rest_corners(head: Head, shape: Tensor) -> Tensor:
    """(F, 3, 3) corners of a head's triangles at rest, for a person's shape (100,)."""
    with torch.no_grad():
        posed = pose_head(head, shape, torch.zeros(50), torch.zeros(15))
    return posed.vertices[head.faces]


def rest_surfels(surfels: Surfels, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Points and normals (N, 3) of surfels on the head at rest, whose corners (F, 3, 3) are given.

    Normals point away from the triangle on which a surfel rides.
    """
    points, frames = place_on_triangles(
        corners, surfels.triangle, surfels.barycentric, surfels.offset
    )
    normals = (frames @ rotation_matrices(surfels.rotation))[:, :, 2]
    outward = (normals * frames[:, :, 2]).sum(dim=1, keepdim=True)
    return points, torch.where(outward < 0, -normals, normals)


def outside_shell(points: Tensor, reach: Tensor, shell: Tensor) -> Tensor:
    """(N,) bool, which points reach to or through a shell that covers them, seen from within.

    Both are looked at from the middle of the shell's opening. A point below the rim lies in a
    direction in which there is no shell, and stays.

    Args:
        points: (N, 3)
        reach: (N,) how far something extends around them.
        shell: (M, 3) points of the shell.
    """
    from scipy.spatial import cKDTree

    if not len(points) or len(shell) < _SHELL_NEIGHBOURS:
        return torch.zeros(len(points), dtype=torch.bool)
    low, high = torch.quantile(shell[:: max(1, len(shell) // 20_000)], _EDGES, dim=0)
    middle = (low + high) / 2
    middle[1] = low[1]
    radius, depth = (points - middle).norm(dim=1), (shell - middle).norm(dim=1)
    towards = (points - middle) / radius.clamp_min(1e-6)[:, None]
    directions = (shell - middle) / depth.clamp_min(1e-6)[:, None]
    found = cKDTree(directions.numpy()).query(
        towards.numpy(), k=list(range(1, _SHELL_NEIGHBOURS + 1))
    )
    apart, index = (torch.from_numpy(np.asarray(each)) for each in found)
    covered: Tensor = apart[:, -1] < _SHELL_ANGLE * (1 + _CROWN * towards[:, 1].clamp_min(0))
    outside: Tensor = radius + reach > depth[index].median(dim=1).values
    return covered & outside
