"""What every head must satisfy, whichever file it came from."""

from __future__ import annotations

import os

from pegasus_runtime.errors import InvalidInput
from pegasus_runtime.head.landmark_embedding import (
    check_indices,
    check_landmarks,
    check_numbers,
)
from pegasus_runtime.head.model import NUM_JOINTS, NUM_POSE_FEATURES, Head
from pegasus_runtime.parameters import NUM_EXPRESSIONS, NUM_IDENTITIES

MAX_VERTICES = 1_000_000
"""FLAME has 5,023; both only keep damaged files from taking memory."""
MAX_FACES = 2 * MAX_VERTICES


def check_head(head: Head, path: str | os.PathLike[str]) -> Head:
    """Return the head as it is.

    Raises:
        InvalidInput: a shape, an index or a number in it is not valid.
    """
    try:
        _check_arrays(head)
        _check_joints(head)
        if head.landmarks is not None:
            check_landmarks(head.landmarks, len(head.faces))
    except (ValueError, TypeError, IndexError) as error:
        raise InvalidInput(f"{path}: damaged head ({error}); get a fresh copy.") from None
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
