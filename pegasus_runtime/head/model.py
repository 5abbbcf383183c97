"""A parametric head in FLAME's format (Li et al. 2017): a template and its blendshapes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head.landmark_embedding import LandmarkEmbedding, check_landmarks

HEAD_SCALE = 4.0
"""Lengths here are FLAME's metres times this."""
NUM_JOINTS = 5
NUM_POSE_FEATURES = 36


@dataclass(frozen=True, eq=False)
class Head:
    """A head: template, directions of change, joints and weights, in units of `HEAD_SCALE`."""

    name: str
    sha256: str
    """of the file it was read from"""
    template: Tensor
    """(V, 3)"""
    faces: Tensor
    """(F, 3) int64"""
    identity_directions: Tensor
    """(V, 3, 100)"""
    expression_directions: Tensor
    """(V, 3, 50)"""
    pose_directions: Tensor
    """(V, 3, 36)"""
    joint_regressor: Tensor
    """(5, V)"""
    skinning_weights: Tensor
    """(V, 5)"""
    parents: tuple[int, ...]
    """parent joint of root, neck, jaw, left eye, right eye; the root's is -1"""
    landmarks: LandmarkEmbedding | None
    expression_names: tuple[str, ...]
    identity_names: tuple[str, ...]
    part_labels: Tensor | None = None
    """(V,) int64 index into part_names"""
    part_names: tuple[str, ...] = ()
    uv: Tensor | None = None
    """(U, 2)"""
    uv_faces: Tensor | None = None
    """(F, 3) int64 index into uv"""
    license: str = ""

    @property
    def num_vertices(self) -> int:
        return len(self.template)

    @cached_property
    def joint_directions(self) -> tuple[Tensor, Tensor, Tensor]:
        """What places the joints without a look at any vertex.

        The template's joints (5, 3), and how identity (5, 3, 100) and expression (5, 3, 50) move
        them: the regressor is linear, so it is applied once to every direction.
        """
        return (
            self.joint_regressor @ self.template,
            torch.einsum("jv,vci->jci", self.joint_regressor, self.identity_directions),
            torch.einsum("jv,vce->jce", self.joint_regressor, self.expression_directions),
        )

    def to(self, device: torch.device | str) -> Head:
        """The same on another device."""
        moved: dict[str, Any] = {
            f.name: value.to(device)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor | LandmarkEmbedding)
        }
        return replace(self, **moved)

    def with_landmarks(self, landmarks: LandmarkEmbedding) -> Head:
        """The same head with another landmark embedding.

        Raises:
            InvalidInput: the embedding names triangles that this head does not have.
        """
        try:
            check_landmarks(landmarks, len(self.faces))
        except ValueError as error:
            raise InvalidInput(
                f"head {self.name!r}: these are not its landmarks ({error})."
            ) from None
        return replace(self, landmarks=landmarks)
