"""Linear blend skinning (LBS) of a head (FLAME, Li et al. 2017; SMPL, Loper et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pegasus_runtime.devices import is_for_loops
from pegasus_runtime.head.model import NUM_JOINTS, Head


@dataclass(frozen=True, eq=False)
class PosedHead:
    """A head with a shape, an expression and a pose; leading dimensions as they were given."""

    vertices: Tensor
    """(…, V, 3)"""
    joints: Tensor
    """(…, 5, 3) of the unposed head"""
    transforms: Tensor
    """(…, 5, 4, 4) from the unposed to the posed head"""
    pose_feature: Tensor
    """(…, 36)"""


def pose_head(head: Head, shape: Tensor, expression: Tensor, pose: Tensor) -> PosedHead:
    """Pose a head.

    Args:
        head: the head.
        shape: (…, 100) coefficients of the identity directions.
        expression: (…, 50) coefficients of the expression directions.
        pose: (…, 15) axis-angle of root, neck, jaw, left eye and right eye in radians.
    """
    joints, transforms, feature = pose_joints(head, shape, expression, pose)
    corrected = (
        head.template
        + torch.einsum("vci,...i->...vc", head.identity_directions, shape)
        + torch.einsum("vce,...e->...vc", head.expression_directions, expression)
        + torch.einsum("vcf,...f->...vc", head.pose_directions, feature)
    )
    blended = torch.einsum("vj,...jab->...vab", head.skinning_weights, transforms[..., :3, :])
    vertices = (blended[..., :3] @ corrected[..., None])[..., 0] + blended[..., 3]
    return PosedHead(vertices, joints, transforms, feature)


def pose_joints(
    head: Head, shape: Tensor, expression: Tensor, pose: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The part of `pose_head` that does not touch the vertices.

    Returns:
        joints, transforms and pose feature as in `PosedHead`.
    """
    is_one = shape.ndim == expression.ndim == pose.ndim == 1
    if is_one and is_for_loops(shape, expression, pose):
        return _pose_joints_in_loop(head, shape, expression, pose)
    # Not torch.broadcast_shapes, which imports half a second of symbolic algebra.
    lead = np.broadcast_shapes(shape.shape[:-1], expression.shape[:-1], pose.shape[:-1])
    shape, expression, pose = (v.expand(*lead, v.shape[-1]) for v in (shape, expression, pose))
    template, identity, face = head.joint_directions
    joints = (
        template
        + torch.einsum("jci,...i->...jc", identity, shape)
        + torch.einsum("jce,...e->...jc", face, expression)
    )
    rotations = rotation_matrices(pose.unflatten(-1, (NUM_JOINTS, 3)))
    transforms = joint_transforms(rotations, joints, head.parents)
    return joints, transforms, pose_features(rotations)


def _pose_joints_in_loop(
    head: Head, shape: Tensor, expression: Tensor, pose: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    from pegasus_runtime.cpu.joints import pose_joints

    joints = torch.empty(NUM_JOINTS, 3)
    transforms = torch.empty(NUM_JOINTS, 4, 4)
    feature = torch.empty(NUM_JOINTS - 1, 3, 3)
    template, identity, face = (value.numpy() for value in head.joint_directions)
    pose_joints(
        template, identity, face, np.array(head.parents), shape.detach().numpy(),
        expression.detach().numpy(), pose.detach().reshape(NUM_JOINTS, 3).numpy(),
        joints.numpy(), transforms.numpy(), feature.numpy(),
    )  # fmt: skip
    return joints, transforms, feature.flatten()


def pose_features(rotations: Tensor) -> Tensor:
    """Flatten R − I of all joints but the root: (…, 5, 3, 3) → (…, 36)."""
    identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return (rotations[..., 1:, :, :] - identity).flatten(-3)


def rotation_matrices(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula: axis-angle (…, 3) in radians → (…, 3, 3), smooth at zero too."""
    squared = (axis_angle * axis_angle).sum(dim=-1)[..., None, None]
    small = squared < 1e-8
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    sine = torch.where(small, 1 - squared / 6, torch.sin(angle) / angle)
    half_sine = torch.sin(angle / 2) / angle
    versine = torch.where(small, 0.5 - squared / 24, 2 * half_sine * half_sine)
    cross = _cross_matrices(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    rotations: Tensor = identity + sine * cross + versine * (cross @ cross)
    return rotations


def _cross_matrices(vectors: Tensor) -> Tensor:
    x, y, z = vectors.unbind(dim=-1)
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1)
    return rows.reshape(*vectors.shape[:-1], 3, 3)


def joint_transforms(rotations: Tensor, joints: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Transforms (…, 5, 4, 4) that carry unposed vertices along with each joint.

    Args:
        rotations: (…, 5, 3, 3) of each joint in its parent's frame.
        joints: (…, 5, 3) positions in the unposed head.
        parents: of each joint, before it in the order; -1 for the root.
    """
    world_rotations: list[Tensor] = []
    world_positions: list[Tensor] = []
    for joint, parent in enumerate(parents):
        rotation, position = rotations[..., joint, :, :], joints[..., joint, :]
        if parent >= 0:
            bone = (position - joints[..., parent, :])[..., None]
            position = world_positions[parent] + (world_rotations[parent] @ bone)[..., 0]
            rotation = world_rotations[parent] @ rotation
        world_rotations.append(rotation)
        world_positions.append(position)
    linear = torch.stack(world_rotations, dim=-3)
    shift = torch.stack(world_positions, dim=-2) - (linear @ joints[..., None])[..., 0]
    upper = torch.cat([linear, shift[..., None]], dim=-1)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=upper.dtype, device=upper.device)
    return torch.cat([upper, bottom.expand(*upper.shape[:-2], 1, 4)], dim=-2)
