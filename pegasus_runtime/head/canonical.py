"""The head in the pose in which an avatar's points are stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pegasus_runtime.head.skinning import pose_head
from pegasus_runtime.parameters import JAW_OPEN_INDEX

if TYPE_CHECKING:
    from pegasus_runtime.head.model import Head

CANONICAL_JAW_ANGLE_RAD = 0.4
"""The one that avatars are stored with: with another one the mouths of earlier files do not fit."""


@dataclass(frozen=True, eq=False)
class CanonicalHead:
    """What deformation needs of a head in its canonical pose."""

    vertices: Tensor
    """(V, 3) of the canonical shape and expression, and the opened jaw"""
    expression: Tensor
    """(50,) mean expression of the training frames"""
    pose_feature: Tensor
    """(36,)"""
    transforms: Tensor
    """(6, 4, 4), bone 0 is the ghost bone"""
    shape: Tensor
    """(100,) of the head that points lie on: 0 but for avatars of other programs"""

    def to(self, device: torch.device | str) -> CanonicalHead:
        """The same on another device."""
        moved: dict[str, Any] = {name: value.to(device) for name, value in vars(self).items()}
        return replace(self, **moved)


@torch.no_grad()
def make_canonical_head(
    head: Head,
    expression: Tensor,
    jaw_angle_rad: float = CANONICAL_JAW_ANGLE_RAD,
    shape: Tensor | None = None,
) -> CanonicalHead:
    """Pose a head as an avatar stores it: jaw opened, the given expression (50,), and shape 0
    unless another one (100,) is given."""
    pose = torch.zeros(15, device=expression.device)
    pose[JAW_OPEN_INDEX] = jaw_angle_rad
    if shape is None:
        shape = torch.zeros(head.identity_directions.shape[2], device=expression.device)
    posed = pose_head(head, shape, expression, pose)
    return CanonicalHead(
        vertices=posed.vertices,
        expression=expression,
        pose_feature=posed.pose_feature,
        transforms=add_ghost_bone(posed.transforms),
        shape=shape,
    )


def add_ghost_bone(transforms: Tensor) -> Tensor:
    """Put the identity transform before a head's joints: (…, 5, 4, 4) → (…, 6, 4, 4).

    Points that ride on the ghost bone, such as shoulders, do not follow the head.
    """
    ghost = torch.eye(4, device=transforms.device, dtype=transforms.dtype)
    ghost = ghost.expand(*transforms.shape[:-3], 1, 4, 4)
    return torch.cat([ghost, transforms], dim=-3)
