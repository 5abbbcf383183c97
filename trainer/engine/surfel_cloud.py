"""Surfels in training: their parameters, and how they come and go."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from pegasus_runtime.surfels.attributes import CHANGED, Attribute, Difference, Wardrobe
from pegasus_runtime.surfels.pose import LightNetwork, PosedSurfels, StateNetwork, pose_surfels
from pegasus_runtime.surfels.surfels import LEARNED, Surfels


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
        return Surfels(self.triangle, self.barycentric, **dict(self.learned.items()))


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


class SurfelCloud(nn.Module):
    """A person's surfels and attributes, the states they follow, and the light."""

    def __init__(self, wardrobe: Wardrobe, states: StateNetwork, light: LightNetwork) -> None:
        super().__init__()
        self.source = SurfelSet(wardrobe.source)
        self.attributes = nn.ModuleList(AttributeSet(a) for a in wardrobe.attributes)
        self.states = states
        self.light = light

    def find(self, name: str) -> AttributeSet | None:
        """The attribute of a name."""
        for attribute in self.attributes:
            assert isinstance(attribute, AttributeSet)
            if attribute.name == name:
                return attribute
        return None

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
        for attribute in self.attributes:
            assert isinstance(attribute, AttributeSet)
            difference = Difference(**{n: taken(v) for n, v in attribute.difference.items()})
            own = attribute.own.surfels().map(taken)
            attributes.append(Attribute(attribute.name, taken(attribute.region), difference, own))
        return Wardrobe(self.source.surfels().map(taken), tuple(attributes), rest_corners.cpu())


def new_networks(seed: int) -> tuple[StateNetwork, LightNetwork]:
    """Untrained networks of states and light."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StateNetwork(), LightNetwork()


@dataclass
class Seen:
    """What pictures said of the surfels of one set since the last time some came and went."""

    error: Tensor
    """(N,) sum over pixels of a surfel's weight times the picture's error there"""
    weight: Tensor
    """(N,) sum of its weights"""

    @classmethod
    def nothing(cls, count: int, device: torch.device) -> Seen:
        return cls(torch.zeros(count, device=device), torch.zeros(count, device=device))
