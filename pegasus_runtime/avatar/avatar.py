"""An avatar: networks, points and codes of one person, and the head they ride on."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from pegasus_runtime.avatar.checks import (
    MAX_DISTANCE,
    check_magnitude,
    check_networks,
    check_weights,
    common_facts,
    published_facts,
)
from pegasus_runtime.avatar.contents import encode_contents
from pegasus_runtime.camera import Camera
from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.files import replace_file
from pegasus_runtime.head.canonical import CANONICAL_JAW_ANGLE_RAD
from pegasus_runtime.head.expression_ranges import Range, expression_ranges
from pegasus_runtime.model.config import NetworkSizes
from pegasus_runtime.model.initialisation import initialise
from pegasus_runtime.model.latent import CATEGORIES, SOURCE_CATEGORIES, LatentCodes
from pegasus_runtime.model.networks import AvatarNetworks
from pegasus_runtime.names import check_name
from pegasus_runtime.parameters import MAX_COEFFICIENT, Parameters

if TYPE_CHECKING:
    from pegasus_runtime.head import Head

_FRAME_SHARE = 0.78
"""How much of the picture's shorter side the default camera gives to the avatar's height. Nearer to
1 hair touches the edge, less leaves fewer pixels for the face."""
_SAMPLED_POINTS, _WITHIN = 20_000, (0.005, 0.995)
"""Of how many points, and between which shares of them, their box is told: fewer find its edges
less exactly, more take longer; nearer to 0 and 1 single points astray make a head small in its
picture."""
_DEFAULT_FOV_DEG = 20.0
"""As a portrait lens sees; a wider one enlarges the nose against the ears."""
_LEGIBLE_POINTS = 6_000
"""Of 94,836 discs: 3,000 are too few. More take longer in a quick picture."""


def extent_of(points: Tensor) -> tuple[Tensor, Tensor]:
    """Low and high corner (3,) of the box around points (N, 3), without the outermost few."""
    if not len(points):
        return torch.full((3,), -0.5), torch.full((3,), 0.5)
    sampled = points.detach()[:: max(1, len(points) // _SAMPLED_POINTS)]
    low, high = torch.quantile(sampled, sampled.new_tensor(_WITHIN), dim=0)
    return low, high


@dataclass(eq=False, kw_only=True)
class Avatar(ABC):
    """A personal generative head avatar: what both models have in common."""

    FILE_VERSION: ClassVar[int]
    """of its kind of file: each is written as the first program that reads it"""

    name: str
    head: Head
    codes: LatentCodes
    canonical_expression: Tensor
    """(50,) mean expression of the training frames"""
    shape: Tensor = field(default_factory=lambda: torch.zeros(100))
    """(100,) the person's own head shape, as it was while training"""
    provenance: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        check_name("avatar", self.name)

    @property
    def expression_ranges(self) -> tuple[Range, ...]:
        """The least and the greatest coefficient of each expression with which this is a face."""
        return expression_ranges(self.head)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of attributes, in the order of the latent code's blocks."""
        return self.codes.categories

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of all attributes, each CATEGORY_NAME."""
        return self.codes.attribute_names

    @property
    @abstractmethod
    def num_points(self) -> int:
        """Of all points, those that wait for an attribute too."""

    @property
    def legible_points(self) -> int:
        """So few of them still show its face in a quick picture: eyes, nose and mouth are where
        they belong. With half as many they run into each other."""
        return min(_LEGIBLE_POINTS, self.num_points)

    @property
    @abstractmethod
    def rest_points(self) -> Tensor:
        """(N, 3) where they are on the head at rest, float32 on the CPU."""

    def attributes_of(self, category: str) -> list[str]:
        """Names of the attributes of one category."""
        return self.codes.attributes_of(category)

    def neutral(self) -> Parameters:
        """The source person as their face is at rest, in their own head shape.

        All else is zero: no expression, the head upright. Of a filmed person see `SurfelAvatar`.
        """
        return Parameters(shape=self.shape.numpy().copy())

    def default_camera(self, image_size: tuple[int, int] = (512, 512)) -> Camera:
        """A camera in front of the face that frames the whole avatar."""
        low, high = extent_of(self.rest_points)
        target = (low + high) / 2
        height = max(float(high[1] - low[1]), float(high[0] - low[0]), 1e-3)
        half_angle = torch.deg2rad(torch.tensor(_DEFAULT_FOV_DEG / 2))
        distance = height / _FRAME_SHARE / 2 / float(torch.tan(half_angle))
        depth = float(high[2] - low[2]) / 2
        return Camera.orbit(
            target.numpy(), distance + depth / 2, fov_deg=_DEFAULT_FOV_DEG, image_size=image_size
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the avatar as one file, NAME.avatar.

        Raises:
            InvalidInput: the folder cannot be written or the disk is full.
        """
        try:
            encoded = encode_contents(self.file_tensors(), self.file_header())
            self.check()
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"{path}: not written, {error}") from error
        with replace_file(path) as partial:
            partial.write_bytes(encoded)

    def file_tensors(self) -> dict[str, Tensor]:
        """The arrays of its file."""
        tensors = {f"codes.{name}": t for name, t in self.codes.state_dict().items()}
        return tensors | {"canonical_expression": self.canonical_expression, "shape": self.shape}

    def file_header(self) -> dict[str, Any]:
        """What its file says of it in words and numbers."""
        return {
            "version": self.FILE_VERSION,
            "name": self.name,
            "categories": list(self.categories),
            "source_categories": list(self.codes.source_categories),
            "attribute_names": list(self.attribute_names),
            "num_points": self.num_points,
            "canonical_expression": self.canonical_expression.tolist(),
            "head": {"name": self.head.name, "sha256": self.head.sha256},
            "provenance": self.provenance,
        }

    def check(self) -> None:
        """Look at all numbers, whichever file they came from.

        Raises:
            InvalidInput: one makes no picture.
        """
        common_facts(vars(self))
        for name in ("canonical_expression", "shape"):
            check_magnitude(name, getattr(self, name), MAX_COEFFICIENT)
        check_weights("codes", self.codes)


