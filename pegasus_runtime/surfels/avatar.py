"""An avatar of surfels: what the trainer makes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.avatar.avatar import Avatar
from pegasus_runtime.avatar.checks import check_magnitude
from pegasus_runtime.head.expression_ranges import LIMIT, Range, shown_ranges
from pegasus_runtime.head.skinning import pose_joints
from pegasus_runtime.parameters import (
    MAX_COEFFICIENT,
    MAX_ROTATION_RAD,
    NUM_EXPRESSIONS,
    NUM_POSE,
    Parameters,
)
from pegasus_runtime.surfels.attributes import Wardrobe, rest_surfels
from pegasus_runtime.surfels.codes import CodeReader, strengths_worn
from pegasus_runtime.surfels.file import FACE, header_of, tensors_of
from pegasus_runtime.surfels.pose import LightNetwork, StateNetwork


@dataclass(eq=False, kw_only=True)
class SurfelAvatar(Avatar):
    """An avatar of surfels bound to a head, with attributes as differences."""

    FILE_VERSION = 2

    wardrobe: Wardrobe
    states: StateNetwork
    light: LightNetwork
    rest_expression: Tensor = field(default_factory=lambda: torch.zeros(NUM_EXPRESSIONS))
    """(50,) of the face at rest. A filmed face at rest is not that of the head: its lids may be
    lower, and what no frame has shown looks less like the person."""
    rest_pose: Tensor = field(default_factory=lambda: torch.zeros(NUM_POSE))
    """(15,) radians, the same of pose: how the head is held, and where the eyes look"""
    shown_expression: Tensor = field(default_factory=lambda: torch.full((NUM_EXPRESSIONS,), LIMIT))
    """(50,) how far a film has shown each expression; `LIMIT` where nothing is missing"""

    @property
    def num_points(self) -> int:
        return self.wardrobe.num_surfels

    @property
    def legible_points(self) -> int:
        # Ellipses that grow to fill gaps blotch the skin with half of them and smear the eyes with
        # a quarter, and of the time that a picture takes a tenth of them saves next to nothing.
        return self.num_points

    @cached_property
    def rest_points(self) -> Tensor:
        """(N, 3) all surfels at rest, those of attributes that are not worn too."""
        points, _ = rest_surfels(self.wardrobe.everything, self.wardrobe.rest_corners)
        held = torch.cat([self.rest_pose[:3], torch.zeros(NUM_POSE - 3)])
        _, transforms, _ = pose_joints(self.head, self.shape, torch.zeros(NUM_EXPRESSIONS), held)
        return points @ transforms[0, :3, :3].T + transforms[0, :3, 3]

    @cached_property
    def _code_reader(self) -> CodeReader:
        return CodeReader(self.codes)

    def neutral(self) -> Parameters:
        return replace(
            super().neutral(),
            expression=self.rest_expression.numpy().copy(),
            pose=self.rest_pose.numpy().copy(),
        )

    @property
    def expression_ranges(self) -> tuple[Range, ...]:
        return shown_ranges(self.head, self.shown_expression)

    def check(self) -> None:
        super().check()
        check_magnitude("shown.expression", self.shown_expression, MAX_COEFFICIENT)
        check_magnitude("rest.expression", self.rest_expression, MAX_COEFFICIENT)
        check_magnitude("rest.pose", self.rest_pose, MAX_ROTATION_RAD)

    def file_tensors(self) -> dict[str, Tensor]:
        surfels = tensors_of(self.wardrobe, self.states, self.light)
        face = {key: getattr(self, name) for name, (key, _) in FACE.items()}
        return super().file_tensors() | surfels | face

    def file_header(self) -> dict[str, Any]:
        return super().file_header() | header_of(self.wardrobe)

    def strengths(self, params: Parameters) -> dict[str, float]:
        """How much of each attribute parameters wear; a latent code wins over attributes."""
        if params.latent is not None:
            return self._code_reader(torch.as_tensor(params.latent))
        return strengths_worn(self.codes, params.attributes)
