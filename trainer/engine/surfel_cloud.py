"""Surfels in training: their parameters, and how they come and go."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from pegasus_runtime.head.skinning import rotation_matrices
from pegasus_runtime.surfels.attributes import CHANGED, Attribute, Difference, Wardrobe
from pegasus_runtime.surfels.binding import plane_weights, triangle_frames
from pegasus_runtime.surfels.pose import LightNetwork, PosedSurfels, StateNetwork, pose_surfels
from pegasus_runtime.surfels.surfels import LEARNED, Surfels, new_surfels
from trainer.engine.tracking import Tracking

_SHRINK = 1.4
"""What the radii of a split surfel are divided by: two of them then cover its area. With more of it
gaps open until they have grown again; with less the pair stays as blurred as the one was."""


class SurfelSet(nn.Module):
    """Surfels as parameters; their binding to the head is not learned."""

    triangle: Tensor
    barycentric: Tensor

    def __init__(self, surfels: Surfels) -> None:
        super().__init__()
        self.register_buffer("triangle", surfels.triangle)
        self.register_buffer("barycentric", surfels.barycentric)
        self.learned = nn.ParameterDict(
            {name: nn.Parameter(getattr(surfels, name).clone()) for name in LEARNED}
        )

    def __len__(self) -> int:
        return len(self.triangle)

    def surfels(self) -> Surfels:
        """Them, with gradients."""
        # What each shows is found when the training ends.
        part = torch.zeros(len(self), dtype=torch.uint8, device=self.triangle.device)
        return Surfels(self.triangle, self.barycentric, **dict(self.learned.items()), part=part)

    @torch.no_grad()
    def rearrange(
        self, index: Tensor, num_kept: int, corners: Tensor, generator: torch.Generator
    ) -> None:
        """Take others: the first ones as they are, the rest split off from their parents.

        A parent shrinks, and its child lies beside it within the parent's ellipse.

        Args:
            index: (M,) of survivors, then of parents, which are survivors too.
            num_kept: how many survive.
            corners: (F, 3, 3) of the head's triangles at rest.
            generator: of where children lie.
        """
        chosen = self.surfels().map(lambda values: values.detach()[index])
        is_parent = torch.isin(index[:num_kept], index[num_kept:])
        shrunk = torch.cat([is_parent, torch.ones_like(index[num_kept:], dtype=torch.bool)])
        chosen.log_radius[shrunk] -= math.log(_SHRINK)
        count = len(index) - num_kept
        if count:
            children = chosen.chosen(torch.arange(num_kept, len(index), device=index.device))
            spread = torch.randn(count, 2, generator=generator).to(children.offset)
            across = rotation_matrices(children.rotation)[:, :, :2]
            within = _SHRINK * children.log_radius.exp() * spread
            offset = children.offset + (across @ within[:, :, None])[:, :, 0]
            walk(chosen, num_kept, offset, corners)
        self.triangle, self.barycentric = chosen.triangle, chosen.barycentric
        for name in LEARNED:
            self.learned[name] = nn.Parameter(getattr(chosen, name))


class AttributeSet(nn.Module):
    """One attribute: its difference to the source person's surfels, and surfels of its own."""

    region: Tensor

    def __init__(self, attribute: Attribute) -> None:
        super().__init__()
        self.name = attribute.name
        self.register_buffer("region", attribute.region)
        self.difference = nn.ParameterDict(
            {name: nn.Parameter(getattr(attribute.difference, name).clone()) for name in CHANGED}
        )
        self.own = SurfelSet(attribute.own)

    @torch.no_grad()
    def rearrange(self, index: Tensor, num_kept: int) -> tuple[Tensor, int]:
        """Follow a change of the source person's surfels; children inherit from their parents.

        Args:
            index: (M,) of the source's surfels, survivors first, then parents.
            num_kept: how many survive.

        Returns:
            old rows (K,) of the difference, those of survivors first, and how many survive.
        """
        size = int(index.max()) + 1 if len(index) else 0
        row = torch.full((max(size, int(self.region.max()) + 1 if len(self.region) else 0),), -1)
        row = row.to(index.device)
        row[self.region] = torch.arange(len(self.region), device=index.device)
        rows = row[index]
        self.region = (rows >= 0).nonzero()[:, 0]
        taken = rows[self.region]
        for name in CHANGED:
            self.difference[name] = nn.Parameter(self.difference[name].detach()[taken])
        return taken, int((self.region < num_kept).sum())


