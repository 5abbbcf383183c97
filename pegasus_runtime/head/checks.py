"""What every head must satisfy, whichever file it came from."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from pegasus_runtime.errors import Refused
from pegasus_runtime.head.model import (
    NUM_JOINTS,
    NUM_POSE_FEATURES,
    Head,
    LandmarkEmbedding,
)
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_IDENTITIES

MAX_VERTICES = 1_000_000
MAX_FACES = 2 * MAX_VERTICES
MAX_MAGNITUDE = 1e4
"""Of a length or a weight. With a larger one pictures are no numbers any more."""


def check_head(head: Head, path: str | os.PathLike[str]) -> Head:
    """Return the head as it is.

    Raises:
        Refused: a shape, an index or a number in it is not valid.
    """
    try:
        _check_arrays(head)
        _check_joints(head)
        if head.landmarks is not None:
            check_landmarks(head.landmarks, len(head.faces))
    except (ValueError, TypeError, IndexError) as error:
        raise Refused(f"{path}: damaged head ({error}); get a fresh copy.") from None
    return head


def _check_arrays(head: Head) -> None:
    count = len(head.template) if head.template.dim() else 0
    if not 3 <= count <= MAX_VERTICES:
        raise ValueError(f"{count} vertices")
    check_numbers("template", head.template, (count, 3))
    check_numbers("identity_directions", head.identity_directions, (count, 3, NUM_IDENTITIES))
    check_numbers("expression_directions", head.expression_directions, (count, 3, NUM_EXPRESSIONS))
    check_numbers("pose_directions", head.pose_directions, (count, 3, NUM_POSE_FEATURES))
    check_numbers("joint_regressor", head.joint_regressor, (NUM_JOINTS, count))
    check_numbers("skinning_weights", head.skinning_weights, (count, NUM_JOINTS))
    check_indices("faces", head.faces, (len(head.faces), 3), count)
    if head.part_labels is not None:
        check_indices("part_labels", head.part_labels, (count,), len(head.part_names))
    if (head.uv is None) != (head.uv_faces is None):
        raise ValueError("uv and uv_faces belong together")
    if head.uv is not None and head.uv_faces is not None:
        check_numbers("uv", head.uv, (len(head.uv), 2))
        check_indices("uv_faces", head.uv_faces, (len(head.faces), 3), len(head.uv))


def _check_joints(head: Head) -> None:
    if len(head.parents) != NUM_JOINTS or head.parents[0] != -1:
        raise ValueError(f"parents {head.parents}")
    if any(not 0 <= parent < joint for joint, parent in enumerate(head.parents) if joint):
        raise ValueError(f"parents {head.parents}")
    if len(head.expression_names) != NUM_EXPRESSIONS or len(head.identity_names) != NUM_IDENTITIES:
        raise ValueError("the number of names does not fit")


def check_landmarks(marks: LandmarkEmbedding, num_faces: int) -> None:
    """Raises ValueError when an embedding does not fit a mesh of that many triangles."""
    check_indices("landmark_faces", marks.faces, (68,), num_faces)
    check_numbers("landmark_barycentric", marks.barycentric, (68, 3))
    check_indices("contour_faces", marks.contour_faces, (79, 17), num_faces)
    check_numbers("contour_barycentric", marks.contour_barycentric, (79, 17, 3))


def check_numbers(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless the tensor holds finite numbers of that shape."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name} holds NaN or infinity")
    if tensor.numel() and float(tensor.abs().max()) > MAX_MAGNITUDE:
        raise ValueError(f"{name} holds numbers above {MAX_MAGNITUDE:g}; a head is in metres")


def check_indices(name: str, tensor: Tensor, shape: tuple[int, ...], limit: int) -> None:
    """Raises ValueError unless the tensor holds indices below the limit, of that shape."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    if tensor.is_floating_point():
        raise ValueError(f"{name} holds fractions, expected indices")
    if tensor.numel() and not (int(tensor.min()) >= 0 and int(tensor.max()) < limit):
        raise ValueError(f"{name} points outside of 0..{limit - 1}")