@dataclass(eq=False, kw_only=True)
class PublishedAvatar(Avatar):
    """An avatar of the published model: points that networks move and colour."""

    FILE_VERSION = 1

    networks: AvatarNetworks
    points: Tensor
    """(N, 3) canonical points, float32 on the CPU"""
    radius: float
    """of a point, in NDC, in a view of `view_scale`"""
    canonical_jaw_rad: float = CANONICAL_JAW_ANGLE_RAD
    moves_points: bool = True
    """False for a single person's avatar, which has no canonical offset"""
    points_per_pixel: int = 10
    view_scale: float | None = None
    """NDC per unit of length at the head in the training views; None: the radius is the same in
    every view, as in the published program"""
    store: Tensor | None = None
    """(2, 3) low and high corner of a box inside the skull: points that the canonical offset leaves
    in it wait for another code, and are not drawn; None: there is no such box"""
    canonical_shape: Tensor | None = None
    """(100,) of the head on which the points lie; None: 0, as in the published program"""

    @property
    def num_points(self) -> int:
        return len(self.points)

    @property
    def rest_points(self) -> Tensor:
        return self.points

    def file_tensors(self) -> dict[str, Tensor]:
        networks = {f"networks.{name}": t for name, t in self.networks.state_dict().items()}
        return super().file_tensors() | networks | {"points": self.points}

    def file_header(self) -> dict[str, Any]:
        return super().file_header() | {
            "radius": self.radius,
            "view_scale": self.view_scale,
            "points_per_pixel": self.points_per_pixel,
            "moves_points": self.moves_points,
            "store": None if self.store is None else self.store.tolist(),
            "canonical_jaw_rad": self.canonical_jaw_rad,
            "canonical_shape": None
            if self.canonical_shape is None
            else self.canonical_shape.tolist(),
            "sizes": vars(self.networks.sizes),
        }

    def check(self) -> None:
        published_facts(self.file_header())
        super().check()
        check_magnitude("points", self.points, MAX_DISTANCE)
        check_weights("networks", self.networks)
        check_networks(self.networks, self.codes.compose(), self.points)

    def radius_in(self, camera: Camera) -> float:
        """Radius of a point in NDC as this camera sees it.

        It grows as the head does, so that coming closer opens no gaps between points.
        """
        if self.view_scale is None:
            return self.radius
        depth = max(float(camera.translation[2]), 1e-3)
        return self.radius * abs(float(camera.intrinsics[1, 1])) / depth / self.view_scale


def initial_avatar(
    head: Head,
    points: Tensor,
    radius: float,
    *,
    sizes: NetworkSizes | None = None,
    attribute_names: Sequence[str] = (),
    categories: Sequence[str] = CATEGORIES,
    source_categories: Sequence[str] = SOURCE_CATEGORIES,
    canonical_expression: Tensor | None = None,
    shape: Tensor | None = None,
    moves_points: bool = True,
    name: str = "untrained",
    seed: int = 0,
) -> PublishedAvatar:
    """An untrained avatar with the published initialisation, the start of every training.

    Args:
        head: the head it rides on.
        points: (N, 3) canonical points to start from.
        radius: of a point, in NDC.
        sizes: of the networks; the latent size is taken from the categories.
        attribute_names: CATEGORY_NAME of each attribute.
        categories: of the latent code's blocks.
        source_categories: those for which the source person has a code.
        canonical_expression: (50,) mean expression of the training frames, default zeros.
        shape: (100,) the person's head shape, default zeros.
        moves_points: whether the latent code may move canonical points.
        name: of the avatar.
        seed: of all random numbers in it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codes = LatentCodes(attribute_names, categories, source_categories)
        chosen = sizes or NetworkSizes()
        fields = {**vars(chosen), "latent_size": codes.latent_size}
        networks = AvatarNetworks(NetworkSizes(**fields))
        initialise(networks, codes.compose().detach())
    return PublishedAvatar(
        name=name,
        head=head,
        networks=networks,
        codes=codes,
        points=points.detach().float().clone(),
        radius=float(radius),
        canonical_expression=torch.zeros(50)
        if canonical_expression is None
        else canonical_expression.detach().float().clone(),
        moves_points=moves_points,
        shape=torch.zeros(100) if shape is None else shape.detach().float().clone(),
    )