def walk(surfels: Surfels, first: int, offset: Tensor, corners: Tensor) -> None:
    """Bind the surfels from a place on to the triangles above which they now lie, in place.

    Args:
        surfels: those from ``first`` on are bound anew where they have left their triangle.
        first: the place.
        offset: (K, 3) where they are now, in the frame of the triangle they are bound to.
        corners: (F, 3, 3) of the head's triangles at rest.
    """
    triangle = surfels.triangle[first:]
    frames = triangle_frames(corners[triangle])
    foot = (corners[triangle] * surfels.barycentric[first:, :, None]).sum(dim=1)
    # The part of the way that lies in the triangle's plane moves the foot.
    along = offset - surfels.offset[first:]
    slide = along * torch.tensor([1.0, 1.0, 0.0], device=along.device)
    moved = foot + (frames @ slide[:, :, None])[:, :, 0]
    weights = plane_weights(moved, corners[triangle])
    inside = (weights >= 0).all(dim=1)
    # Those that leave their triangle stay bound to it: an offset carries them as far as they went.
    surfels.barycentric[first:] = torch.where(inside[:, None], weights, surfels.barycentric[first:])
    surfels.offset[first:] = torch.where(inside[:, None], offset - slide, offset)


class SurfelCloud(nn.Module):
    """A person's surfels and attributes, the states they follow, and the light."""

    def __init__(
        self,
        wardrobe: Wardrobe,
        states: StateNetwork,
        light: LightNetwork,
        tracking: Tracking | None = None,
    ) -> None:
        super().__init__()
        self.tracking = tracking
        self.source = SurfelSet(wardrobe.source)
        self.attributes = nn.ModuleList(AttributeSet(a) for a in wardrobe.attributes)
        self.states = states
        self.light = light

    @classmethod
    def empty(cls, state: Mapping[str, Tensor], names: Sequence[str]) -> SurfelCloud:
        """One of the sizes of a saved state, to be filled with it.

        Args:
            state: of `state_dict`.
            names: of the attributes, in their order.
        """

        def surfels(prefix: str) -> Surfels:
            count = len(state[f"{prefix}.triangle"])
            none = torch.zeros(count, 3)
            return new_surfels(torch.zeros(count).long(), none, none, none, 1.0)

        attributes = []
        for place, name in enumerate(names):
            region = torch.zeros_like(state[f"attributes.{place}.region"])
            own = surfels(f"attributes.{place}.own")
            attributes.append(Attribute(name, region, Difference.none(len(region)), own))
        wardrobe = Wardrobe(surfels("source"), tuple(attributes), torch.zeros(0, 3, 3))
        offsets = state.get("tracking.offsets")
        tracking = None if offsets is None else Tracking(len(offsets))
        return cls(wardrobe, *new_networks(0), tracking)

    def each_attribute(self) -> Iterator[AttributeSet]:
        """All attributes, in order."""
        for attribute in self.attributes:
            assert isinstance(attribute, AttributeSet)
            yield attribute

    def find(self, name: str) -> AttributeSet | None:
        """The attribute of a name."""
        return next((a for a in self.each_attribute() if a.name == name), None)

    def all_sets(self) -> list[SurfelSet]:
        """The source person's surfels, then the own ones of each attribute."""
        return [self.source, *(attribute.own for attribute in self.each_attribute())]

    def sets(self, worn: AttributeSet | None) -> list[SurfelSet]:
        """The sets that a picture shows."""
        return [self.source] if worn is None or not len(worn.own) else [self.source, worn.own]

    def pose(
        self, worn: AttributeSet | None, vertices: Tensor, faces: Tensor, states: Tensor
    ) -> PosedSurfels:
        """All surfels that a picture shows, on a posed head, with gradients."""
        source = self.source.surfels()
        if worn is not None:
            changed = {
                name: getattr(source, name).index_add(0, worn.region, worn.difference[name])
                for name in CHANGED
            }
            source = Surfels(**{**vars(source), **changed})
        posed = [pose_surfels(source, vertices, faces, states)]
        if worn is not None and len(worn.own):
            posed.append(pose_surfels(worn.own.surfels(), vertices, faces, states))
        if len(posed) == 1:
            return posed[0]
        return PosedSurfels(
            **{f.name: torch.cat([getattr(p, f.name) for p in posed]) for f in fields(PosedSurfels)}
        )

    def wardrobe(self, rest_corners: Tensor) -> Wardrobe:
        """What is learned so far, on the CPU and independent of further training."""

        def taken(values: Tensor) -> Tensor:
            return values.detach().cpu().clone()

        attributes = []
        for attribute in self.each_attribute():
            difference = Difference(**{n: taken(v) for n, v in attribute.difference.items()})
            own = attribute.own.surfels().map(taken)
            attributes.append(Attribute(attribute.name, taken(attribute.region), difference, own))
        return Wardrobe(self.source.surfels().map(taken), tuple(attributes), rest_corners.cpu())


def new_networks(seed: int) -> tuple[StateNetwork, LightNetwork]:
    """Untrained networks of states and light."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StateNetwork(), LightNetwork()
